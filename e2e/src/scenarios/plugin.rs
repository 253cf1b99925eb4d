//! The kubectl plugin against a real controller, under both of its names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::Stage;
use super::canary::paused;
use super::fixtures::{self, rollout, routed, services};
use super::watch::{healthy, observed};
use crate::command::Command;
use crate::demo::stage::{number, text};
use crate::wait::eventually;

/// Abort, retry, promote, undo, status, get and list.
pub(super) async fn operations(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("plugin").await?;
    let name = namespace.name();
    let folder = tempfile::tempdir()?;
    let upstream = folder.path().join("kubectl-argo-rollouts");
    std::os::unix::fs::symlink(&stage.programs.plugin, &upstream)?;
    let sluice = Plugin {
        stage: &stage,
        program: &stage.programs.plugin,
        namespace: name,
    };
    let argo = Plugin {
        stage: &stage,
        program: &upstream,
        namespace: name,
    };

    namespace.apply_yaml(&services()).await?;
    namespace
        .apply_yaml(&fixtures::http_route(&format!("{name}.local")))
        .await?;
    let strategy = routed(
        name,
        "- setWeight: 20\n- pause: {}",
        "abortScaleDownDelaySeconds: 5",
    );
    namespace.apply_yaml(&rollout(2, &strategy)).await?;
    let status = sluice.run(&["status", "web", "--timeout", "90s"]).await?;
    ensure!(
        status.trim_end().ends_with("Healthy"),
        "status says {status:?}"
    );

    argo.run(&[
        "set",
        "image",
        "web",
        &format!("web={}:v2", crate::product::images::DEMO_APP),
    ])
    .await?;
    stage.rollout_until(name, "the pause", 60, paused).await?;
    let tree = argo.run(&["get", "rollout", "web"]).await?;
    for part in [
        "Status:          ॥ Paused",
        "Strategy:        Canary",
        "# revision:2",
        "stable",
        "canary",
        "SetWeight:     20",
        "ActualWeight:  20",
    ] {
        ensure!(
            tree.contains(part),
            "`get rollout` does not show {part:?}:\n{tree}"
        );
    }
    ensure!(!tree.contains('\x1b'), "a pipe got colours");
    let list = sluice.run(&["list", "rollouts"]).await?;
    ensure!(list.contains("web") && list.contains("Paused"), "{list}");

    sluice.run(&["abort", "web"]).await?;
    let aborted = |rollout: &Value| {
        text(rollout, "/status/phase") == "Degraded"
            && number(rollout, "/status/canary/weights/canary/weight") == 0
    };
    stage.rollout_until(name, "the abort", 30, aborted).await?;
    let refused = sluice.run(&["status", "web", "--timeout", "5s"]).await;
    ensure!(
        refused.is_err(),
        "status of a degraded Rollout must not end well"
    );
    let why = sluice.run(&["explain", "web"]).await?;
    ensure!(
        why.contains("aborted"),
        "explain does not say that it is aborted:\n{why}"
    );

    argo.run(&["retry", "rollout", "web"]).await?;
    stage
        .rollout_until(name, "the pause after the retry", 60, paused)
        .await?;
    argo.run(&["promote", "web"]).await?;
    stage
        .rollout_until(name, "v2 to be healthy", 90, healthy)
        .await?;

    sluice.run(&["undo", "web"]).await?;
    stage
        .rollout_until(name, "the pause of the undo", 60, paused)
        .await?;
    sluice.run(&["promote", "web", "--full"]).await?;
    let back = stage
        .rollout_until(name, "v1 to be healthy again", 90, healthy)
        .await?;
    let image = text(&back, "/spec/template/spec/containers/0/image");
    ensure!(image.ends_with(":v1"), "undo went to {image}");

    sluice.run(&["pause", "web"]).await?;
    let held = |rollout: &Value| observed(rollout) && text(rollout, "/status/phase") == "Paused";
    stage
        .rollout_until(name, "the manual pause", 30, held)
        .await?;
    sluice.run(&["promote", "web"]).await?;
    stage
        .rollout_until(name, "the end of the manual pause", 30, healthy)
        .await?;
    eventually("JSON of the Rollout", Duration::from_secs(5), || async {
        let json: Value =
            serde_json::from_str(&sluice.run(&["get", "rollout", "web", "-o", "json"]).await?)?;
        if text(&json, "/kind") != "Rollout" {
            bail!("kind is {:?}", text(&json, "/kind"));
        }
        Ok(())
    })
    .await
}

/// A kubectl plugin: the program, and the namespace that it is to work in.
pub(super) struct Plugin<'a> {
    pub(super) stage: &'a Stage,
    pub(super) program: &'a Path,
    pub(super) namespace: &'a str,
}

impl Plugin<'_> {
    /// What a command prints; an error when its exit code is not 0.
    pub(super) async fn run(&self, args: &[&str]) -> Result<String> {
        Command::new(self.program)
            .args(args)
            .args(["--namespace", self.namespace])
            .env("KUBECONFIG", self.stage.cluster.kubeconfig())
            .limit(Duration::from_secs(120))
            .run()
            .await
    }
}
