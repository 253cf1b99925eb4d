//! Traefik outside of the pods: Gateway API, its own resources, and Ingresses as ingress-nginx understands them.
//!
//! Entry points: `web` on loopback for people and tests, `pods` on the node's address for clients inside the cluster
//! (two ports, because Traefik finds a Gateway listener's entry point by the port number alone).

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::Api;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::layout::NODE_ADDRESS;
use super::outside::{self, Port};
use super::process::Launch;
use super::{Cluster, apply};
use crate::install::{self, Program};

/// The process's name.
pub(super) const NAME: &str = "traefik";

/// The namespace of the Gateway; its name is [`GATEWAY`].
pub const GATEWAY_NAMESPACE: &str = "traefik";

/// The name of the GatewayClass and of the Gateway to which HTTPRoutes of every namespace may attach.
pub const GATEWAY: &str = "traefik";

/// Installs the CRDs, starts Traefik, and waits until the Gateway is programmed.
pub(super) async fn start(cluster: &Cluster) -> Result<()> {
    let client = cluster.client().await?;
    let manifests = install::manifests(&cluster.reporter).await?;
    let step = cluster.reporter.step("router CRDs");
    apply::crds(&client, &manifests.crds).await?;
    step.done(format!(
        "{} of Gateway API and Traefik",
        manifests.crds.len()
    ));

    let step = cluster.reporter.step(NAME);
    cluster.processes.ensure(launch(cluster)?)?;
    apply::objects(&client, &objects(cluster), None).await?;
    let url = format!("http://{NODE_ADDRESS}:{}/ping", cluster.info.ports.traefik);
    cluster.healthy(NAME, &url, Duration::from_secs(30)).await?;
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway");
    let gateways: Api<DynamicObject> =
        Api::namespaced_with(client, GATEWAY_NAMESPACE, &ApiResource::from_gvk(&kind));
    cluster
        .processes
        .ready(NAME, Duration::from_secs(30), || async {
            let gateway = gateways.get(GATEWAY).await?;
            let conditions = gateway.data["status"]["conditions"].clone();
            let programmed = conditions
                .as_array()
                .into_iter()
                .flatten()
                .any(|condition| {
                    condition["type"] == "Programmed" && condition["status"] == "True"
                });
            ensure!(programmed, "the Gateway's conditions are {conditions}");
            Ok(())
        })
        .await?;
    step.done(cluster.info.web_url());
    Ok(())
}

fn launch(cluster: &Cluster) -> Result<Launch> {
    let ports = &cluster.info.ports;
    Ok(Launch::new(NAME, cluster.tools.path(Program::Traefik)?)
        .env("KUBECONFIG", cluster.layout.kubeconfig_of(NAME).display())
        .flag("global.checknewversion", false)
        .flag("global.sendanonymoususage", false)
        .flag(
            "entrypoints.web.address",
            format_args!("127.0.0.1:{}", ports.web),
        )
        .flag(
            "entrypoints.pods.address",
            format_args!("{NODE_ADDRESS}:{}", ports.web_for_pods),
        )
        .flag(
            "entrypoints.traefik.address",
            format_args!("{NODE_ADDRESS}:{}", ports.traefik),
        )
        .flag("api.insecure", true)
        // Its pages are not part of the Go module.
        .flag("api.dashboard", false)
        .flag("ping", true)
        .flag("metrics.prometheus", true)
        .flag("metrics.prometheus.addserviceslabels", true)
        .flag("metrics.prometheus.addrouterslabels", true)
        .flag("providers.kubernetesgateway", true)
        .flag("providers.kubernetesgateway.statusaddress.ip", NODE_ADDRESS)
        .flag("providers.kubernetescrd", true)
        .flag("providers.kubernetesingressnginx", true)
        // Its default of 2 s would be most of the time from a decision to the traffic that follows it.
        .flag("providers.providersthrottleduration", "100ms")
        .flag("log.level", "INFO"))
}

fn objects(cluster: &Cluster) -> Vec<Value> {
    let ports = &cluster.info.ports;
    let service_ports = [
        Port {
            name: "web",
            protocol: "TCP",
            service: 80,
            process: ports.web_for_pods,
        },
        Port {
            name: "metrics",
            protocol: "TCP",
            service: 8080,
            process: ports.traefik,
        },
    ];
    let mut objects = outside::service(GATEWAY_NAMESPACE, "traefik", None, &service_ports);
    let listener = |name: &str, port: u16| {
        json!({
            "name": name, "port": port, "protocol": "HTTP",
            "allowedRoutes": {"namespaces": {"from": "All"}},
        })
    };
    objects.push(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": GATEWAY},
        "spec": {"controllerName": "traefik.io/gateway-controller"},
    }));
    objects.push(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": GATEWAY, "namespace": GATEWAY_NAMESPACE},
        "spec": {
            "gatewayClassName": GATEWAY,
            "listeners": [listener("web", ports.web), listener("pods", ports.web_for_pods)],
        },
    }));
    objects.push(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "nginx"},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    }));
    objects
}
