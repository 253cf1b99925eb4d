//! Simulated nodes: kwok makes Nodes without a machine ready, and runs their pods without containers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use super::Cluster;
use super::layout::{Kind, NODE_ADDRESS, SIMULATED_PODS};
use super::process::Launch;
use crate::install::{self, Profile, Program};

/// The process's name.
pub(super) const NAME: &str = "kwok";

/// The label of a simulated node, `type: kwok`: a pod selects it to run there.
pub const NODE_LABEL: (&str, &str) = ("type", "kwok");

/// The key of a simulated node's taint: a pod tolerates it to run there, so that no other pod ends up there.
pub const NODE_TAINT: &str = "kwok.x-k8s.io/node";

/// How many pods fit on one simulated node.
const PODS_PER_NODE: &str = "1000";

impl Cluster {
    /// Starts kwok and makes simulated nodes until there are `count`, each with room for 1,000 pods. Pods for them need
    /// the node selector [`NODE_LABEL`] and a toleration of [`NODE_TAINT`].
    ///
    /// # Errors
    /// When the cluster has no controllers, kwok cannot be installed or started, or nodes do not become ready.
    pub async fn kwok_nodes(&self, count: usize) -> Result<()> {
        ensure!(
            self.info.kind != Kind::ControlPlane { controllers: false },
            "simulated nodes need a cluster with controllers"
        );
        let tools = install::install(Profile::Everything, &self.reporter).await?;
        let step = self.reporter.step(NAME);
        let mut launch = Launch::new(NAME, tools.path(Program::Kwok)?)
            .file("kubeconfig", &self.layout.kubeconfig_of(NAME))
            .flag("manage-all-nodes", false)
            .flag(
                "manage-nodes-with-label-selector",
                format_args!("{}={}", NODE_LABEL.0, NODE_LABEL.1),
            )
            .flag("cidr", SIMULATED_PODS)
            .flag("node-ip", NODE_ADDRESS)
            .flag(
                "server-address",
                format_args!("127.0.0.1:{}", self.info.ports.kwok),
            )
            .flag("node-lease-duration-seconds", 200);
        for stage in install::manifests(&self.reporter).await?.kwok_stages {
            launch = launch.file("config", &stage);
        }
        self.processes.ensure(launch)?;
        let client = self.client().await?;
        let api: Api<Node> = Api::all(client);
        for index in 0..count {
            // Created, not applied: applying would drop the status, and with it the capacity.
            let node = serde_json::from_value(node(index)).context("a node that is none")?;
            match api.create(&PostParams::default(), &node).await {
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                other => drop(other.context("cannot create a simulated node")?),
            }
        }
        let selector = ListParams::default().labels(&format!("{}={}", NODE_LABEL.0, NODE_LABEL.1));
        self.processes
            .ready(NAME, Duration::from_secs(60), || async {
                let all = api.list(&selector).await?;
                let ready = all.items.iter().filter(|node| is_ready(node)).count();
                ensure!(ready >= count, "{ready} of {count} nodes are ready");
                Ok(())
            })
            .await?;
        step.done(format!("{count} simulated nodes"));
        Ok(())
    }
}

fn is_ready(node: &Node) -> bool {
    let status = node.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|c| c.type_ == "Ready" && c.status == "True")
}

fn node(index: usize) -> Value {
    let name = format!("kwok-{index:03}");
    let (label, value) = NODE_LABEL;
    let resources = json!({"cpu": "1000", "memory": "1Ti", "pods": PODS_PER_NODE});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {label: value, "kubernetes.io/hostname": name},
            "annotations": {"node.alpha.kubernetes.io/ttl": "0", NODE_TAINT: "fake"},
        },
        "spec": {"taints": [{"key": NODE_TAINT, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"capacity": resources, "allocatable": resources},
    })
}
