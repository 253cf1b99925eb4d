//! kube-proxy: Services as nftables rules.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::layout::{NODE_NAME, POD_NETWORK, write};
use super::process::Launch;
use super::{Cluster, network};
use crate::install::Program;

/// The process's name.
pub(super) const NAME: &str = "kube-proxy";

/// Starts kube-proxy and waits until it has written its rules. It waits for the node's address itself, so the node must
/// be there before.
pub(super) async fn start(cluster: &Cluster) -> Result<()> {
    let step = cluster.reporter.step(NAME);
    let layout = &cluster.layout;
    let ports = &cluster.info.ports;
    let config = layout.path("kube-proxy.json");
    write(
        &config,
        &json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {
                "kubeconfig": layout.kubeconfig_of(NAME),
                "qps": 100,
                "burst": 200,
            },
            "hostnameOverride": NODE_NAME,
            "clusterCIDR": POD_NETWORK,
            "healthzBindAddress": format!("127.0.0.1:{}", ports.kube_proxy_health),
            "metricsBindAddress": format!("127.0.0.1:{}", ports.kube_proxy_metrics),
            "nodePortAddresses": [network::node_prefix()],
            "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
            // It may not set the kernel's limits in every machine; zero leaves them as they are.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
                "udpTimeout": "0s",
                "udpStreamTimeout": "0s",
            },
        })
        .to_string(),
    )?;
    cluster.processes.ensure(
        Launch::new(NAME, cluster.tools.path(Program::KubeProxy)?).file("config", &config),
    )?;
    // Healthy means here: the first sync of the rules has happened.
    let url = format!("http://127.0.0.1:{}/healthz", ports.kube_proxy_health);
    cluster.healthy(NAME, &url, Duration::from_secs(30)).await?;
    step.done("");
    Ok(())
}
