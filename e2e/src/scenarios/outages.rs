//! Parts of the cluster stop in the middle of something.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::bad_input::application;
use super::fixtures::{self, analysis, rollout, routed, services};
use super::watch::{analysis_runs, applications, condition, healthy, replica_sets, rollouts};
use crate::demo::load::Load;
use crate::demo::stage::{kind, number, text};

async fn analysed(stage: &Stage, namespace: &crate::cluster::Namespace) -> Result<Load> {
    let name = namespace.name();
    let host = format!("{name}.local");
    namespace.apply_yaml(&services()).await?;
    namespace.apply_yaml(&fixtures::http_route(&host)).await?;
    namespace
        .apply_yaml(&analysis(name, &stage.cluster.prometheus_url()))
        .await?;
    let background = "analysis:\n  startingStep: 1\n  templates:\n    - templateName: success-rate\n  args:\n    \
                      - name: canary-hash\n      valueFrom:\n        podTemplateHashValue: Latest";
    // A controller that was killed may wait 15 s for the lease, so that the first pause passes without an analysis; the
    // second one is longer than an analysis needs that begins then.
    let steps =
        "- setWeight: 20\n- pause: {duration: 25}\n- setWeight: 60\n- pause: {duration: 20}";
    namespace
        .apply_yaml(&rollout(3, &routed(name, steps, background)))
        .await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    let entry = stage
        .cluster
        .web_url()
        .trim_start_matches("http://")
        .parse()?;
    Load::start(entry, &host, 50, Duration::from_secs(1200))
}

/// Prometheus is away for some measurements: the rollout holds and says why, and goes on when it is back.
pub(super) async fn prometheus(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("outage").await?;
    let name = namespace.name();
    let _load = analysed(&stage, &namespace).await?;
    stage.update(name, "v2").await?;
    let measured = |runs: &[Value]| {
        runs.iter()
            .any(|run| number(run, "/status/metricResults/0/successful") > 0)
    };
    crate::wait::eventually("a first measurement", Duration::from_secs(60), || async {
        let runs = stage.list(name, &analysis_runs()).await?;
        ensure!(measured(&runs), "{runs:?}");
        Ok(())
    })
    .await?;
    stage.cluster.processes().stop("prometheus").await?;
    let outcome = crate::wait::eventually(
        "errors of the provider",
        Duration::from_secs(40),
        || async {
            let runs = stage.list(name, &analysis_runs()).await?;
            let run = runs.first().context("no run")?;
            ensure!(
                number(run, "/status/metricResults/0/consecutiveError") >= 2,
                "{}",
                run["status"]
            );
            Ok(run.clone())
        },
    )
    .await;
    stage.cluster.processes().start("prometheus")?;
    let run = outcome?;
    ensure!(
        text(&run, "/status/phase") == "Running",
        "an outage has ended the run: {}",
        run["status"]
    );
    let rollout = stage.get(name, &rollouts(), "web").await?;
    ensure!(
        rollout.pointer("/status/abort") != Some(&json!(true)),
        "an outage has aborted the rollout: {}",
        rollout["status"]
    );
    stage
        .rollout_until(name, "v2 to be healthy after the outage", 120, healthy)
        .await?;
    Ok(())
}

/// The Git server is away: what is applied stays, a condition says why, and it recovers by itself.
pub(super) async fn git(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("nogit").await?;
    let name = namespace.name();
    let repository = stage.cluster.repository(name).await?;
    let map = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  value: {value}\n"
        )
    };
    repository
        .push("one", &[("map/map.yaml", Some(&map("one")))])
        .await?;
    stage
        .cluster
        .apply_yaml(&application(name, &repository.url, "map", name).to_string())
        .await?;
    let synced = |app: &Value| text(app, "/status/sync/status") == "Synced";
    stage
        .until(
            "sluice",
            &applications(),
            name,
            "the first sync",
            60,
            synced,
        )
        .await?;
    stage.cluster.processes().stop("git-server").await?;
    let outcome = async {
        let refresh =
            json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": "hard" } } });
        stage
            .patch("sluice", &applications(), name, &refresh)
            .await?;
        let told = |app: &Value| !condition(app, "ComparisonError").is_empty();
        stage
            .until(
                "sluice",
                &applications(),
                name,
                "a condition that says so",
                60,
                told,
            )
            .await?;
        let maps = kind("", "v1", "ConfigMap", "configmaps");
        let kept = stage.get(name, &maps, "settings").await?;
        ensure!(
            text(&kept, "/data/value") == "one",
            "the last good state was not kept"
        );
        Ok(())
    }
    .await;
    stage.cluster.processes().start("git-server")?;
    outcome?;
    // The server needs a moment to listen again.
    crate::wait::eventually(
        "a push after the outage",
        Duration::from_secs(20),
        || async {
            repository
                .push("two", &[("map/map.yaml", Some(&map("two")))])
                .await
                .map(|_| ())
        },
    )
    .await
    .or_else(|error| {
        if error.to_string().contains("nothing to commit") {
            Ok(())
        } else {
            Err(error)
        }
    })?;
    repository
        .git(&["push", "--quiet", "--force", "origin", "HEAD:main"])
        .await?;
    let refresh =
        json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": "normal" } } });
    stage
        .patch("sluice", &applications(), name, &refresh)
        .await?;
    let maps = kind("", "v1", "ConfigMap", "configmaps");
    let recovered = |map: &Value| text(map, "/data/value") == "two";
    stage
        .until(name, &maps, "settings", "the recovery", 60, recovered)
        .await?;
    let clear = |app: &Value| condition(app, "ComparisonError").is_empty();
    stage
        .until(
            "sluice",
            &applications(),
            name,
            "the condition to go",
            30,
            clear,
        )
        .await?;
    stage.delete("sluice", &applications(), name).await
}

