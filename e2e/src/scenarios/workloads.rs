//! Pod templates that come from a Deployment, a ReplicaSet or a PodTemplate; and the way back to a Deployment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kube::api::ApiResource;
use serde_json::{Value, json};

use super::Stage;
use super::canary::paused;
use super::fixtures::{rollout, services};
use super::plugin::Plugin;
use super::visitor::Visitor;
use super::watch::{healthy, ready, replica_sets, rollouts, services as service_kind};
use crate::cluster::Namespace;
use crate::demo::stage::{kind, number, text};

/// `deployments`.
fn deployments() -> ApiResource {
    kind("apps", "v1", "Deployment", "deployments")
}

/// A Rollout `web` of two pods whose template is that of another object.
fn referring(workload: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": { "name": "web" },
        "spec": {
            "replicas": 2, "selector": { "matchLabels": { "app": "web" } }, "workloadRef": workload,
            "strategy": { "canary": { "steps": [{ "setWeight": 50 }, { "pause": {} }] } }
        }
    })
}

/// A Deployment of two pods becomes a Rollout that scales it down in one of the two ways. It serves until the Rollout does.
async fn take_over(stage: &Stage, namespace: &Namespace, scale_down: &str) -> Result<()> {
    let name = namespace.name();
    let mut deployment = as_deployment(&rollout(2, "canary: {}"))?;
    deployment["metadata"]["name"] = json!("web-deployment");
    namespace.apply_yaml(&deployment.to_string()).await?;
    let available = |object: &Value| number(object, "/status/availableReplicas") == 2;
    let what = "the Deployment to be available";
    stage
        .until(name, &deployments(), "web-deployment", what, 60, available)
        .await?;
    let workload = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "web-deployment", "scaleDown": scale_down
    });
    namespace
        .apply_yaml(&referring(&workload).to_string())
        .await?;
    // Two pods are ready at every moment, whoever has them.
    let began = Instant::now();
    loop {
        let pods = stage.living_pods(name).await?;
        let serving = pods.iter().filter(|pod| ready(pod)).count();
        ensure!(
            serving >= 2,
            "only {serving} pods serve while it is taken over"
        );
        let deployment = stage.get(name, &deployments(), "web-deployment").await?;
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
    Ok(())
}

/// Pod by pod, as pods of the Rollout become available.
pub(super) async fn deployment_shrinks_as_the_rollout_grows(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("progressively").await?;
    take_over(&stage, &namespace, "progressively").await
}

/// When the Rollout is healthy; from then on updates are changes of the Deployment, whose size stays 0.
pub(super) async fn deployment_is_taken_over(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("workload").await?;
    let name = namespace.name();
    take_over(&stage, &namespace, "onsuccess").await?;
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
    let deployment = stage.get(name, &deployments(), "web-deployment").await?;
    ensure!(
        number(&deployment, "/spec/replicas") == 0,
        "the Deployment came back: {}",
        deployment["spec"]["replicas"]
    );
    plugin.run(&["undo", "web"]).await?;
    let undone = stage
        .rollout_until(name, "the pause on the way back", 60, paused)
        .await?;
    let deployment = stage.get(name, &deployments(), "web-deployment").await?;
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    ensure!(
        *image == json!(format!("{}:v1", crate::product::images::DEMO_APP)),
        "undo left {image}: {}",
        undone["status"]
    );
    Ok(())
}

/// A PodTemplate and a ReplicaSet without pods of its own: what changes in them is an update of the Rollout.
pub(super) async fn other_workloads(stage: Arc<Stage>) -> Result<()> {
    let deployment = as_deployment(&rollout(0, "canary: {}"))?;
    let spec = &deployment["spec"];
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": "web-source" }, "spec": spec
    });
    let template = json!({
        "apiVersion": "v1", "kind": "PodTemplate", "metadata": { "name": "web-source" }, "template": spec["template"]
    });
    let templates = kind("", "v1", "PodTemplate", "podtemplates");
    for (object, resource) in [(set, replica_sets()), (template, templates)] {
        let (version, workload) = (text(&object, "/apiVersion"), text(&object, "/kind"));
        let namespace = stage.cluster.namespace(&workload.to_lowercase()).await?;
        let name = namespace.name();
        namespace.apply_yaml(&object.to_string()).await?;
        let reference = json!({ "apiVersion": version, "kind": workload, "name": "web-source" });
        namespace
            .apply_yaml(&referring(&reference).to_string())
            .await?;
        stage
            .rollout_until(name, "v1 to be healthy", 90, healthy)
            .await?;
        let container =
            json!({ "name": "web", "image": format!("{}:v2", crate::product::images::DEMO_APP) });
        let template = json!({ "spec": { "containers": [container] } });
        let patch = match workload.as_str() {
            "PodTemplate" => json!({ "template": template }),
            _ => json!({ "spec": { "template": template } }),
        };
        stage
            .patch(name, &resource, "web-source", &patch)
            .await
            .with_context(|| format!("the change of the {workload}"))?;
        stage
            .rollout_until(name, "the pause of the update", 60, paused)
            .await?;
        stage.promote(name).await?;
        stage
            .rollout_until(name, "v2 to be healthy", 60, |rollout| {
                healthy(rollout) && number(rollout, "/status/updatedReplicas") == 2
            })
            .await?;
        let mut pods = stage.living_pods(name).await?.into_iter();
        ensure!(
            pods.all(|pod| text(&pod, "/spec/containers/0/image").ends_with(":v2")),
            "pods of {workload} have another image than the {workload}"
        );
    }
    Ok(())
}

/// A Rollout is deleted, and a Deployment beside it gets the requests of the Services that selected its revision.
pub(super) async fn back_to_a_deployment(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("deleted").await?;
    let name = namespace.name();
    let strategy = "canary:\n  canaryService: web-canary\n  stableService: web-stable";
    namespace.apply_yaml(&services()).await?;
    namespace.apply_yaml(&rollout(2, strategy)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    let mut deployment = as_deployment(&rollout(2, strategy))?;
    deployment["metadata"]["name"] = json!("web");
    let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
    container["image"] = json!(format!("{}:v2", crate::product::images::DEMO_APP));
    namespace.apply_yaml(&deployment.to_string()).await?;
    let available = |object: &Value| number(object, "/status/availableReplicas") == 2;
    let what = "the Deployment to be available";
    stage
        .until(name, &deployments(), "web", what, 60, available)
        .await?;
    let visitor = Visitor::start(&stage, name, "web-stable").await?;
    visitor
        .turns_to("v1")
        .await
        .context("before the deletion")?;
    stage.delete(name, &rollouts(), "web").await?;
    visitor.reaches("v2").await.context("after the deletion")?;
    for service in ["web-stable", "web-canary"] {
        let object = stage.get(name, &service_kind(), service).await?;
        ensure!(
            object["spec"]["selector"] == json!({ "app": "web" })
                && !object["metadata"]["annotations"]
                    .to_string()
                    .contains("managed-by-rollouts"),
            "{service} is not let go: {object}"
        );
    }
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
