//! Analyses by Jobs that really run.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::canary::sizes;
use super::fixtures::{job_analysis, rollout};
use super::watch::{analysis_runs, healthy};
use crate::demo::stage::{kind, text};

const STEPS: &str = "canary:\n  steps:\n    - setWeight: 50\n    - analysis:\n        templates:\n          \
                     - templateName: checks\n    - setWeight: 80";

/// Two Jobs that succeed let the update through.
pub(super) async fn jobs_succeed(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("job").await?;
    let name = namespace.name();
    let checks = [("quick", "exit 0"), ("slow", "sleep 3; exit 0")];
    namespace
        .apply_yaml(&job_analysis("checks", &checks))
        .await?;
    namespace.apply_yaml(&rollout(2, STEPS)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.update(name, "v2").await?;
    stage
        .rollout_until(name, "v2 to be healthy", 60, healthy)
        .await?;
    let runs = stage.list(name, &analysis_runs()).await?;
    ensure!(runs.len() == 1, "{} runs", runs.len());
    let run = &runs[0];
    ensure!(
        text(run, "/status/phase") == "Successful",
        "{}",
        run["status"]
    );
    let jobs = stage.list(name, &jobs()).await?;
    let owner = text(run, "/metadata/uid");
    ensure!(
        jobs.len() == 2
            && jobs.iter().all(|job| {
                text(job, "/metadata/ownerReferences/0/uid") == owner
                    && job.pointer("/status/succeeded") == Some(&json!(1))
            }),
        "not two Jobs of the run that succeeded: {jobs:?}"
    );
    Ok(())
}

/// One of them fails: the update is aborted, and the run names the Job.
pub(super) async fn a_job_fails(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("job-fails").await?;
    let name = namespace.name();
    let checks = [("good", "exit 0"), ("bad", "sleep 1; exit 1")];
    namespace
        .apply_yaml(&job_analysis("checks", &checks))
        .await?;
    namespace.apply_yaml(&rollout(2, STEPS)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.update(name, "v2").await?;
    stage.aborted_over(name, "bad").await?;
    let runs = stage.list(name, &analysis_runs()).await?;
    let results = runs
        .first()
        .and_then(|run| run.pointer("/status/metricResults"))
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let phase = |metric: &str| {
        results
            .iter()
            .find(|result| text(result, "/name") == metric)
            .map(|result| text(result, "/phase"))
            .unwrap_or_default()
    };
    ensure!(
        phase("good") == "Successful" && phase("bad") == "Failed",
        "{results:?}"
    );
    crate::wait::eventually(
        "the stable set alone",
        std::time::Duration::from_secs(30),
        || async {
            let sizes = sizes(&stage, name).await?;
            ensure!(sizes == [2], "sets of {sizes:?}");
            Ok(())
        },
    )
    .await
}

/// The update is aborted while a Job runs: the Job does not go on.
pub(super) async fn a_long_job_is_ended(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("job-long").await?;
    let name = namespace.name();
    namespace
        .apply_yaml(&job_analysis("checks", &[("endless", "sleep 600")]))
        .await?;
    namespace.apply_yaml(&rollout(2, STEPS)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.update(name, "v2").await?;
    crate::wait::eventually(
        "the Job to run",
        std::time::Duration::from_secs(45),
        || async {
            let jobs = stage.list(name, &jobs()).await?;
            ensure!(
                jobs.iter()
                    .any(|job| job.pointer("/status/active") == Some(&json!(1))),
                "{jobs:?}"
            );
            Ok(())
        },
    )
    .await?;
    let abort = json!({ "status": { "abort": true } });
    stage
        .patch_status(name, &super::watch::rollouts(), "web", &abort)
        .await?;
    crate::wait::eventually(
        "the Job to be ended",
        std::time::Duration::from_secs(30),
        || async {
            let jobs = stage.list(name, &jobs()).await?;
            ensure!(
                jobs.iter().all(|job| {
                    job.pointer("/metadata/deletionTimestamp").is_some()
                        || job.pointer("/status/active").is_none()
                }),
                "{jobs:?}"
            );
            Ok(())
        },
    )
    .await?;
    let runs = stage.list(name, &analysis_runs()).await?;
    ensure!(
        runs.iter()
            .all(|run| text(run, "/status/phase") == "Inconclusive"),
        "a run that was ended from outside is no verdict: {:?}",
        runs.iter().map(|run| &run["status"]).collect::<Vec<_>>()
    );
    Ok(())
}

fn jobs() -> kube::api::ApiResource {
    kind("batch", "v1", "Job", "jobs")
}
