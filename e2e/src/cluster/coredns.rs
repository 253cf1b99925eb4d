//! Names: CoreDNS as a process on the node's address, and the Service `kube-dns` that leads pods to it.

use std::time::Duration;

use anyhow::Result;

use super::layout::{NODE_ADDRESS, SERVICE_DNS, write};
use super::outside::{self, Port};
use super::process::Launch;
use super::{Cluster, apply};
use crate::install::Program;

/// The process's name.
pub(super) const NAME: &str = "coredns";

/// Starts CoreDNS and waits until it has read the cluster's Services.
pub(super) async fn start(cluster: &Cluster) -> Result<()> {
    let step = cluster.reporter.step(NAME);
    let config = cluster.layout.path("Corefile");
    write(&config, &configuration(cluster))?;
    cluster.processes.ensure(
        Launch::new(NAME, cluster.tools.path(Program::CoreDns)?)
            .arg("-conf")
            .arg(&config),
    )?;
    let ports = [
        Port {
            name: "dns",
            protocol: "UDP",
            service: 53,
            process: 53,
        },
        Port {
            name: "dns-tcp",
            protocol: "TCP",
            service: 53,
            process: 53,
        },
    ];
    let address = SERVICE_DNS.to_string();
    let objects = outside::service("kube-system", "kube-dns", Some(&address), &ports);
    apply::objects(&cluster.client().await?, &objects, None).await?;
    let url = format!(
        "http://127.0.0.1:{}/ready",
        cluster.info.ports.coredns_ready
    );
    cluster.healthy(NAME, &url, Duration::from_secs(30)).await?;
    step.done("");
    Ok(())
}

/// The cluster's names, and a clear "no such name" for all others: nothing is asked of the world outside.
fn configuration(cluster: &Cluster) -> String {
    let kubeconfig = cluster.layout.kubeconfig_of(NAME);
    format!(
        "cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {{
    bind {NODE_ADDRESS}
    errors
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 2
    }}
}}
.:53 {{
    bind {NODE_ADDRESS}
    errors
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
",
        ready = cluster.info.ports.coredns_ready,
        kubeconfig = kubeconfig.display(),
    )
}
