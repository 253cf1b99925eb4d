//! The kubelet: one real node with containers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use serde_json::json;

use super::layout::{NODE_ADDRESS, NODE_NAME, SERVICE_DNS, write};
use super::process::Launch;
use super::{Cluster, containerd, control_groups};
use crate::install::Program;

/// The process's name.
pub(super) const NAME: &str = "kubelet";

/// Starts the kubelet and waits until its node is ready.
pub(super) async fn start(cluster: &Cluster) -> Result<()> {
    let step = cluster.reporter.step(NAME);
    let layout = &cluster.layout;
    control_groups::ensure()?;
    let config = layout.path("kubelet.json");
    write(&config, &configuration(cluster).to_string())?;
    // Pods resolve names through the cluster alone, whatever this machine's own resolver says.
    write(
        &layout.path("resolv.conf"),
        &format!("nameserver {NODE_ADDRESS}\n"),
    )?;
    cluster.processes.ensure(
        Launch::new(NAME, cluster.tools.path(Program::Kubelet)?)
            .file("config", &config)
            .file("kubeconfig", &layout.kubeconfig_of(NAME))
            .file("root-dir", &layout.path("kubelet"))
            .flag("node-ip", NODE_ADDRESS)
            .flag("hostname-override", NODE_NAME),
    )?;
    let nodes: Api<Node> = Api::all(cluster.client().await?);
    cluster
        .processes
        .ready(NAME, Duration::from_secs(60), || async {
            let node = nodes.get(NODE_NAME).await?;
            let conditions = node
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            let ready = conditions
                .iter()
                .find(|condition| condition.type_ == "Ready");
            let ready = ready.context("the node has no condition Ready yet")?;
            ensure!(
                ready.status == "True",
                "{}",
                ready.message.clone().unwrap_or_default()
            );
            Ok(())
        })
        .await
        .map_err(|error| cluster.processes.with_log(containerd::NAME, error))?;
    step.done(format!("node {NODE_NAME} is ready"));
    Ok(())
}

fn configuration(cluster: &Cluster) -> serde_json::Value {
    let layout = &cluster.layout;
    let ports = &cluster.info.ports;
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "port": ports.kubelet,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": ports.kubelet_health,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": layout.pki("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": layout.pki("kubelet-server.crt"),
        "tlsPrivateKeyFile": layout.pki("kubelet-server.key"),
        "containerRuntimeEndpoint": format!("unix://{}", layout.containerd_socket().display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": control_groups::ROOT,
        "failCgroupV1": false,
        "failSwapOn": false,
        "clusterDomain": "cluster.local",
        "clusterDNS": [SERVICE_DNS],
        "resolvConf": layout.path("resolv.conf"),
        "podLogsDir": layout.path("pod-logs"),
        "volumePluginDir": layout.path("kubelet/volume-plugins"),
        // kube-proxy's rules are all that is needed, and these would stay behind.
        "makeIPTablesUtilChains": false,
        // No registry is reachable: an image that is collected could not be pulled again, and a full disk of the
        // machine is no reason to evict.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "0%",
            "imagefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.inodesFree": "0%",
        },
        "maxPods": 250,
        "serializeImagePulls": false,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 500,
        "kubeAPIBurst": 1000,
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "enableProfilingHandler": false,
    })
}
