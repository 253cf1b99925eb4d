//! The API server: certificates for clients, Node and RBAC authorization.
//!
//! With a node it listens on the node's address, which pods reach through the Service `kubernetes`; without one on
//! loopback.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::Cluster;
use super::layout::{Kind, NODE_ADDRESS, SERVICE_NETWORK, write};
use super::process::Launch;
use crate::install::Program;

/// The process's name.
pub(super) const NAME: &str = "kube-apiserver";

/// Who did what when, without bodies: enough to count a controller's requests.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
";

/// The address it listens on.
pub(super) fn address(kind: Kind) -> Ipv4Addr {
    if kind == Kind::Full {
        NODE_ADDRESS
    } else {
        Ipv4Addr::LOCALHOST
    }
}

/// Starts the API server and waits until all of it is ready.
pub(super) async fn start(cluster: &Cluster) -> Result<()> {
    let step = cluster.reporter.step(NAME);
    let (layout, ports) = (&cluster.layout, &cluster.info.ports);
    let address = address(cluster.info.kind);
    let issuer = "https://kubernetes.default.svc.cluster.local";
    let mut launch = Launch::new(NAME, cluster.tools.path(Program::KubeApiserver)?)
        .flag(
            "etcd-servers",
            format_args!("http://127.0.0.1:{}", ports.etcd),
        )
        .flag("bind-address", address)
        .flag("secure-port", ports.apiserver)
        .flag("service-cluster-ip-range", SERVICE_NETWORK)
        .flag("authorization-mode", "Node,RBAC")
        .flag("allow-privileged", true)
        .file("client-ca-file", &layout.pki("ca.crt"))
        .file("tls-cert-file", &layout.pki("apiserver.crt"))
        .file("tls-private-key-file", &layout.pki("apiserver.key"))
        .file(
            "service-account-key-file",
            &layout.pki("service-accounts.pub"),
        )
        .file(
            "service-account-signing-key-file",
            &layout.pki("service-accounts.key"),
        )
        .flag("service-account-issuer", issuer)
        .file("kubelet-certificate-authority", &layout.pki("ca.crt"))
        .file(
            "kubelet-client-certificate",
            &layout.pki("apiserver-kubelet.crt"),
        )
        .file("kubelet-client-key", &layout.pki("apiserver-kubelet.key"))
        .flag("kubelet-preferred-address-types", "InternalIP")
        // One machine, many clients: a benchmark measures the controller, not this limit.
        .flag("max-requests-inflight", 2000)
        .flag("max-mutating-requests-inflight", 1000)
        .flag("profiling", false);
    launch = if cluster.info.kind == Kind::Full {
        launch.flag("advertise-address", NODE_ADDRESS)
    } else {
        // Nobody reaches it through a Service, and an endpoint on loopback would be refused.
        launch
            .flag("endpoint-reconciler-type", "none")
            .flag("advertise-address", "127.0.0.1")
    };
    if cluster.info.audit {
        let policy = layout.path("audit-policy.yaml");
        write(&policy, AUDIT_POLICY)?;
        launch = launch
            .file("audit-policy-file", &policy)
            .file("audit-log-path", &layout.path("audit.log"))
            .flag("audit-log-mode", "batch")
            .flag("audit-log-maxsize", 1024);
    }
    cluster.processes.ensure(launch)?;
    let client = cluster.client().await?;
    cluster
        .processes
        .ready(NAME, Duration::from_secs(60), || async {
            let request = axum::http::Request::get("/readyz").body(Vec::new())?;
            let answer = client.request_text(request).await?;
            ensure!(answer == "ok", "/readyz says {answer}");
            Ok(())
        })
        .await?;
    step.done(cluster.info.server());
    Ok(())
}
