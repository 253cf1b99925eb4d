//! `get rollout`.
//!
//! | step | file |
//! |---|---|
//! | read what belongs to the Rollout | [`read`] |
//! | as plain data | [`snapshot`] |
//! | the header that people know | [`header`], with [`roles`] and [`weights`] |
//! | the tree that people know | [`tree`], with [`pod`] and [`age`] |
//! | below them, what only Sluice can say | [`below`], with [`decision`], [`measured`] and [`forecast`] |
//! | again on every change | [`watch`] |

pub(crate) mod age;
pub(crate) mod below;
pub(crate) mod decision;
pub(crate) mod forecast;
pub(crate) mod header;
pub(crate) mod measured;
mod pod;
pub(crate) mod read;
pub(crate) mod roles;
pub(crate) mod snapshot;
pub(crate) mod status;
mod tree;
mod watch;
pub(crate) mod weights;

use anyhow::Result;
use jiff::Timestamp;

use crate::args::GetArgs;
use crate::cluster::{self, Cluster};
use crate::output;
use crate::paint::Paint;
use snapshot::Snapshot;

/// Carries out `get rollout`.
pub(crate) async fn run(cluster: &Cluster, args: &GetArgs, paint: Paint) -> Result<()> {
    if let Some(format) = args.output {
        return output::object(&cluster.get(&cluster::ROLLOUTS, &args.name).await?, format);
    }
    if args.watch {
        return watch::run(cluster, args, paint).await;
    }
    let snapshot = read::read(cluster, &args.name).await?;
    output::print(&text(&snapshot, Timestamp::now(), paint))
}

/// The whole view.
pub(crate) fn text(snapshot: &Snapshot, now: Timestamp, paint: Paint) -> String {
    let header = header::text(snapshot, paint);
    let tree = tree::draw(snapshot, now, paint);
    let below = below::lines(snapshot, now);
    format!("{header}\n{tree}\n{below}")
}

#[cfg(test)]
pub(crate) mod tests;
