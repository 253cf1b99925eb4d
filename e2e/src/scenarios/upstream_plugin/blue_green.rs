//! The commands that a blue-green understands in another way than a canary.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::super::Stage;
use super::super::canary::paused;
use super::super::fixtures::{rollout, services};
use super::super::watch::{self, healthy, observed};
use super::Plugins;
use crate::demo::stage::text;

const MANUAL: &str = "blueGreen:\n  activeService: web-stable\n  previewService: web-canary\n  autoPromotionEnabled: false";

/// `set image`, `abort`, `retry`, `promote`, and an `undo` to a set that still runs.
pub(in super::super) async fn blue_green(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("argo-bluegreen").await?;
    let name = namespace.name();
    let plugins = Plugins::new(&stage, name)?;
    namespace.apply_yaml(&services()).await?;
    namespace.apply_yaml(&rollout(2, MANUAL)).await?;
    plugins.status().await?;
    let until = async |what: &str, done: fn(&Value) -> bool| {
        stage.rollout_until(name, what, 60, done).await
    };
    let v1 = text(&until("v1", healthy).await?, "/status/stableRS");

    plugins.set_image("*", "v2").await?;
    let rollout = until("the pause before the promotion", paused).await?;
    let v2 = text(&rollout, "/status/currentPodHash");
    active(&stage, name, &v1).await?;
    plugins
        .get_rollout(&[
            "Message:         BlueGreenPause",
            "Strategy:        BlueGreen",
            "demo-app:v1 (stable, active)",
            "demo-app:v2 (preview)",
            "stable,active",
        ])
        .await?;
    // Of the four pods those of the active set are counted.
    let row = ["web", "BlueGreen", "Paused", "-", "-", "2/4", "2", "2", "2"];
    plugins.list("rollouts", &row).await?;

    plugins.argo("abort web").await?;
    until("the abort", aborted).await?;
    active(&stage, name, &v1).await?;
    plugins
        .get_rollout(&["Status:          ✖ Degraded", "RolloutAborted"])
        .await?;
    plugins.argo("retry rollout web").await?;
    until("the pause after the retry", paused).await?;
    active(&stage, name, &v1).await?;
    plugins.argo("promote web").await?;
    until("v2 to be healthy", healthy).await?;
    active(&stage, name, &v2).await?;
    plugins
        .get_rollout(&["demo-app:v2 (stable, active)", "delay:"])
        .await?;

    // The old set still runs: it is gone back to without a pause.
    plugins.argo("undo web").await?;
    let went_back = |rollout: &Value| {
        healthy(rollout) && text(rollout, "/spec/template/spec/containers/0/image").ends_with("v1")
    };
    until("v1 to be healthy again", went_back).await?;
    active(&stage, name, &v1).await.context("after the undo")?;
    plugins.status().await
}

fn aborted(rollout: &Value) -> bool {
    observed(rollout) && text(rollout, "/status/phase") == "Degraded"
}

/// Waits until the active Service selects a revision.
async fn active(stage: &Stage, namespace: &str, hash: &str) -> Result<()> {
    stage
        .until(
            namespace,
            &watch::services(),
            "web-stable",
            &format!("{hash} to be active"),
            10,
            |service| selected(service) == hash,
        )
        .await
        .context("the active Service")?;
    Ok(())
}

fn selected(service: &Value) -> String {
    text(service, "/spec/selector/rollouts-pod-template-hash")
}
