//! `get rollout --watch`: the view anew on every change, at most five times a second, and on a terminal each second for
//! ages and countdowns.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use futures::stream::{BoxStream, SelectAll};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use kube::runtime::{WatchStreamExt, watcher};
use sluice_crds::names;
use tokio::time::Instant;

use super::read;
use super::snapshot::Snapshot;
use crate::args::GetArgs;
use crate::cluster::{self, Cluster, Kind};
use crate::failure;
use crate::output;
use crate::paint::Paint;

/// Least time between two views.
const SHORTEST: Duration = Duration::from_millis(200);
/// How long an API server that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Watches until interrupted, or for as long as was said.
pub(super) async fn run(cluster: &Cluster, args: &GetArgs, paint: Paint) -> Result<()> {
    let end = async {
        match args.timeout_seconds {
            0 => std::future::pending().await,
            seconds => tokio::time::sleep(Duration::from_secs(seconds)).await,
        }
    };
    tokio::select! {
        outcome = draw(cluster, args, paint) => outcome,
        () = end => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn draw(cluster: &Cluster, args: &GetArgs, paint: Paint) -> Result<()> {
    let mut snapshot = read::read(cluster, &args.name).await?;
    let mut changes = changes(cluster, &snapshot, &args.name);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let live = std::io::stdout().is_terminal();
    let mut drawn = String::new();
    let mut stale_since: Option<Instant> = None;
    loop {
        let mut text = super::text(&snapshot, Timestamp::now(), paint);
        if let Some(since) = stale_since {
            let seconds = since.elapsed().as_secs();
            text += &format!("\nNot current: no answer from the API server for {seconds} s\n");
        }
        if text != drawn {
            // A terminal is cleared and drawn anew; a pipe gets each state below the one before.
            output::print(&if live {
                format!("\x1b[H\x1b[2J{text}")
            } else {
                format!("{text}\n")
            })?;
            drawn = text;
        }
        tokio::time::sleep(SHORTEST).await;
        let changed = tokio::select! {
            _ = second.tick(), if live || stale_since.is_some() => stale_since.is_some(),
            Some(()) = changes.next() => true,
        };
        if !changed {
            continue;
        }
        // What has come in together is read together.
        while let Some(Some(())) = changes.next().now_or_never() {}
        match read::read(cluster, &args.name).await {
            Ok(read) => {
                snapshot = read;
                stale_since = None;
            }
            Err(error) if failure::is_transient(&error) => {
                let since = *stale_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// One item for each change of what belongs to the Rollout.
fn changes(
    cluster: &Cluster,
    snapshot: &Snapshot,
    name: &str,
) -> SelectAll<BoxStream<'static, ()>> {
    let named = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let selector = read::below(&snapshot.rollout).label_selector;
    let below = watcher::Config {
        label_selector: selector,
        ..watcher::Config::default()
    };
    let runs = watcher::Config::default().labels(names::POD_TEMPLATE_HASH);
    let of = |kind: &Kind, config: watcher::Config| {
        watcher(cluster.api(kind), config)
            .default_backoff()
            .filter_map(|event| std::future::ready(event.is_ok().then_some(())))
            .boxed()
    };
    futures::stream::select_all([
        of(&cluster::ROLLOUTS, named),
        of(&cluster::REPLICA_SETS, below.clone()),
        of(&cluster::PODS, below),
        of(&cluster::ANALYSIS_RUNS, runs),
    ])
}
