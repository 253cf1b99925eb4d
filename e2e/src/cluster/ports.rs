//! Ports: fixed ones that a person can remember for the full cluster, random free ones otherwise.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::layout::{Kind, NODE_ADDRESS};

/// The port of each component.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ports {
    /// etcd for the API server; loopback.
    pub etcd: u16,
    /// etcd for its peers, of which there are none; loopback.
    pub etcd_peer: u16,
    /// The API server; the node's address, or loopback without a node.
    pub apiserver: u16,
    /// controller-manager's health and metrics; loopback.
    pub controller_manager: u16,
    /// The scheduler's health and metrics; loopback.
    pub scheduler: u16,
    /// kubelet's API for logs and exec; the node's address.
    pub kubelet: u16,
    /// kubelet's health; loopback.
    pub kubelet_health: u16,
    /// kube-proxy's health; loopback.
    pub kube_proxy_health: u16,
    /// kube-proxy's metrics; loopback.
    pub kube_proxy_metrics: u16,
    /// CoreDNS' readiness; loopback.
    pub coredns_ready: u16,
    /// Traefik's entry point `web`; loopback.
    pub web: u16,
    /// Traefik's entry point `pods`, for clients in the cluster; the node's address.
    pub web_for_pods: u16,
    /// Traefik's API, ping and metrics; the node's address.
    pub traefik: u16,
    /// Prometheus; the node's address.
    pub prometheus: u16,
    /// Git over HTTP; loopback and the node's address.
    pub git: u16,
    /// kwok's own server; loopback.
    pub kwok: u16,
}

impl Ports {
    /// Chooses the ports of a cluster: those people know where they are free, others where not.
    ///
    /// # Errors
    /// When the machine has no free port left.
    pub(super) fn choose(kind: Kind) -> Result<Self> {
        let full = kind == Kind::Full;
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let node = IpAddr::V4(if full {
            NODE_ADDRESS
        } else {
            Ipv4Addr::LOCALHOST
        });
        let wish = |address, port| {
            if full && is_free(address, port) {
                Ok(port)
            } else {
                free(address)
            }
        };
        Ok(Self {
            etcd: free(loopback)?,
            etcd_peer: free(loopback)?,
            apiserver: wish(node, 6443)?,
            controller_manager: free(loopback)?,
            scheduler: free(loopback)?,
            kubelet: wish(node, 10250)?,
            kubelet_health: free(loopback)?,
            kube_proxy_health: free(loopback)?,
            kube_proxy_metrics: free(loopback)?,
            coredns_ready: free(loopback)?,
            web: wish(loopback, 18080)?,
            web_for_pods: wish(node, 18081)?,
            traefik: wish(node, 18082)?,
            prometheus: wish(node, 9090)?,
            git: wish(loopback, 18090)?,
            kwok: free(loopback)?,
        })
    }
}

/// A free port on loopback, for a process beside the cluster's own.
///
/// # Errors
/// When the machine has none left.
pub fn free_port() -> Result<u16> {
    free(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn is_free(address: IpAddr, port: u16) -> bool {
    TcpListener::bind(SocketAddr::new(address, port)).is_ok()
}

/// A free port below those that the kernel gives to outgoing connections, so that none of these takes it before the
/// component binds it. Two calls in one process never return the same port.
fn free(address: IpAddr) -> Result<u16> {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Spread processes apart: they choose at the same time, and a chosen port is not bound yet.
    let offset = std::process::id().wrapping_mul(331);
    (0..COUNT)
        .filter_map(|_| {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            u16::try_from(FIRST + offset.wrapping_add(step) % COUNT).ok()
        })
        .find(|&port| is_free(address, port))
        .with_context(|| format!("no free port on {address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_components_share_a_port() {
        let ports = Ports::choose(Kind::ControlPlane { controllers: true }).unwrap();
        let json = serde_json::to_value(&ports).unwrap();
        let all = json.as_object().unwrap();
        let distinct: std::collections::BTreeSet<u64> =
            all.values().filter_map(serde_json::Value::as_u64).collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn a_taken_port_is_not_chosen() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!is_free(
            Ipv4Addr::LOCALHOST.into(),
            taken.local_addr().unwrap().port()
        ));
    }
}
