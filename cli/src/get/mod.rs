//! `get rollout` and `get experiment`.
//!
//! | step | file |
//! |---|---|
//! | read what belongs to the Rollout; to the Experiment | [`read`]; [`experiment`] |
//! | as plain data | [`snapshot`], [`owned`] |
//! | the header that people know | [`header`], with [`roles`] and [`weights`] |
//! | the tree that people know | [`tree`], with [`pod`] and [`age`] |
//! | below them, what only Sluice can say | [`below`], with [`decision`], [`measured`] and [`forecast`] |
//! | again on every change | [`watch`] |

pub(crate) mod age;
pub(crate) mod below;
pub(crate) mod decision;
pub(crate) mod experiment;
pub(crate) mod forecast;
pub(crate) mod header;
pub(crate) mod measured;
pub(crate) mod owned;
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

use crate::args::ViewArgs;
use crate::cluster::{self, Cluster, Kind};
use crate::output;
use crate::paint::Paint;
use experiment::ExperimentView;
use snapshot::Snapshot;

/// What `get` shows of one kind.
pub(crate) trait View: Sized {
    /// The kind.
    const KIND: Kind;

    /// Reads an object and everything below it.
    ///
    /// # Errors
    /// When the object cannot be read or decoded; of what is below it the rest is shown.
    async fn read(cluster: &Cluster, name: &str) -> Result<Self>;

    /// The kinds below it whose changes are shown, each with a label selector.
    fn below(&self) -> Vec<(Kind, Option<String>)>;

    /// All of it.
    fn text(&self, now: Timestamp, paint: Paint) -> String;
}

impl View for Snapshot {
    const KIND: Kind = cluster::ROLLOUTS;

    async fn read(cluster: &Cluster, name: &str) -> Result<Self> {
        read::read(cluster, name).await
    }

    fn below(&self) -> Vec<(Kind, Option<String>)> {
        let rollout = &self.rollout;
        let experiments = self.experiments.iter();
        let experiments: Vec<_> = experiments.map(|view| view.experiment.clone()).collect();
        let mut below = vec![(cluster::ANALYSIS_RUNS, read::runs(rollout))];
        if read::has_experiments(rollout) {
            below.push((cluster::EXPERIMENTS, None));
        }
        below.extend(pods_and_sets(read::below(rollout, &experiments)));
        below
    }

    fn text(&self, now: Timestamp, paint: Paint) -> String {
        text(self, now, paint)
    }
}

impl View for ExperimentView {
    const KIND: Kind = cluster::EXPERIMENTS;

    async fn read(cluster: &Cluster, name: &str) -> Result<Self> {
        experiment::read::read(cluster, name).await
    }

    fn below(&self) -> Vec<(Kind, Option<String>)> {
        let mut below = vec![(cluster::ANALYSIS_RUNS, None)];
        below.extend(pods_and_sets(experiment::read::below(&self.experiment)));
        below
    }

    fn text(&self, now: Timestamp, paint: Paint) -> String {
        experiment::text(self, now, paint)
    }
}

fn pods_and_sets(selectors: Vec<Option<String>>) -> impl Iterator<Item = (Kind, Option<String>)> {
    let kinds = [cluster::REPLICA_SETS, cluster::PODS];
    selectors
        .into_iter()
        .flat_map(move |selector| kinds.map(|kind| (kind, selector.clone())))
}

/// Carries out `get`.
pub(crate) async fn run<V: View>(
    cluster: &Cluster,
    name: &str,
    args: &ViewArgs,
    paint: Paint,
) -> Result<()> {
    if let Some(format) = args.output {
        return output::object(&cluster.get(&V::KIND, name).await?, format);
    }
    if args.watch {
        return watch::run::<V>(cluster, name, args, paint).await;
    }
    let view = V::read(cluster, name).await?;
    output::print(&view.text(Timestamp::now(), paint))
}

/// The whole view of a Rollout.
pub(crate) fn text(snapshot: &Snapshot, now: Timestamp, paint: Paint) -> String {
    let header = header::text(snapshot, paint);
    let tree = tree::rollout(snapshot, now, paint);
    let below = below::lines(snapshot, now);
    format!("{header}\n{tree}\n{below}")
}

#[cfg(test)]
pub(crate) mod tests;
