//! Experiments and AnalysisRuns: made, shown, ended and begun anew by the plugin of Argo Rollouts.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::super::Stage;
use super::super::canary::paused;
use super::super::fixtures::{job_analysis, rollout};
use super::super::watch::{analysis_runs, experiments, healthy};
use super::Plugins;
use crate::cluster::Namespace;
use crate::demo::stage::{number, text};
use crate::wait::eventually;

/// Neither the Experiment nor the analysis ends by itself.
const STEPS: &str = "canary:\n  steps:\n    - experiment:\n        templates:\n          - name: candidate\n            \
                     specRef: canary\n    - analysis:\n        templates:\n          - templateName: steady\n    \
                     - setWeight: 50\n    - pause: {}";

/// `list experiments`, `get experiment`, `terminate`, `create`, `retry experiment`.
pub(in super::super) async fn measurements(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("argo-measured").await?;
    let name = namespace.name();
    let plugins = Plugins::new(&stage, name)?;
    namespace
        .apply_yaml(&steady(&stage.cluster.prometheus_url()).to_string())
        .await?;
    namespace.apply_yaml(&rollout(1, STEPS)).await?;
    plugins.status().await?;
    in_steps(&stage, name, &plugins).await.context("in steps")?;
    by_hand(&stage, &namespace, &plugins)
        .await
        .context("by hand")
}

/// An Experiment and an analysis that a Rollout waits for are ended, and it goes on.
async fn in_steps(stage: &Stage, name: &str, plugins: &Plugins<'_>) -> Result<()> {
    plugins.set_image("web", "v2").await?;
    let experiment = eventually("an Experiment", Duration::from_secs(30), || async {
        let all = stage.list(name, &experiments()).await?;
        Ok(text(all.first().context("none")?, "/metadata/name"))
    })
    .await?;
    reaches(stage, name, &experiment, "Running").await?;
    plugins
        .list("experiments", &[&experiment, "Running", "-", "-"])
        .await?;
    let row = format!("Σ {experiment}");
    let parts = ["Status:          ◌ Running", "Σ:candidate", &row, "⧉", "□"];
    plugins.get_experiment(&experiment, &parts).await?;
    let tree = plugins.argo("get rollout web --no-color").await?;
    ensure!(
        tree.contains(&row) && tree.contains("(Σ:candidate)"),
        "the Rollout's tree does not show its Experiment:\n{tree}"
    );
    plugins
        .argo(&format!("terminate experiment {experiment}"))
        .await?;
    reaches(stage, name, &experiment, "Successful").await?;

    let run = eventually("an AnalysisRun", Duration::from_secs(30), || async {
        let all = stage.list(name, &analysis_runs()).await?;
        Ok(text(all.first().context("none")?, "/metadata/name"))
    })
    .await?;
    measured(stage, name, &run).await?;
    let tree = plugins.argo("get rollout web --no-color").await?;
    let shown = tree
        .lines()
        .find(|line| line.contains(&format!("α {run}")))
        .with_context(|| format!("the tree does not show the run:\n{tree}"))?;
    ensure!(
        shown.contains("AnalysisRun") && shown.contains("◌ Running") && shown.contains("✔ "),
        "{shown}"
    );
    plugins
        .argo(&format!("terminate analysisrun {run}"))
        .await?;
    ended(stage, name, &run).await?;
    stage
        .rollout_until(name, "the pause after both", 60, paused)
        .await?;
    plugins.argo("promote web").await?;
    stage
        .rollout_until(name, "v2 to be healthy", 60, healthy)
        .await?;
    plugins.status().await
}

/// Both are made by the plugin; the Experiment fails, its template is mended, and it is begun anew.
async fn by_hand(stage: &Stage, namespace: &Namespace, plugins: &Plugins<'_>) -> Result<()> {
    let name = namespace.name();
    plugins
        .argo("create analysisrun --from steady --name by-hand")
        .await?;
    measured(stage, name, "by-hand").await?;
    plugins.argo("terminate analysisrun by-hand").await?;
    ended(stage, name, "by-hand").await?;

    namespace
        .apply_yaml(&job_analysis("smoke", &[("smoke", "exit 1")]))
        .await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("trial.json");
    std::fs::write(&file, trial()?.to_string())?;
    plugins
        .argo(&format!("create -f {}", file.display()))
        .await?;
    reaches(stage, name, "trial", "Failed").await?;
    plugins
        .get_experiment("trial", &["Status:          ✖ Failed"])
        .await?;
    namespace
        .apply_yaml(&job_analysis("smoke", &[("smoke", "exit 0")]))
        .await?;
    plugins.argo("retry experiment trial").await?;
    reaches(stage, name, "trial", "Successful").await?;
    plugins
        .get_experiment("trial", &["Status:          ✔ Successful"])
        .await
}

/// Waits until an Experiment is in a phase.
async fn reaches(stage: &Stage, namespace: &str, name: &str, phase: &str) -> Result<()> {
    let there = |experiment: &Value| text(experiment, "/status/phase") == phase;
    let what = format!("the Experiment to be {phase}");
    stage
        .until(namespace, &experiments(), name, &what, 60, there)
        .await?;
    Ok(())
}

/// Waits until a run that goes on has measured something.
async fn measured(stage: &Stage, namespace: &str, name: &str) -> Result<()> {
    let goes_on = |run: &Value| {
        text(run, "/status/phase") == "Running"
            && number(run, "/status/metricResults/0/successful") > 0
    };
    let what = "a measurement";
    stage
        .until(namespace, &analysis_runs(), name, what, 30, goes_on)
        .await?;
    Ok(())
}

/// Waits until a run that was told to end has ended well: what it has measured was good.
async fn ended(stage: &Stage, namespace: &str, name: &str) -> Result<()> {
    let over = |run: &Value| text(run, "/status/phase") == "Successful";
    let what = "the end of the run";
    stage
        .until(namespace, &analysis_runs(), name, what, 20, over)
        .await?;
    Ok(())
}

/// An AnalysisTemplate that measures ten minutes long, and always finds what it wants.
fn steady(prometheus: &str) -> Value {
    let provider = json!({ "prometheus": { "address": prometheus, "query": "vector(1)" } });
    let metric = json!({
        "name": "steady", "interval": "1s", "count": 600, "successCondition": "result[0] == 1",
        "provider": provider
    });
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": { "name": "steady" }, "spec": { "metrics": [metric] }
    })
}

/// An Experiment of one pod that ends when the template `smoke` says how it is.
fn trial() -> Result<Value> {
    let objects = crate::cluster::parse(&rollout(1, "canary: {}"))?;
    let rollout = objects.first().context("no Rollout")?;
    let mut template = rollout
        .pointer("/spec/template")
        .cloned()
        .context("no template")?;
    let labels = json!({ "app": "trial" });
    template["metadata"] = json!({ "labels": labels });
    let templates =
        json!([{ "name": "one", "selector": { "matchLabels": labels }, "template": template }]);
    let analyses =
        json!([{ "name": "smoke", "templateName": "smoke", "requiredForCompletion": true }]);
    Ok(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "metadata": { "name": "trial" },
        "spec": { "templates": templates, "analyses": analyses }
    }))
}
