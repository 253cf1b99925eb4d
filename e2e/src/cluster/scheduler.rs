//! kube-scheduler.

use std::time::Duration;

use anyhow::Result;

use super::Cluster;
use super::layout::write;
use super::process::Launch;
use crate::install::Program;

/// The process's name.
pub(super) const NAME: &str = "kube-scheduler";

/// Starts it and waits until it is healthy.
pub(super) async fn start(cluster: &Cluster) -> Result<()> {
    let step = cluster.reporter.step(NAME);
    let layout = &cluster.layout;
    let port = cluster.info.ports.scheduler;
    let kubeconfig = layout.kubeconfig_of("scheduler");
    let config = layout.path("scheduler.yaml");
    write(&config, &configuration(&kubeconfig.display().to_string()))?;
    cluster.processes.ensure(
        Launch::new(NAME, cluster.tools.path(Program::KubeScheduler)?)
            .file("config", &config)
            .file("authentication-kubeconfig", &kubeconfig)
            .file("authorization-kubeconfig", &kubeconfig)
            .flag("bind-address", "127.0.0.1")
            .flag("secure-port", port)
            .flag("cert-dir", layout.path("pki/scheduler").display()),
    )?;
    let url = format!("https://127.0.0.1:{port}/healthz");
    cluster.healthy(NAME, &url, Duration::from_secs(30)).await?;
    step.done("");
    Ok(())
}

/// Its configuration: the limits on requests are raised as the controller-manager's are.
fn configuration(kubeconfig: &str) -> String {
    format!(
        "apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
clientConnection:
  kubeconfig: {kubeconfig}
  qps: 2000
  burst: 4000
"
    )
}
