//! What the story plays on: a cluster with Sluice, a router and a Git server; and what can be seen of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use serde_json::Value;

use super::panel::State;
use crate::cluster::Repository;

/// Namespace of the app.
pub const NAMESPACE: &str = "demo";
/// Namespace of Sluice and of the Application.
pub const SYSTEM: &str = "sluice";

/// A cluster that is ready for the story.
pub struct Stage {
    /// Client with the rights of an administrator.
    pub client: kube::Client,
    /// Its kubeconfig, for the commands that are suggested at the end.
    pub kubeconfig: PathBuf,
    /// Address of the router's HTTP entry point, on loopback.
    pub entry: SocketAddr,
    /// The repository that the Application follows.
    pub repository: Repository,
    /// Base URL of Prometheus as pods see it.
    pub prometheus: String,
    /// Where the Git server's webhook goes, when it can be reached from here.
    pub webhook: Option<String>,
}

/// The kind of an API object, by its names.
#[must_use]
pub fn kind(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        },
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

impl Stage {
    /// Objects of a namespaced kind.
    #[must_use]
    pub fn api(&self, namespace: &str, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    /// The Rollout of the app; `Null` while there is none.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn rollout(&self) -> Result<Value> {
        self.get(
            NAMESPACE,
            &kind("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
            "web",
        )
        .await
    }

    /// The Application; `Null` while there is none.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn application(&self) -> Result<Value> {
        let resource = kind("argoproj.io", "v1alpha1", "Application", "applications");
        self.get(SYSTEM, &resource, "web").await
    }

    async fn get(&self, namespace: &str, resource: &ApiResource, name: &str) -> Result<Value> {
        match self.api(namespace, resource).get_opt(name).await? {
            Some(object) => Ok(serde_json::to_value(object)?),
            None => Ok(Value::Null),
        }
    }

    /// Reads everything that the panel shows, load apart.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn look(&self, state: &mut State) -> Result<()> {
        let rollout = self.rollout().await?;
        let application = self.application().await?;
        let route = kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes");
        let route = self.get(NAMESPACE, &route, "web").await?;
        let sets = kind("apps", "v1", "ReplicaSet", "replicasets");
        let sets = match self
            .api(NAMESPACE, &sets)
            .list(&ListParams::default())
            .await
        {
            Ok(list) => list.items,
            Err(kube::Error::Api(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        };

        let mut versions = BTreeMap::new();
        state.pods.clear();
        for set in &sets {
            let set = serde_json::to_value(set)?;
            let version = version_of(&set);
            versions.insert(
                text(&set, "/metadata/labels/rollouts-pod-template-hash"),
                version.clone(),
            );
            let (ready, wanted) = (
                number(&set, "/status/readyReplicas"),
                number(&set, "/spec/replicas"),
            );
            if ready + wanted > 0 {
                state.pods.push((version, ready, wanted));
            }
        }
        state.pods.sort();
        let version = |pointer: &str| {
            versions
                .get(&text(&rollout, pointer))
                .cloned()
                .unwrap_or_default()
        };
        state.stable = version("/status/stableRS");
        let current = version("/status/currentPodHash");
        state.canary = if current == state.stable {
            String::new()
        } else {
            current
        };
        state.phase = text(&rollout, "/status/phase");
        state.message = text(&rollout, "/status/message");
        let steps = rollout
            .pointer("/spec/strategy/canary/steps")
            .and_then(Value::as_array);
        state.step = format!(
            "{}/{}",
            number(&rollout, "/status/currentStepIndex"),
            steps.map_or(0, Vec::len)
        );
        state.wanted = weight(&route, "web-canary");

        state.sync = text(&application, "/status/sync/status");
        state.synced = text(&application, "/status/sync/revision")
            .chars()
            .take(7)
            .collect();
        state.health = text(&application, "/status/health/status");
        state.quarantine = condition(&application, "Quarantined");
        Ok(())
    }
}

/// Message of an Application's condition of one type.
#[must_use]
pub fn condition(application: &Value, kind: &str) -> Option<String> {
    application
        .pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|condition| text(condition, "/type") == kind)
        .map(|condition| text(condition, "/message"))
}

/// Weight of one backend of a route, in percent of all.
fn weight(route: &Value, service: &str) -> i32 {
    let backends = route
        .pointer("/spec/rules/0/backendRefs")
        .and_then(Value::as_array);
    let (mut own, mut all) = (0, 0);
    for backend in backends.into_iter().flatten() {
        let weight = backend.get("weight").and_then(Value::as_i64).unwrap_or(1);
        all += weight;
        if text(backend, "/name") == service {
            own += weight;
        }
    }
    i32::try_from((own * 100).checked_div(all).unwrap_or(0)).unwrap_or(0)
}

fn version_of(set: &Value) -> String {
    let image = text(set, "/spec/template/spec/containers/0/image");
    image.rsplit(':').next().unwrap_or_default().to_owned()
}

/// The text at a JSON pointer; empty when there is none.
#[must_use]
pub fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// The whole number at a JSON pointer; 0 when there is none.
#[must_use]
pub fn number(value: &Value, pointer: &str) -> i32 {
    let number = value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    i32::try_from(number).unwrap_or(i32::MAX)
}
