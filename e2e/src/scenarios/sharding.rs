//! A second installation, for one namespace and one instance id, with the rights of its roles and no others.
//!
//! The first one has every right on the cluster, since its GitOps loop applies whatever there is; a rule that is missing
//! in a role shows here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::fixtures::{job_analysis, rollout, services};
use super::watch::{analysis_runs, experiments, healthy, observed, replica_sets, rollouts};
use crate::cluster::Namespace;
use crate::command::Command;
use crate::demo::stage::{kind, text};
use crate::install::Program;
use crate::product::{checkout, images};
use crate::wait::eventually;

const INSTANCE: &str = "argo-rollouts.argoproj.io/controller-instance-id";

/// An experiment, a Job, metadata, a blue-green and a restart, by a controller that may do nothing else. Its Jobs run in a
/// namespace of their own.
pub(super) async fn own_rights_suffice(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("shard").await?;
    let jobs = stage.cluster.namespace("shard-jobs").await?;
    let name = namespace.name();
    let id = name.to_owned();
    let place = format!("analysisJobs.namespace={}", jobs.name());
    install(&stage, name, &id, &[place]).await?;
    let outcome = async {
        updates(&stage, &namespace, &id).await?;
        jobs_elsewhere(&stage, name, jobs.name()).await
    };
    let outcome = outcome.await;
    uninstall(&stage, name).await?;
    outcome
}

/// The Jobs of all runs are in their namespace, and go with their runs, although nothing there owns them.
async fn jobs_elsewhere(stage: &Stage, namespace: &str, place: &str) -> Result<()> {
    let jobs = kind("batch", "v1", "Job", "jobs");
    let here = stage.list(namespace, &jobs).await?;
    ensure!(here.is_empty(), "Jobs beside their runs: {here:?}");
    let runs = stage.list(namespace, &analysis_runs()).await?;
    let uids: BTreeSet<String> = runs.iter().map(|run| text(run, "/metadata/uid")).collect();
    let made = stage.list(place, &jobs).await?;
    let of_run = |job: &Value| text(job, "/metadata/labels/analysisrun.argoproj.io~1uid");
    // A run that is told to end takes its Job away at once.
    ensure!(
        !made.is_empty() && made.iter().all(|job| uids.contains(&of_run(job))),
        "Jobs in {place}: {made:?}"
    );
    for run in &runs {
        let name = text(run, "/metadata/name");
        stage.delete(namespace, &analysis_runs(), &name).await?;
    }
    eventually(
        "the Jobs to go with their runs",
        Duration::from_secs(30),
        || async {
            let left = stage.list(place, &jobs).await?;
            ensure!(left.is_empty(), "{} are left", left.len());
            Ok(())
        },
    )
    .await
}

/// Takes the second installation away, with its ClusterRole, which does not go with the namespace. Nothing happens when
/// there is none.
pub(super) async fn uninstall(stage: &Stage, namespace: &str) -> Result<()> {
    let helm = stage.cluster.tools().path(Program::Helm)?;
    Command::new(helm)
        .args([
            "uninstall",
            "shard",
            "--ignore-not-found",
            "--namespace",
            namespace,
        ])
        .env("KUBECONFIG", stage.cluster.kubeconfig())
        .run()
        .await?;
    Ok(())
}

/// Installs Sluice for the objects of a namespace that carry an instance id, with more values of the chart, and waits until
/// it is ready.
pub(super) async fn install(
    stage: &Stage,
    namespace: &str,
    id: &str,
    more: &[String],
) -> Result<()> {
    let helm = stage.cluster.tools().path(Program::Helm)?;
    let values = [
        format!("image.repository={}", images::SLUICE),
        format!("image.tag={}", images::TAG),
        format!("instanceId={id}"),
        "namespaced=true".to_owned(),
        "controllers.applications=false".to_owned(),
        "gitops.clusterAdmin=false".to_owned(),
    ];
    Command::new(helm)
        .args(["install", "shard"])
        .arg(checkout()?.join("charts/sluice"))
        .args(["--namespace", namespace, "--wait", "--timeout", "90s"])
        .args(
            values
                .iter()
                .chain(more)
                .flat_map(|value| ["--set", value.as_str()]),
        )
        .env("KUBECONFIG", stage.cluster.kubeconfig())
        .limit(Duration::from_secs(120))
        .run()
        .await
        .context("cannot install the second Sluice")?;
    Ok(())
}