/// `kill -9` at ten moments, good and bad versions: each story ends as it would have, and nothing happens twice.
pub(super) async fn kills(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("kill").await?;
    let name = namespace.name();
    let _load = analysed(&stage, &namespace).await?;
    // Moments in the life of an update, in tenths of a second after the push; spread as a seeded dice threw them.
    let moments: [[u64; 5]; 2] = [[3, 21, 62, 118, 240], [8, 35, 90, 131, 171]];
    for (version, moments, good) in [("v2", moments[0], true), ("v3", moments[1], false)] {
        stage.update(name, version).await?;
        let began = std::time::Instant::now();
        for moment in moments {
            while began.elapsed() < Duration::from_millis(moment * 100) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let before = weight(&stage, name).await?;
            kill(&stage).await?;
            let after = weight(&stage, name).await?;
            ensure!(
                after <= before,
                "the canary's weight rose from {before} to {after} by a kill"
            );
        }
        if good {
            stage
                .rollout_until(name, "the good version to be promoted", 240, healthy)
                .await?;
        } else {
            let aborted = |rollout: &Value| rollout.pointer("/status/abort") == Some(&json!(true));
            stage
                .rollout_until(name, "the bad version to be aborted", 240, aborted)
                .await?;
            ensure!(
                weight(&stage, name).await? == 0,
                "the canary still gets traffic"
            );
        }
    }
    let sets = stage.list(name, &replica_sets()).await?;
    ensure!(
        sets.len() == 3,
        "three versions made {} ReplicaSets",
        sets.len()
    );
    let runs = stage.list(name, &analysis_runs()).await?;
    ensure!(
        runs.len() == 2,
        "two updates made {} AnalysisRuns",
        runs.len()
    );
    Ok(())
}

async fn weight(stage: &Stage, namespace: &str) -> Result<i32> {
    let route = kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes");
    let route = stage.get(namespace, &route, "web").await?;
    Ok(number(&route, "/spec/rules/0/backendRefs/1/weight"))
}

/// SIGKILL to every controller process; its pod is deleted too, so that the next one does not wait for a back-off.
async fn kill(stage: &Stage) -> Result<()> {
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let program = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        if program.trim() == "sluice-controll" && groups.contains("kubepods") {
            crate::command::Command::new("kill")
                .args(["-9", &pid.to_string()])
                .run()
                .await?;
            killed += 1;
        }
    }
    let pods = kind("", "v1", "Pod", "pods");
    for pod in stage.list("sluice", &pods).await? {
        if text(&pod, "/metadata/labels/app.kubernetes.io~1name") == "sluice" {
            let name = text(&pod, "/metadata/name");
            let args = [
                "--namespace",
                "sluice",
                "delete",
                "pod",
                &name,
                "--force",
                "--grace-period=0",
                "--wait=false",
            ];
            stage.cluster.kubectl(&args).await?;
        }
    }
    if killed == 0 {
        // Killed a moment ago and not up again: the next moment finds it.
        return Ok(());
    }
    let gone = crate::wait::eventually(
        "the killed pods to be replaced",
        Duration::from_secs(60),
        || async {
            let pods = stage.list("sluice", &pods).await?;
            let ready = pods.iter().any(|pod| {
                text(pod, "/metadata/labels/app.kubernetes.io~1name") == "sluice"
                    && pod.pointer("/metadata/deletionTimestamp").is_none()
                    && text(pod, "/status/phase") == "Running"
            });
            if !ready {
                bail!("no pod of the controller runs");
            }
            Ok(())
        },
    );
    gone.await
}
