//! `app diff`: which objects differ from Git, as the controller has just compared them.

use std::process::ExitCode;

use anyhow::Result;
use kube::Client;
use serde_json::Value;

use super::{read, text};
use crate::output;

/// Lists what differs; exit code 1 when something does, as `diff` and `argocd app diff` have it.
pub(super) async fn run(client: &Client, namespace: &str, name: &str) -> Result<ExitCode> {
    let application = read(client, namespace, name).await?;
    let resources = application.pointer("/status/resources").and_then(Value::as_array);
    let mut differs = false;
    for resource in resources.into_iter().flatten() {
        if text(resource, "/status") == "Synced" {
            continue;
        }
        differs = true;
        let pruned = resource.get("requiresPruning").and_then(Value::as_bool) == Some(true);
        let what = if pruned { "is not in Git" } else { "differs from Git" };
        output::print(&format!(
            "===== {}/{} {}/{} {what} ({}) ======\n",
            text(resource, "/group"),
            text(resource, "/kind"),
            text(resource, "/namespace"),
            text(resource, "/name"),
            text(resource, "/status"),
        ))?;
    }
    Ok(if differs { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
