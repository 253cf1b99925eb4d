//! `get --watch`: the view anew on every change, at most five times a second, and on a terminal each second for
//! ages and countdowns.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use futures::stream::{BoxStream, SelectAll};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::time::Instant;

use super::View;
use crate::args::ViewArgs;
use crate::cluster::{Cluster, Kind};
use crate::failure;
use crate::output;
use crate::paint::Paint;

/// Least time between two views.
const SHORTEST: Duration = Duration::from_millis(200);
/// How long an API server that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Watches until interrupted, or for as long as was said.
pub(super) async fn run<V: View>(
    cluster: &Cluster,
    name: &str,
    args: &ViewArgs,
    paint: Paint,
) -> Result<()> {
    let end = async {
        match args.timeout_seconds {
            0 => std::future::pending().await,
            seconds => tokio::time::sleep(Duration::from_secs(seconds)).await,
        }
    };
    tokio::select! {
        outcome = draw::<V>(cluster, name, paint) => outcome,
        () = end => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn draw<V: View>(cluster: &Cluster, name: &str, paint: Paint) -> Result<()> {
    let mut view = V::read(cluster, name).await?;
    let mut changes = changes(cluster, &view, name);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let live = std::io::stdout().is_terminal();
    let mut drawn = String::new();
    let mut stale_since: Option<Instant> = None;
    loop {
        let mut text = view.text(Timestamp::now(), paint);
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
        match V::read(cluster, name).await {
            Ok(read) => {
                view = read;
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

/// One item for each change of the object and of what belongs to it.
fn changes<V: View>(cluster: &Cluster, view: &V, name: &str) -> SelectAll<BoxStream<'static, ()>> {
    let of = |kind: &Kind, config: watcher::Config| {
        watcher(cluster.api(kind), config)
            .default_backoff()
            .filter_map(|event| std::future::ready(event.is_ok().then_some(())))
            .boxed()
    };
    let named = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let below = view.below().into_iter().map(|(kind, label_selector)| {
        let config = watcher::Config {
            label_selector,
            ..watcher::Config::default()
        };
        of(&kind, config)
    });
    futures::stream::select_all(std::iter::once(of(&V::KIND, named)).chain(below))
}
