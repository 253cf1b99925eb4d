//! How fast a push is on the cluster: from the request to the webhook to the changed object.
//!
//! A real Git server and a real repository. The clock starts when the webhook's request leaves this program, after the
//! push is complete, and ends when this program sees the new value in the ConfigMap that was pushed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::figures::{Figure, Latencies};
use super::git;
use super::manifests::{application, applications};
use super::stage::{NAMESPACE, Stage};
use super::subject::SYSTEM;
use super::watch::Watch;
use crate::cluster;
use crate::demo::stage::{kind, text};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Promised: milliseconds from the webhook to applied objects.
const TARGET: Option<f64> = Some(3000.0);
/// Rounds are slower than those of an abort, and vary less: so many times fewer.
const FEWER: usize = 2;

/// Measures it.
///
/// # Errors
/// When a round does not come to its end.
pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let controller = stage.controller().await?;
    let repository = git::serve(&stage.cluster).await?;
    let url = repository.url.clone();
    let rounds = (stage.settings.rounds / FEWER).max(1);
    let maps = kind("", "v1", "ConfigMap", "configmaps");
    let mut values = Watch::start(stage.api(&maps), |object| {
        Some(text(&object.data, "/data/value"))
    });
    let system = kube::Api::namespaced_with(stage.client.clone(), SYSTEM, &applications());
    let mut synced = Watch::start(system, |object| {
        let done = text(&object.data, "/status/operationState/phase") == "Succeeded"
            && text(&object.data, "/status/sync/status") == "Synced";
        done.then(|| text(&object.data, "/status/sync/revision"))
    });
    let first = repository
        .push("0", &[("app/map.yaml", Some(&map(0)))])
        .await?;
    let app = application(&url, NAMESPACE);
    cluster::apply::objects(&stage.client, &[app], None).await?;
    synced
        .until("the first sync", LIMIT, |revision| *revision == first)
        .await?;

    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut latencies = Vec::new();
    let step = stage.reporter.step("webhook");
    for round in 1..=rounds {
        step.detail(format!("round {round} of {rounds}"));
        let text = map(round);
        let files = [("app/map.yaml", Some(text.as_str()))];
        let sha = repository.push(&format!("{round}"), &files).await?;
        values.drain();
        let payload = json!({
            "ref": "refs/heads/main", "after": sha,
            "repository": {"clone_url": url, "html_url": url, "default_branch": "main"},
            "commits": [{"added": [], "removed": [], "modified": ["app/map.yaml"]}],
        });
        let began = Instant::now();
        let request = http
            .post(controller.webhook()?)
            .header("X-GitHub-Event", "push")
            .json(&payload);
        let answer = request.send().await?;
        ensure!(
            answer.status().is_success(),
            "the webhook answers {}",
            answer.status()
        );
        let wanted = round.to_string();
        let seen = values
            .until("the pushed object", LIMIT, |value| *value == wanted)
            .await?;
        latencies.push(seen.at.duration_since(began));
        synced
            .until("the end of the sync", LIMIT, |revision| *revision == sha)
            .await?;
    }
    let latencies: Latencies = latencies.into_iter().collect();
    step.done(latencies.summary());
    Ok(latencies.figures("webhook → applied object", TARGET, TARGET))
}

fn map(value: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  value: \"{value}\"\n"
    )
}
