//! What `get rollout` needs of the cluster, read once.

use anyhow::{Context, Result};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::Value;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::names;
use sluice_crds::rollout::Rollout;
use sluice_rollout::ReplicaSet;

use crate::cluster::{self, resource};

/// A Rollout and everything below it.
pub(crate) struct Snapshot {
    /// The Rollout.
    pub rollout: Rollout,
    /// Its ReplicaSets.
    pub replica_sets: Vec<ReplicaSet>,
    /// Pods of those ReplicaSets.
    pub pods: Vec<Value>,
    /// Its AnalysisRuns.
    pub runs: Vec<AnalysisRun>,
    /// The route or canary Ingress objects that carry its weights.
    pub routes: Vec<Value>,
}

impl Snapshot {
    /// Reads a Rollout, and only what its selector and its uid lead to: never the whole namespace.
    pub(crate) async fn read(client: &Client, namespace: &str, name: &str) -> Result<Self> {
        let rollout = read_rollout(client, namespace, name).await?;
        let uid = rollout.metadata.uid.clone().unwrap_or_default();
        let selector = selector_of(&rollout);
        let sets = list(client, namespace, &resource::REPLICA_SETS, selector.as_deref()).await?;
        let owned = |object: &Value| {
            object
                .pointer("/metadata/ownerReferences")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .any(|owner| owner.get("uid").and_then(Value::as_str) == Some(uid.as_str()))
        };
        let replica_sets: Vec<ReplicaSet> = sets
            .iter()
            .filter(|set| owned(set))
            .filter_map(|set| ReplicaSet::from_object(set).ok())
            .collect();
        let uids: Vec<&str> = replica_sets.iter().map(|set| set.uid.as_str()).collect();
        let mut pods = list(client, namespace, &resource::PODS, selector.as_deref()).await?;
        pods.retain(|pod| {
            pod.pointer("/metadata/ownerReferences/0/uid")
                .and_then(Value::as_str)
                .is_some_and(|owner| uids.contains(&owner))
        });
        let runs = list(client, namespace, &resource::ANALYSIS_RUNS, Some(names::POD_TEMPLATE_HASH))
            .await?
            .into_iter()
            .filter(owned)
            .filter_map(|run| serde_json::from_value(run).ok())
            .collect();
        let mut routes = Vec::new();
        for object in sluice_traffic::referenced(&rollout).unwrap_or_default() {
            if let Ok(Some(route)) = cluster::find(client, &object.object).await {
                routes.push(route);
            }
        }
        Ok(Self { rollout, replica_sets, pods, runs, routes })
    }
}

/// Reads one Rollout.
///
/// # Errors
/// When it does not exist (the message names it and its namespace), or cannot be decoded.
pub(crate) async fn read_rollout(client: &Client, namespace: &str, name: &str) -> Result<Rollout> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &resource::ROLLOUTS.api());
    let object = api
        .get_opt(name)
        .await?
        .with_context(|| format!("rollouts.argoproj.io \"{name}\" not found in namespace {namespace}"))?;
    sluice_crds::decode::decode(&serde_json::to_value(object)?)
        .with_context(|| format!("Rollout {namespace}/{name} cannot be read"))
}

/// `spec.selector.matchLabels` as a label selector.
fn selector_of(rollout: &Rollout) -> Option<String> {
    let labels = rollout.spec.selector.as_ref()?.match_labels.as_ref()?;
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Some(pairs.join(","))
}

/// Lists objects of a kind.
///
/// # Errors
/// When the API server refuses.
pub(crate) async fn list(
    client: &Client,
    namespace: &str,
    kind: &resource::Kind,
    selector: Option<&str>,
) -> Result<Vec<Value>> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind.api());
    let mut parameters = ListParams::default();
    if let Some(selector) = selector {
        parameters = parameters.labels(selector);
    }
    let objects = api.list(&parameters).await?;
    objects.items.into_iter().map(|object| Ok(serde_json::to_value(object)?)).collect()
}
