//! kube-controller-manager: Deployments, ReplicaSets, namespaces, service accounts, garbage collection.

use std::time::Duration;

use anyhow::Result;

use super::Cluster;
use super::process::Launch;
use crate::install::Program;

/// The process's name.
pub(super) const NAME: &str = "kube-controller-manager";

/// Starts it and waits until it is healthy.
pub(super) async fn start(cluster: &Cluster) -> Result<()> {
    let step = cluster.reporter.step(NAME);
    let layout = &cluster.layout;
    let port = cluster.info.ports.controller_manager;
    let kubeconfig = layout.kubeconfig_of("controller-manager");
    cluster.processes.ensure(
        Launch::new(NAME, cluster.tools.path(Program::KubeControllerManager)?)
            .file("kubeconfig", &kubeconfig)
            .file("authentication-kubeconfig", &kubeconfig)
            .file("authorization-kubeconfig", &kubeconfig)
            .flag("bind-address", "127.0.0.1")
            .flag("secure-port", port)
            .flag("leader-elect", false)
            .flag("use-service-account-credentials", true)
            .file("root-ca-file", &layout.pki("ca.crt"))
            .file("cluster-signing-cert-file", &layout.pki("ca.crt"))
            .file("cluster-signing-key-file", &layout.pki("ca.key"))
            .file(
                "service-account-private-key-file",
                &layout.pki("service-accounts.key"),
            )
            // The default of 20 requests a second would be what a benchmark measures.
            .flag("kube-api-qps", 2000)
            .flag("kube-api-burst", 4000)
            .flag("concurrent-replicaset-syncs", 20)
            .flag("concurrent-endpoint-syncs", 20)
            .flag("concurrent-service-endpoint-syncs", 20)
            // Traffic follows pods at once.
            .flag("endpointslice-updates-batch-period", "0s")
            .flag("cert-dir", layout.path("pki/controller-manager").display()),
    )?;
    let url = format!("https://127.0.0.1:{port}/healthz");
    cluster.healthy(NAME, &url, Duration::from_secs(30)).await?;
    step.done("");
    Ok(())
}
