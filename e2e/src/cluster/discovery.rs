//! Finding pods for Prometheus: a process that watches them and writes a file of targets.
//!
//! Debian builds Prometheus without Kubernetes service discovery. So the targets come from a file, with the labels
//! that Kubernetes service discovery of role `pod` would give them: one target for each port of each container, under
//! `__meta_kubernetes_pod_…`. Relabelling rules are those of any other cluster. Prometheus sees a change of the file at
//! once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Map, Value, json};

use super::process::Launch;
use super::{Cluster, client, layout};

/// The process's name.
pub(super) const NAME: &str = "pod-discovery";

/// Changes that come together are written together.
const PAUSE: Duration = Duration::from_millis(50);

/// The file that Prometheus reads.
pub(super) fn file(cluster: &Cluster) -> PathBuf {
    cluster.layout.path("prometheus-targets/pods.json")
}

/// Starts the process that keeps the file.
pub(super) fn start(cluster: &Cluster, program: &Path) -> Result<()> {
    layout::write(&file(cluster), "[]")?;
    cluster.processes.ensure(
        Launch::new(NAME, program)
            .arg("discover-pods")
            .file(
                "kubeconfig",
                &cluster.layout.kubeconfig_of(super::prometheus::NAME),
            )
            .file("file", &file(cluster)),
    )
}

/// Watches pods and keeps the file of targets, until the process ends.
///
/// # Errors
/// When the kubeconfig cannot be used or the file not be written. A lost watch is no error: it is taken up again.
pub async fn run(kubeconfig: &Path, file: &Path) -> Result<()> {
    client::crypto();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("cannot read the kubeconfig")?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let pods: Api<Pod> = Api::all(Client::try_from(config)?);
    let mut stream = Box::pin(watcher(pods, watcher::Config::default()).default_backoff());
    let mut targets: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut fresh: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut written = Value::Null;
    let mut due = false;
    loop {
        let next = if due {
            match tokio::time::timeout(PAUSE, stream.try_next()).await {
                Ok(next) => next,
                Err(_) => {
                    due = false;
                    let all = json!(targets.values().flatten().collect::<Vec<_>>());
                    if all != written {
                        layout::write(file, &all.to_string())?;
                        written = all;
                    }
                    continue;
                }
            }
        } else {
            stream.try_next().await
        };
        match next {
            Ok(Some(watcher::Event::Init)) => fresh.clear(),
            Ok(Some(watcher::Event::InitApply(pod))) => {
                fresh.insert(key(&pod), targets_of(&pod));
            }
            Ok(Some(watcher::Event::InitDone)) => {
                targets = std::mem::take(&mut fresh);
                due = true;
            }
            Ok(Some(watcher::Event::Apply(pod))) => {
                targets.insert(key(&pod), targets_of(&pod));
                due = true;
            }
            Ok(Some(watcher::Event::Delete(pod))) => {
                targets.remove(&key(&pod));
                due = true;
            }
            Ok(None) => return Ok(()),
            Err(error) => eprintln!("the watch of pods broke and is taken up again: {error}"),
        }
    }
}

fn key(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

/// The targets of a pod; none while it has no address or after it has ended.
fn targets_of(pod: &Pod) -> Vec<Value> {
    let status = pod.status.clone().unwrap_or_default();
    let Some(address) = status
        .pod_ip
        .filter(|_| status.phase.as_deref() == Some("Running"))
    else {
        return Vec::new();
    };
    let mut common = Map::new();
    let mut label = |name: &str, value: String| {
        common.insert(format!("__meta_kubernetes_{name}"), json!(value));
    };
    label("namespace", pod.namespace().unwrap_or_default());
    label("pod_name", pod.name_any());
    label("pod_ip", address.clone());
    label("pod_phase", "Running".to_owned());
    for (name, value) in pod.labels() {
        label(&format!("pod_label_{}", sanitize(name)), value.clone());
    }
    for (name, value) in pod.annotations() {
        label(&format!("pod_annotation_{}", sanitize(name)), value.clone());
    }
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .flat_map(|container| container_targets(container, &address, &common))
        .collect()
}

fn container_targets(
    container: &Container,
    address: &str,
    common: &Map<String, Value>,
) -> Vec<Value> {
    let target = |port: Option<&ContainerPort>| {
        let mut labels = common.clone();
        let mut label = |name: &str, value: String| {
            labels.insert(
                format!("__meta_kubernetes_pod_container_{name}"),
                json!(value),
            );
        };
        label("name", container.name.clone());
        let mut place = address.to_owned();
        if let Some(port) = port {
            label("port_name", port.name.clone().unwrap_or_default());
            label("port_number", port.container_port.to_string());
            place = format!("{address}:{}", port.container_port);
        }
        json!({"targets": [place], "labels": labels})
    };
    match container.ports.as_deref() {
        None | Some([]) => vec![target(None)],
        Some(ports) => ports.iter().map(|port| target(Some(port))).collect(),
    }
}

/// The name of a label as Prometheus allows it.
fn sanitize(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": "web-1", "namespace": "shop",
                "labels": {"app.kubernetes.io/name": "web"},
                "annotations": {"prometheus.io/scrape": "true"},
            },
            "spec": {"containers": [
                {"name": "web", "ports": [
                    {"name": "http", "containerPort": 8080},
                    {"name": "metrics", "containerPort": 9100},
                ]},
                {"name": "sidecar"},
            ]},
            "status": {"phase": phase, "podIP": "10.244.0.7"},
        }))
        .unwrap()
    }

    #[test]
    fn each_port_of_each_container_is_a_target() {
        let targets = targets_of(&pod("Running"));
        let places: Vec<&Value> = targets.iter().map(|target| &target["targets"][0]).collect();
        assert_eq!(places, ["10.244.0.7:8080", "10.244.0.7:9100", "10.244.0.7"]);
        let labels = &targets[1]["labels"];
        assert_eq!(
            labels["__meta_kubernetes_pod_container_port_name"],
            "metrics"
        );
        assert_eq!(
            labels["__meta_kubernetes_pod_label_app_kubernetes_io_name"],
            "web"
        );
        assert_eq!(
            labels["__meta_kubernetes_pod_annotation_prometheus_io_scrape"],
            "true"
        );
    }

    #[test]
    fn a_pod_that_does_not_run_is_no_target() {
        assert!(targets_of(&pod("Succeeded")).is_empty());
    }
}