async fn updates(stage: &Stage, namespace: &Namespace, id: &str) -> Result<()> {
    let name = namespace.name();
    let canary = "canary:\n  canaryMetadata:\n    labels:\n      role: canary\n  steps:\n    - experiment:\n        \
                  duration: 3s\n        templates:\n          - name: candidate\n            specRef: canary\n            \
                  service: {}\n        analyses:\n          - name: smoke\n            templateName: smoke\n    - setWeight: 50";
    let blue_green = "blueGreen:\n  activeService: web-stable\n  scaleDownDelaySeconds: 2\n  prePromotionAnalysis:\n    \
                      templates:\n      - templateName: smoke";
    namespace.apply_yaml(&services()).await?;
    namespace
        .apply_yaml(&job_analysis("smoke", &[("smoke", "exit 0")]))
        .await?;
    // Nobody's: it has no label, and the first installation takes it.
    let labelled = |yaml: &str| {
        yaml.replacen(
            "  name: web\n",
            &format!("  name: web\n  labels:\n    {INSTANCE}: {id}\n"),
            1,
        )
    };
    namespace
        .apply_yaml(&labelled(&rollout(1, blue_green)))
        .await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.update(name, "v2").await?;
    stage
        .rollout_until(name, "the blue-green to be promoted", 60, healthy)
        .await?;
    let strategy = json!([{ "op": "replace", "path": "/spec/strategy", "value": crate::cluster::parse(canary)?[0] }]);
    namespace
        .kubectl(&[
            "patch",
            "rollout",
            "web",
            "--type=json",
            "--patch",
            &strategy.to_string(),
        ])
        .await?;
    stage
        .rollout_until(name, "the canary to be healthy", 60, healthy)
        .await?;
    stage.update(name, "v1").await?;
    stage
        .rollout_until(name, "the canary to be promoted", 90, healthy)
        .await?;
    // Whatever it made carries its id, or the first installation would have had a hand in it.
    let (mut made, all) = (stage.list(name, &analysis_runs()).await?, experiments());
    made.extend(stage.list(name, &all).await?);
    let ours = |object: &&Value| {
        object
            .pointer("/metadata/labels")
            .and_then(|labels| labels.get(INSTANCE))
            .is_some_and(|label| label == id)
    };
    ensure!(
        made.len() == 3 && made.iter().filter(ours).count() == 3,
        "not two runs and an experiment of instance {id}: {:?}",
        made.iter()
            .map(|object| &object["metadata"]["labels"])
            .collect::<Vec<_>>()
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let now = jiff::Timestamp::now().round(jiff::Unit::Second)?;
    let now = json!(now).as_str().unwrap_or_default().to_owned();
    let restart = json!({ "spec": { "restartAt": now } });
    stage.patch(name, &rollouts(), "web", &restart).await?;
    let restarted = |rollout: &Value| {
        observed(rollout) && text(rollout, "/status/restartedAt") == now && healthy(rollout)
    };
    stage
        .rollout_until(name, "the restart", 60, restarted)
        .await?;
    let what = "the log of the second Sluice to be free of refusals";
    eventually(what, Duration::from_secs(5), || async {
        let log = namespace
            .kubectl(&["logs", "deployment/shard-sluice"])
            .await?;
        let refused: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("forbidden"))
            .collect();
        ensure!(refused.is_empty(), "{refused:?}");
        Ok(())
    })
    .await?;
    let sets = stage.list(name, &replica_sets()).await?;
    ensure!(
        sets.iter()
            .any(|set| text(set, "/metadata/name").ends_with("-candidate")),
        "the experiment had no set"
    );
    Ok(())
}
