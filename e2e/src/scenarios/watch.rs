//! Reading the cluster, and waiting for what was promised.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::Stage;
use crate::demo::stage::{kind, text};
use crate::wait::eventually;

/// `rollouts`.
pub(super) fn rollouts() -> ApiResource {
    kind("argoproj.io", "v1alpha1", "Rollout", "rollouts")
}

/// `applications`.
pub(super) fn applications() -> ApiResource {
    kind("argoproj.io", "v1alpha1", "Application", "applications")
}

/// `analysisruns`.
pub(super) fn analysis_runs() -> ApiResource {
    kind("argoproj.io", "v1alpha1", "AnalysisRun", "analysisruns")
}

/// `replicasets`.
pub(super) fn replica_sets() -> ApiResource {
    kind("apps", "v1", "ReplicaSet", "replicasets")
}

/// `httproutes`.
pub(super) fn http_routes() -> ApiResource {
    kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
}

/// `pods`.
pub(super) fn pods() -> ApiResource {
    kind("", "v1", "Pod", "pods")
}

/// `services`.
pub(super) fn services() -> ApiResource {
    kind("", "v1", "Service", "services")
}

/// `experiments`.
pub(super) fn experiments() -> ApiResource {
    kind("argoproj.io", "v1alpha1", "Experiment", "experiments")
}

impl Stage {
    fn api(&self, namespace: &str, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    /// An object; an error when it does not exist.
    pub(super) async fn get(
        &self,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
    ) -> Result<Value> {
        let object = self.api(namespace, resource).get(name).await;
        let object = object.with_context(|| format!("{} {namespace}/{name}", resource.kind))?;
        Ok(serde_json::to_value(object)?)
    }

    /// All objects of a kind in a namespace.
    pub(super) async fn list(&self, namespace: &str, resource: &ApiResource) -> Result<Vec<Value>> {
        let list = self
            .api(namespace, resource)
            .list(&ListParams::default())
            .await?;
        list.items
            .into_iter()
            .map(|object| Ok(serde_json::to_value(object)?))
            .collect()
    }

    /// Merges a patch into an object.
    pub(super) async fn patch(
        &self,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
        patch: &Value,
    ) -> Result<()> {
        let api = self.api(namespace, resource);
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }

    /// Merges a patch into the status subresource of an object.
    pub(super) async fn patch_status(
        &self,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
        patch: &Value,
    ) -> Result<()> {
        let api = self.api(namespace, resource);
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }

    /// Deletes an object.
    pub(super) async fn delete(
        &self,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
    ) -> Result<()> {
        self.api(namespace, resource)
            .delete(name, &DeleteParams::default())
            .await?;
        Ok(())
    }

    /// Changes the Rollout `web` to a version of the demo's app.
    pub(super) async fn update(&self, namespace: &str, version: &str) -> Result<()> {
        let image = format!("{}:{version}", crate::product::images::DEMO_APP);
        self.set_image(namespace, &image).await
    }

    /// Changes the image of the Rollout `web`.
    pub(super) async fn set_image(&self, namespace: &str, name: &str) -> Result<()> {
        let rollout = self.get(namespace, &rollouts(), "web").await?;
        let mut template = rollout
            .pointer("/spec/template")
            .cloned()
            .context("no template")?;
        let image = template
            .pointer_mut("/spec/containers/0/image")
            .context("no image")?;
        *image = json!(name);
        let patch = json!({ "spec": { "template": template } });
        self.patch(namespace, &rollouts(), "web", &patch).await
    }

    /// Ends the pause that the Rollout `web` is in, as `promote` does.
    pub(super) async fn promote(&self, namespace: &str) -> Result<()> {
        let patch = json!({ "status": { "pauseConditions": null } });
        self.patch_status(namespace, &rollouts(), "web", &patch)
            .await
    }

    /// The pods that are not on their way out.
    pub(super) async fn living_pods(&self, namespace: &str) -> Result<Vec<Value>> {
        let mut pods = self.list(namespace, &pods()).await?;
        pods.retain(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
        Ok(pods)
    }

    /// Waits until a Rollout is as `done` wants it; the error shows its status.
    pub(super) async fn rollout_until(
        &self,
        namespace: &str,
        what: &str,
        seconds: u64,
        done: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.until(namespace, &rollouts(), "web", what, seconds, done)
            .await
    }

    /// Waits until the update of the Rollout `web` is aborted; its condition must name the metric that failed.
    pub(super) async fn aborted_over(&self, namespace: &str, metric: &str) -> Result<Value> {
        let aborted = |rollout: &Value| {
            observed(rollout)
                && text(rollout, "/status/phase") == "Degraded"
                && rollout.pointer("/status/abort") == Some(&json!(true))
        };
        let rollout = self
            .rollout_until(namespace, "the update to be aborted", 60, aborted)
            .await?;
        let told = condition(&rollout, "Progressing");
        ensure!(
            told.contains(metric),
            "the condition does not name the metric {metric}: {told}"
        );
        Ok(rollout)
    }

    /// Waits until an object is as `done` wants it; the error shows its status.
    pub(super) async fn until(
        &self,
        namespace: &str,
        resource: &ApiResource,
        name: &str,
        what: &str,
        seconds: u64,
        done: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let done = &done;
        eventually(what, Duration::from_secs(seconds), || async move {
            let object = self.get(namespace, resource, name).await?;
            if !done(&object) {
                bail!("{} {name}: {}", resource.kind, object["status"]);
            }
            Ok(object)
        })
        .await
    }
}

/// Whether a Rollout is healthy, for the spec that it has now.
pub(super) fn healthy(rollout: &Value) -> bool {
    observed(rollout) && text(rollout, "/status/phase") == "Healthy"
}

/// Whether the status belongs to the spec.
pub(super) fn observed(rollout: &Value) -> bool {
    let generation = rollout
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    text(rollout, "/status/observedGeneration") == generation.to_string()
}

/// Message of a condition; empty when there is none of that type.
pub(super) fn condition(object: &Value, kind: &str) -> String {
    object
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|condition| text(condition, "/type") == kind)
        .map(|condition| text(condition, "/message"))
        .unwrap_or_default()
}

/// Reason of a condition; empty when there is none of that type.
pub(super) fn reason(object: &Value, kind: &str) -> String {
    object
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|condition| text(condition, "/type") == kind)
        .map(|condition| text(condition, "/reason"))
        .unwrap_or_default()
}

/// Whether a pod is ready.
pub(super) fn ready(pod: &Value) -> bool {
    pod.pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|condition| {
            text(condition, "/type") == "Ready" && text(condition, "/status") == "True"
        })
}
