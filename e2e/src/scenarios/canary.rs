//! Canaries without routing, and what happens in the middle of one.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::fixtures::rollout;
use super::watch::{healthy, observed, replica_sets, rollouts};
use crate::demo::stage::{number, text};

const BASIC: &str =
    "canary:\n  maxSurge: 1\n  maxUnavailable: 0\n  steps:\n    - setWeight: 50\n    - pause: {}";

/// Without routing the share of the canary is its share of the pods.
pub(super) async fn basic(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("basic").await?;
    let name = namespace.name();
    namespace.apply_yaml(&rollout(4, BASIC)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.update(name, "v2").await?;
    stage.rollout_until(name, "the pause", 60, paused).await?;
    let sizes = sizes(&stage, name).await?;
    ensure!(
        sizes == [2, 2],
        "at 50 % of 4 pods the sets have {sizes:?} pods, not 2 and 2"
    );
    stage
        .patch_status(
            name,
            &rollouts(),
            "web",
            &json!({ "status": { "pauseConditions": null } }),
        )
        .await?;
    stage
        .rollout_until(name, "v2 to be healthy", 60, healthy)
        .await?;
    Ok(())
}

/// Going back to the stable template in the middle skips the steps.
pub(super) async fn fast_track(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("back").await?;
    let name = namespace.name();
    namespace.apply_yaml(&rollout(2, BASIC)).await?;
    let first = stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.update(name, "v2").await?;
    stage.rollout_until(name, "the pause", 60, paused).await?;
    stage.update(name, "v1").await?;
    let back = stage
        .rollout_until(name, "v1 to be healthy again", 60, healthy)
        .await?;
    let hash = |rollout: &Value| text(rollout, "/status/stableRS");
    ensure!(
        hash(&first) == hash(&back),
        "another ReplicaSet is stable than before"
    );
    ensure!(
        number(&back, "/status/currentStepIndex") == 2,
        "the steps were not skipped: {}",
        back["status"]
    );
    Ok(())
}

/// `spec.replicas` changed in a pause scales both sides and stays in the pause.
pub(super) async fn scaled_in_a_pause(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("scale").await?;
    let name = namespace.name();
    namespace.apply_yaml(&rollout(2, BASIC)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.update(name, "v2").await?;
    stage.rollout_until(name, "the pause", 60, paused).await?;
    stage
        .patch(
            name,
            &rollouts(),
            "web",
            &json!({ "spec": { "replicas": 4 } }),
        )
        .await?;
    let grown = |rollout: &Value| {
        paused(rollout) && observed(rollout) && number(rollout, "/status/availableReplicas") == 4
    };
    stage
        .rollout_until(name, "four pods in the same pause", 60, grown)
        .await?;
    let sizes = sizes(&stage, name).await?;
    ensure!(
        sizes == [2, 2],
        "at 50 % of 4 pods the sets have {sizes:?} pods"
    );
    Ok(())
}

/// Whether a Rollout is in a pause that the controller knows of.
pub(super) fn paused(rollout: &Value) -> bool {
    observed(rollout)
        && text(rollout, "/status/phase") == "Paused"
        && rollout.pointer("/status/pauseConditions/0").is_some()
}

/// Sizes of the ReplicaSets that have pods, sorted.
pub(super) async fn sizes(stage: &Stage, namespace: &str) -> Result<Vec<i32>> {
    let sets = stage.list(namespace, &replica_sets()).await?;
    let mut sizes: Vec<i32> = sets
        .iter()
        .map(|set| number(set, "/spec/replicas"))
        .collect();
    sizes.retain(|size| *size > 0);
    sizes.sort_unstable();
    Ok(sizes)
}
