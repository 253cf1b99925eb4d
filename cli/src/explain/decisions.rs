//! What the controller remembers of its decisions: `/debug/decisions` of its health port, through the API server's pod
//! proxy. That needs `get` on `pods/proxy`, and the label `app.kubernetes.io/name: sluice` that the chart gives.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use kube::api::ListParams;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::{self, Cluster};
use crate::failure;
use crate::get::owned::text;

/// How long a controller is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Health port of a controller that does not name it.
const PORT: i64 = 8080;

/// Equal decisions in a row.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// When the first was made.
    pub at: Timestamp,
    /// When the last was made.
    pub last: Timestamp,
    /// How many.
    pub count: u64,
    /// Why.
    pub reasons: Vec<String>,
    /// What was ordered.
    pub effects: Vec<String>,
    /// What became of it.
    pub outcome: String,
}

/// The decisions of one controller.
#[derive(Debug, Clone)]
pub(super) struct Log {
    /// Its pod.
    pub pod: String,
    /// Oldest first.
    pub entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Answer {
    decisions: Vec<Entry>,
}

/// Reads the decisions about an object of the namespace.
///
/// # Errors
/// With one sentence: why they are not to be had.
pub(super) async fn read(cluster: &Cluster, kind: &str, name: &str) -> Result<Log, String> {
    let controllers = ListParams::default().labels("app.kubernetes.io/name=sluice");
    let pods = cluster
        .list_everywhere(&cluster::PODS, &controllers)
        .await
        .map_err(|error| failure::of_client(&error))?;
    let running: Vec<&Value> = pods
        .iter()
        .filter(|pod| text(pod, "/status/phase") == "Running")
        .collect();
    if running.is_empty() {
        return Err("no running pod has the label app.kubernetes.io/name=sluice".to_owned());
    }
    let answers = join_all(running.iter().map(|pod| ask(cluster, pod, kind, name))).await;
    let mut refused = None;
    for (pod, answer) in running.iter().zip(answers) {
        let pod = format!(
            "{}/{}",
            text(pod, "/metadata/namespace"),
            text(pod, "/metadata/name")
        );
        match answer {
            // Only the one that holds the lease decides.
            Ok(entries) if entries.is_empty() => {}
            Ok(entries) => return Ok(Log { pod, entries }),
            Err(why) => refused = Some(format!("{pod}: {why}")),
        }
    }
    Err(refused.unwrap_or_else(|| {
        "the controller has decided nothing about it since it started".to_owned()
    }))
}

async fn ask(cluster: &Cluster, pod: &Value, kind: &str, name: &str) -> Result<Vec<Entry>, String> {
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}:{}/proxy/debug/decisions?kind={kind}&namespace={}&name={name}",
        text(pod, "/metadata/namespace"),
        text(pod, "/metadata/name"),
        health_port(pod),
        cluster.namespace,
    );
    let request = http::Request::get(path)
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(PATIENCE, cluster.client.request::<Answer>(request));
    match answer.await {
        Ok(Ok(answer)) => Ok(answer.decisions),
        Ok(Err(error)) => Err(failure::of_client(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn health_port(pod: &Value) -> i64 {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    containers
        .into_iter()
        .flatten()
        .filter_map(|container| container.get("ports")?.as_array())
        .flatten()
        .find(|port| text(port, "/name") == "healthz")
        .and_then(|port| port.get("containerPort")?.as_i64())
        .unwrap_or(PORT)
}
