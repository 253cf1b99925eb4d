//! etcd: the store, on loopback, without waiting for the disk.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Cluster;
use super::process::Launch;
use crate::install::Program;

/// The process's name.
pub(super) const NAME: &str = "etcd";

/// Starts etcd and waits until it answers.
pub(super) async fn start(cluster: &Cluster) -> Result<()> {
    let step = cluster.reporter.step(NAME);
    let ports = &cluster.info.ports;
    let clients = format!("http://127.0.0.1:{}", ports.etcd);
    let peers = format!("http://127.0.0.1:{}", ports.etcd_peer);
    cluster.processes.ensure(
        Launch::new(NAME, cluster.tools.path(Program::Etcd)?)
            .flag("name", "sluice")
            .file("data-dir", &cluster.layout.path("etcd"))
            .flag("listen-client-urls", &clients)
            .flag("advertise-client-urls", &clients)
            .flag("listen-peer-urls", &peers)
            .flag("initial-advertise-peer-urls", &peers)
            .flag("initial-cluster", format_args!("sluice={peers}"))
            // The data need not survive the machine.
            .arg("--unsafe-no-fsync")
            .flag("quota-backend-bytes", 4_u64 << 30)
            .flag("log-level", "warn"),
    )?;
    let health = format!("{clients}/health");
    cluster
        .processes
        .ready(NAME, Duration::from_secs(30), || async {
            let text = cluster
                .http
                .get(&health)
                .send()
                .await?
                .error_for_status()?
                .text()
                .await?;
            ensure!(text.contains("true"), "it says {text}");
            Ok(())
        })
        .await?;
    step.done("");
    Ok(())
}
