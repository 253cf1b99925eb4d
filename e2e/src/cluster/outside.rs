//! Services for processes that run outside of pods: a Service without a selector, and an EndpointSlice of ours that
//! leads to the node's address.

use serde_json::{Value, json};

use super::layout::NODE_ADDRESS;

/// One port of such a Service.
pub(super) struct Port {
    /// Its name in the Service.
    pub(super) name: &'static str,
    /// `TCP` or `UDP`.
    pub(super) protocol: &'static str,
    /// The port that pods use.
    pub(super) service: u16,
    /// The port on which the process listens.
    pub(super) process: u16,
}

/// The namespace (unless it is one of Kubernetes' own), the Service and its EndpointSlice.
pub(super) fn service(
    namespace: &str,
    name: &str,
    cluster_ip: Option<&str>,
    ports: &[Port],
) -> Vec<Value> {
    let mut objects = Vec::new();
    if namespace != "kube-system" {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
        }));
    }
    let service_ports: Vec<Value> = ports
        .iter()
        .map(|port| {
            json!({
                "name": port.name, "protocol": port.protocol,
                "port": port.service, "targetPort": port.process,
            })
        })
        .collect();
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": service_ports},
    });
    if let Some(address) = cluster_ip {
        service["spec"]["clusterIP"] = json!(address);
    }
    objects.push(service);
    let slice_ports: Vec<Value> = ports
        .iter()
        .map(|port| json!({"name": port.name, "protocol": port.protocol, "port": port.process}))
        .collect();
    objects.push(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{name}-outside"), "namespace": namespace,
            "labels": {
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": "sluice-cluster",
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": true}}],
        "ports": slice_ports,
    }));
    objects
}
