//! `app sync`: writes the operation that the controller carries out, and waits for its end.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::read;
use crate::cluster::{self, Cluster};
use crate::get::owned::text;
use crate::output;

/// Attempts at writing while the controller writes too.
const ATTEMPTS: usize = 5;

/// What is asked for.
pub(super) struct Order {
    /// Revision; the target revision when absent.
    pub(super) revision: Option<String>,
    /// Deletes what Git no longer has.
    pub(super) prune: bool,
    /// Only says what would be done.
    pub(super) dry_run: bool,
}

/// Carries out `app sync`.
pub(super) async fn run(
    cluster: &Cluster,
    name: &str,
    order: &Order,
    wait: Option<Duration>,
) -> Result<()> {
    let started = begin(cluster, name, order).await?;
    let Some(limit) = wait else {
        return output::print(&format!("application '{name}' is syncing\n"));
    };
    let began = Instant::now();
    loop {
        let application = read(cluster, name).await?;
        let state = application
            .pointer("/status/operationState")
            .unwrap_or(&Value::Null);
        let phase = text(state, "/phase");
        let over = matches!(phase, "Succeeded" | "Failed" | "Error");
        let pending = application
            .get("operation")
            .is_some_and(|operation| !operation.is_null());
        if over && !pending && text(state, "/startedAt") != started {
            let message = text(state, "/message");
            if phase != "Succeeded" {
                bail!("sync of {name} ended as {phase}: {message}");
            }
            return output::print(&format!("application '{name}' synced: {message}\n"));
        }
        if began.elapsed() > limit {
            bail!(
                "sync of {name} has not ended within {} s (phase {phase})",
                limit.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Writes the operation; returns when the one before it started.
async fn begin(cluster: &Cluster, name: &str, order: &Order) -> Result<String> {
    let mut attempt = 1;
    loop {
        let application = read(cluster, name).await?;
        if application
            .get("operation")
            .is_some_and(|operation| !operation.is_null())
        {
            bail!("another operation is already in progress");
        }
        // Written only if nobody else orders one in between.
        let patch = json!({
            "metadata": { "resourceVersion": application.pointer("/metadata/resourceVersion") },
            "operation": operation(&application, order),
        });
        let api = cluster.api(&cluster::APPLICATIONS);
        match api
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Ok(_) => return Ok(text(&application, "/status/operationState/startedAt").to_owned()),
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < ATTEMPTS => {
                attempt += 1
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn operation(application: &Value, order: &Order) -> Value {
    let mut sync = json!({
        "syncStrategy": { "hook": {} },
        "syncOptions": application.pointer("/spec/syncPolicy/syncOptions"),
    });
    if let Some(sync) = sync.as_object_mut() {
        if let Some(revision) = &order.revision {
            sync.insert("revision".to_owned(), json!(revision));
        }
        if order.prune {
            sync.insert("prune".to_owned(), json!(true));
        }
        if order.dry_run {
            sync.insert("dryRun".to_owned(), json!(true));
        }
        sync.retain(|_, value| !value.is_null());
    }
    json!({ "sync": sync, "initiatedBy": { "username": "kubectl-sluice" } })
}
