//! containerd with its own root, state and socket, and the CNI configuration of its pods.
//!
//! Pods are cabled point to point to the machine (plugin `ptp`), so every packet between two pods passes the machine's
//! packet filter, where kube-proxy rewrites the addresses of Services.

use std::time::Duration;

use anyhow::Result;

use super::layout::{Layout, NODE_PODS, write};
use super::process::Launch;
use super::{Cluster, pause};
use crate::command::Command;

/// The process's name.
pub(super) const NAME: &str = "containerd";

/// Where images of pods live inside containerd.
pub(super) const NAMESPACE: &str = "k8s.io";

/// The name of the pods' network.
pub(super) const NETWORK: &str = "sluice";

/// Starts containerd and waits until it answers.
pub(super) async fn start(cluster: &Cluster) -> Result<()> {
    let step = cluster.reporter.step(NAME);
    let layout = &cluster.layout;
    write(&layout.path("cni/10-sluice.conflist"), &network(layout))?;
    let config = layout.path("containerd/config.toml");
    write(&config, &configuration(layout))?;
    let program = std::path::Path::new("/usr/bin/containerd");
    cluster
        .processes
        .ensure(Launch::new(NAME, program).arg("--config").arg(&config))?;
    cluster
        .processes
        .ready(NAME, Duration::from_secs(30), || async {
            ctr(layout)
                .args(["version"])
                .limit(Duration::from_secs(5))
                .run()
                .await
                .map(drop)
        })
        .await?;
    step.done("");
    Ok(())
}

/// containerd's own client, set to this cluster's images and containers.
pub(super) fn ctr(layout: &Layout) -> Command {
    let socket = layout.containerd_socket();
    Command::new("ctr")
        .arg("--address")
        .arg(socket)
        .args(["--namespace", NAMESPACE])
}

/// Why each line that is not obvious is there:
/// * `restrict_oom_score_adj`: in a machine without CAP_SYS_RESOURCE no sandbox starts otherwise;
/// * `netns_mounts_under_state_dir`: taking the cluster down unmounts what is under its folder, and nothing else;
/// * `Root`: runc's state, from which the containers' processes are found when everything else has died.
fn configuration(layout: &Layout) -> String {
    let path = |below: &str| layout.path("containerd").join(below).display().to_string();
    let socket = layout.containerd_socket();
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
oom_score = 0

[grpc]
  address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{opt}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{cni}"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
  Root = "{runc}"
"#,
        root = path("root"),
        state = path("state"),
        socket = socket.display(),
        opt = path("opt"),
        pause = pause::IMAGE,
        cni = layout.path("cni").display(),
        runc = path("runc"),
    )
}

fn network(layout: &Layout) -> String {
    let addresses = layout.path("cni/addresses");
    serde_json::json!({
        "cniVersion": "1.0.0",
        "name": NETWORK,
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "dataDir": addresses,
                    "ranges": [[{"subnet": NODE_PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
    .to_string()
}
