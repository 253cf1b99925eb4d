//! Pod templates that come from a Deployment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::canary::paused;
use super::fixtures::rollout;
use super::plugin::Plugin;
use super::watch::{healthy, ready};
use crate::demo::stage::{kind, number, text};

/// The Deployment serves until the Rollout does; then it is scaled down, and its template is the Rollout's.
pub(super) async fn deployment_is_taken_over(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("workload").await?;
    let name = namespace.name();
    let mut deployment = as_deployment(&rollout(2, "canary: {}"))?;
    deployment["metadata"]["name"] = json!("web-deployment");
    namespace.apply_yaml(&deployment.to_string()).await?;
    let available = |object: &Value| number(object, "/status/availableReplicas") == 2;
    let deployments = kind("apps", "v1", "Deployment", "deployments");
    let what = "the Deployment to be available";
    stage
        .until(name, &deployments, "web-deployment", what, 60, available)
        .await?;
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": { "name": "web" },
        "spec": {
            "replicas": 2, "selector": { "matchLabels": { "app": "web" } },
            "workloadRef": {
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "web-deployment", "scaleDown": "onsuccess"
            },
            "strategy": { "canary": { "steps": [{ "setWeight": 50 }, { "pause": {} }] } }
        }
    });
    namespace.apply_yaml(&rollout.to_string()).await?;
    // Two pods are ready at every moment, whoever has them.
    let began = Instant::now();
    loop {
        let pods = stage.living_pods(name).await?;
        let serving = pods.iter().filter(|pod| ready(pod)).count();
        ensure!(
            serving >= 2,
            "only {serving} pods serve while it is taken over"
        );
        let deployment = stage.get(name, &deployments, "web-deployment").await?;
        if number(&deployment, "/spec/replicas") == 0 && pods.len() == 2 {
            break;
        }
        ensure!(
            began.elapsed() < Duration::from_secs(60),
            "the Deployment is not scaled down: {} of {} pods",
            deployment["spec"]["replicas"],
            pods.len()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage
        .rollout_until(name, "v1 to be healthy", 30, healthy)
        .await?;
    // An update is a change of the Deployment, which is where the plugin makes it.
    let plugin = Plugin {
        stage: &stage,
        program: &stage.programs.plugin,
        namespace: name,
    };
    let image = format!("web={}:v2", crate::product::images::DEMO_APP);
    plugin.run(&["set", "image", "web", &image]).await?;
    stage
        .rollout_until(name, "the pause of the update", 60, paused)
        .await?;
    stage.promote(name).await?;
    let updated = stage
        .rollout_until(name, "v2 to be healthy", 60, |rollout| {
            healthy(rollout) && number(rollout, "/status/updatedReplicas") == 2
        })
        .await?;
    ensure!(
        text(&updated, "/status/stableRS") == text(&updated, "/status/currentPodHash"),
        "{}",
        updated["status"]
    );
    let deployment = stage.get(name, &deployments, "web-deployment").await?;
    ensure!(
        number(&deployment, "/spec/replicas") == 0,
        "the Deployment came back: {}",
        deployment["spec"]["replicas"]
    );
    plugin.run(&["undo", "web"]).await?;
    let undone = stage
        .rollout_until(name, "the pause on the way back", 60, paused)
        .await?;
    let deployment = stage.get(name, &deployments, "web-deployment").await?;
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    ensure!(
        *image == json!(format!("{}:v1", crate::product::images::DEMO_APP)),
        "undo left {image}: {}",
        undone["status"]
    );
    Ok(())
}

/// The Deployment with the template, selector and size of a Rollout.
fn as_deployment(yaml: &str) -> Result<Value> {
    let mut objects = crate::cluster::parse(yaml)?;
    let rollout = objects.pop().context("no Rollout")?;
    Ok(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {},
        "spec": {
            "replicas": rollout["spec"]["replicas"], "selector": rollout["spec"]["selector"],
            "template": rollout["spec"]["template"]
        }
    }))
}
