//! `get rollout`: read ([`snapshot`]), build the tree ([`tree`]), write it ([`render`]).

pub(crate) mod render;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod tree;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};

use crate::args::GetArgs;
use crate::cluster::resource;
use crate::output;
use crate::paint::Paint;
use snapshot::Snapshot;

/// Carries out `get rollout`.
pub(crate) async fn run(client: &Client, namespace: &str, args: &GetArgs) -> Result<()> {
    if let Some(format) = args.output {
        let rollout = snapshot::read_rollout(client, namespace, &args.name).await?;
        return output::object(&serde_json::to_value(rollout)?, format);
    }
    let paint = Paint::stdout(args.no_color);
    let snapshot = Snapshot::read(client, namespace, &args.name).await?;
    if !args.watch {
        return output::print(&render::text(&snapshot, Timestamp::now(), paint));
    }
    watch(client, namespace, args, paint).await
}

/// Draws the view anew on every change, at most five times a second, and each second for ages and countdowns.
async fn watch(client: &Client, namespace: &str, args: &GetArgs, paint: Paint) -> Result<()> {
    let end = async {
        if args.timeout_seconds == 0 {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs(args.timeout_seconds)).await;
    };
    let mut end = std::pin::pin!(end);
    let mut changes = futures::stream::select_all(
        [&resource::ROLLOUTS, &resource::REPLICA_SETS, &resource::PODS, &resource::ANALYSIS_RUNS]
            .map(|kind| {
                let api: Api<DynamicObject> =
                    Api::namespaced_with(client.clone(), namespace, &kind.api());
                watcher(api, watcher::Config::default()).default_backoff().map_ok(|_| ()).boxed()
            }),
    );
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let live = std::io::stdout().is_terminal();
    let mut drawn = String::new();
    loop {
        let snapshot = Snapshot::read(client, namespace, &args.name).await?;
        let text = render::text(&snapshot, Timestamp::now(), paint);
        if text != drawn {
            // A terminal is cleared and drawn anew; a pipe gets each state below the one before.
            output::print(&if live { format!("\x1b[H\x1b[2J{text}") } else { format!("{text}\n") })?;
            drawn = text;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::select! {
            () = &mut end => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = second.tick() => {}
            _ = changes.next() => {}
        }
    }
}
