//! Experiments as steps of a canary.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::Stage;
use super::canary::{paused, sizes};
use super::fixtures::{job_analysis, rollout};
use super::watch::{analysis_runs, experiments, healthy, observed, ready};
use crate::demo::stage::{number, text};
use crate::wait::eventually;

const STEPS: &str = "canary:\n  maxSurge: 1\n  maxUnavailable: 0\n  steps:\n    - experiment:\n        duration: 6s\n        \
                     templates:\n          - name: baseline\n            specRef: stable\n            replicas: 1\n          \
                     - name: candidate\n            specRef: canary\n            replicas: 2\n    - setWeight: 50\n    - pause: {}";

/// Pods of both versions come up beside the Rollout's own and go again, and the Rollout goes on.
pub(super) async fn step(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("experiment").await?;
    let name = namespace.name();
    namespace.apply_yaml(&rollout(2, STEPS)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.update(name, "v2").await?;
    // One of the stable version and two of the new one, beside the two that serve.
    eventually(
        "the pods of both templates",
        Duration::from_secs(45),
        || async {
            let versions = versions(&stage, name).await?;
            ensure!(versions == ["v1", "v1", "v1", "v2", "v2"], "{versions:?}");
            Ok(())
        },
    )
    .await?;
    // The Experiment sees the last of them a moment later.
    eventually("the Experiment to run", Duration::from_secs(20), || async {
        let experiment = experiment(&stage, name).await?;
        let phase = text(&experiment, "/status/phase");
        ensure!(phase == "Running", "{}", experiment["status"]);
        Ok(())
    })
    .await?;
    let rollout = stage
        .rollout_until(name, "the pause after the experiment", 40, paused)
        .await?;
    ensure!(
        number(&rollout, "/status/currentStepIndex") == 2,
        "not in the third step: {}",
        rollout["status"]
    );
    let over = experiment(&stage, name).await?;
    ensure!(
        text(&over, "/status/phase") == "Successful",
        "the Rollout went on with the experiment: {}",
        over["status"]
    );
    eventually(
        "the pods of the experiment to go",
        Duration::from_secs(60),
        || async {
            let versions = versions(&stage, name).await?;
            ensure!(versions == ["v1", "v2"], "{versions:?}");
            Ok(())
        },
    )
    .await?;
    stage.promote(name).await?;
    stage
        .rollout_until(name, "v2 to be healthy", 60, healthy)
        .await?;
    Ok(())
}

/// An analysis of the experiment that fails aborts the update before the first pod of it.
pub(super) async fn fails(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("experiment-fails").await?;
    let name = namespace.name();
    let strategy = "canary:\n  steps:\n    - experiment:\n        templates:\n          - name: candidate\n            \
                    specRef: canary\n        analyses:\n          - name: smoke\n            templateName: smoke\n            \
                    requiredForCompletion: true\n    - setWeight: 50";
    namespace
        .apply_yaml(&job_analysis("smoke", &[("smoke", "exit 1")]))
        .await?;
    namespace.apply_yaml(&rollout(2, strategy)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.update(name, "v2").await?;
    let aborted =
        |rollout: &Value| observed(rollout) && text(rollout, "/status/phase") == "Degraded";
    stage
        .rollout_until(name, "the update to be aborted", 60, aborted)
        .await?;
    let experiment = experiment(&stage, name).await?;
    ensure!(
        text(&experiment, "/status/phase") == "Failed",
        "{}",
        experiment["status"]
    );
    let runs = stage.list(name, &analysis_runs()).await?;
    ensure!(
        runs.iter()
            .any(|run| text(run, "/status/phase") == "Failed"),
        "no failed run: {runs:?}"
    );
    eventually(
        "nothing but the stable pods",
        Duration::from_secs(60),
        || async {
            let (versions, sizes) = (versions(&stage, name).await?, sizes(&stage, name).await?);
            ensure!(
                versions == ["v1", "v1"] && sizes == [2],
                "{versions:?} in sets of {sizes:?}"
            );
            Ok(())
        },
    )
    .await
}

/// The one experiment.
async fn experiment(stage: &Stage, namespace: &str) -> Result<Value> {
    let mut all = stage.list(namespace, &experiments()).await?;
    if all.len() > 1 {
        bail!("{} experiments", all.len());
    }
    all.pop().context("no experiment")
}

/// Versions of the pods that are ready, sorted.
async fn versions(stage: &Stage, namespace: &str) -> Result<Vec<String>> {
    let pods = stage.living_pods(namespace).await?;
    let mut versions: Vec<String> = pods
        .iter()
        .filter(|pod| ready(pod))
        .map(|pod| text(pod, "/spec/containers/0/image"))
        .map(|image| image.rsplit(':').next().unwrap_or_default().to_owned())
        .collect();
    versions.sort_unstable();
    Ok(versions)
}
