//! The node's address on a bridge of our own, the routes, and a fence around them.
//!
//! Invariant: no packet to a pod, a Service or from a pod ever leaves the machine. A route for the Services exists
//! before anything uses one; addresses of pods that are not there are unreachable; what pods send elsewhere is
//! rejected.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::layout::{Info, Layout, NODE_ADDRESS, NODE_NETWORK, POD_NETWORK, SERVICE_NETWORK};
use crate::command::Command;

/// The bridge that carries the node's address. It has no ports: packets to it never leave the kernel.
const BRIDGE: &str = "sluice0";

/// Our table of packet filter rules.
const TABLE: &str = "sluice";

/// kube-proxy's tables, which it leaves behind.
const KUBE_PROXY_TABLES: &[[&str; 2]] = &[["ip", "kube-proxy"], ["ip6", "kube-proxy"]];

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// The node's address as a network of one.
pub(super) fn node_prefix() -> String {
    format!("{NODE_ADDRESS}/32")
}

/// Whether packets are forwarded between the machine's networks at present: `0` or `1`.
pub(super) fn forwarding() -> String {
    std::fs::read_to_string(FORWARDING)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Creates what is missing of the bridge, the routes and the fence.
pub(super) async fn ensure(layout: &Layout) -> Result<()> {
    let owner = layout.root().display().to_string();
    match bridge_owner().await? {
        Some(other) if other == owner => {}
        // Its folder was deleted under it: nobody else can take it down.
        Some(other) if !Path::new(&other).exists() => {
            ip(&["link", "set", BRIDGE, "alias", &owner]).await?;
        }
        Some(other) => bail!(
            "the bridge {BRIDGE} belongs to the cluster in {other}: \
             take that down first (`cargo xtask cluster down --state {other}`)"
        ),
        None => {
            refuse_overlap().await?;
            ip(&["link", "add", BRIDGE, "type", "bridge"]).await?;
            ip(&["link", "set", BRIDGE, "alias", &owner]).await?;
        }
    }
    let address = format!("{NODE_ADDRESS}/24");
    ip(&["address", "replace", &address, "dev", BRIDGE]).await?;
    ip(&["link", "set", BRIDGE, "up"]).await?;
    ip(&["route", "replace", SERVICE_NETWORK, "dev", BRIDGE]).await?;
    ip(&["route", "replace", "unreachable", POD_NETWORK]).await?;
    std::fs::write(FORWARDING, "1").with_context(|| format!("cannot write {FORWARDING}"))?;
    let fence = format!(
        "table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  chain forward {{
    type filter hook forward priority 0; policy accept;
    ip saddr {POD_NETWORK} ip daddr != {{ {POD_NETWORK}, {NODE_NETWORK}, {SERVICE_NETWORK} }} reject
  }}
}}
"
    );
    Command::new("nft")
        .args(["-f", "-"])
        .input(fence)
        .run()
        .await?;
    Ok(())
}

/// Removes what [`ensure`], the CNI plugins and kube-proxy made, if it was made for this cluster.
pub(super) async fn remove(layout: &Layout, info: Option<&Info>) -> Result<()> {
    let owner = layout.root().display().to_string();
    if bridge_owner().await?.as_deref() != Some(&owner) {
        return Ok(());
    }
    for [family, table] in KUBE_PROXY_TABLES.iter().chain(&[["inet", TABLE]]) {
        // Adding it first makes deleting it succeed when it is not there.
        let script = format!("table {family} {table}\ndelete table {family} {table}\n");
        Command::new("nft")
            .args(["-f", "-"])
            .input(script)
            .run()
            .await?;
    }
    // It may be gone with the machine's last boot.
    let _ = ip(&["route", "del", "unreachable", POD_NETWORK]).await;
    for interface in pod_interfaces().await? {
        // It goes away by itself when the pod's network namespace does; whoever is first is fine.
        let _ = ip(&["link", "del", &interface]).await;
    }
    if info.is_some_and(|info| info.ip_forward == "0") {
        std::fs::write(FORWARDING, "0").with_context(|| format!("cannot write {FORWARDING}"))?;
    }
    // Last, because it says whose all the above was.
    ip(&["link", "del", BRIDGE]).await?;
    Ok(())
}

/// The state folder of the cluster whose bridge it is.
async fn bridge_owner() -> Result<Option<String>> {
    if !Path::new("/sys/class/net").join(BRIDGE).exists() {
        return Ok(None);
    }
    let alias = std::fs::read_to_string(Path::new("/sys/class/net").join(BRIDGE).join("ifalias"))
        .with_context(|| format!("cannot read the alias of {BRIDGE}"))?;
    Ok(Some(alias.trim().to_owned()))
}

/// The host's ends of the pods' cables: each has a route to one pod.
async fn pod_interfaces() -> Result<Vec<String>> {
    let text = ip(&["-json", "route", "show", "root", POD_NETWORK]).await?;
    let routes: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    let names = routes.iter().filter_map(|route| route["dev"].as_str());
    Ok(names
        .filter(|name| name.starts_with("veth"))
        .map(str::to_owned)
        .collect())
}

/// Refuses to start when the machine uses one of our networks for something else.
async fn refuse_overlap() -> Result<()> {
    for network in [NODE_NETWORK, POD_NETWORK, SERVICE_NETWORK] {
        for select in ["root", "match"] {
            let text = ip(&["-json", "route", "show", select, network]).await?;
            let routes: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
            let taken = routes.iter().find(|route| {
                route["dst"] != "default" && route["dev"].is_string() && route["dev"] != BRIDGE
            });
            if let Some(route) = taken {
                bail!(
                    "the cluster uses {network}, but this machine has a route to {} through {}",
                    route["dst"],
                    route["dev"]
                );
            }
        }
    }
    Ok(())
}

async fn ip(args: &[&str]) -> Result<String> {
    Command::new("ip").args(args).run().await
}
