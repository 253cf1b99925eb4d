//! Starting and ending a cluster.
//!
//! Invariants: `up` on a cluster that is up starts only what has died; on anything else that an earlier run has left
//! (an interrupted start, a killed machine) it cleans up first and starts from nothing. `down` touches nothing that was
//! not started or made by this cluster. Only one of them works on a folder at a time.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::layout::{Info, Kind, Layout, boot};
use super::ports::Ports;
use super::{
    Cluster, Options, apiserver, cleanup, containerd, controller_manager, coredns, etcd, git,
    kube_proxy, kubeconfig, kubelet, network, pause, pki, prometheus, scheduler, traefik,
};
use crate::install::{self, Profile, Program};

/// Starts a cluster, or what is missing of it, and returns when all of it is ready.
///
/// # Errors
/// When the machine is not fit, something cannot be installed, or a component does not become ready; the error then
/// shows the end of its log.
pub async fn up(options: Options) -> Result<Cluster> {
    if options.kind == Kind::Full && !rustix::process::geteuid().is_root() {
        bail!("a node with containers needs root: run this as root");
    }
    let layout = Layout::new(&options.state)?;
    layout.claim()?;
    let _lock = lock(&layout).await?;
    let profile = match options.kind {
        Kind::Full => Profile::Full,
        Kind::ControlPlane { .. } => Profile::ControlPlane,
    };
    let tools = install::install(profile, &options.reporter).await?;
    let info = match usable(&layout, &options)? {
        Some(info) => info,
        None => fresh(&layout, &options).await?,
    };
    let mut cluster = Cluster::new(layout, info, tools, options.reporter.clone())?;
    pki::ensure(&cluster.layout)?;
    kubeconfig::ensure(&cluster.layout, &cluster.info.server())?;
    start(&cluster, &options).await?;
    link_tools(&cluster)?;
    cluster.info.complete = true;
    cluster.layout.save(&cluster.info)?;
    Ok(cluster)
}

/// Ends the cluster in this folder; nothing happens when there is none.
///
/// # Errors
/// When something of it cannot be ended or removed.
pub async fn down(state: &Path) -> Result<()> {
    let layout = Layout::new(state)?;
    if !layout.is_ours() {
        return Ok(());
    }
    let _lock = lock(&layout).await?;
    cleanup::everything(&layout).await
}

/// What was fixed by an earlier start that came to its end in this boot, if it fits what is wanted now.
fn usable(layout: &Layout, options: &Options) -> Result<Option<Info>> {
    let Some(info) = layout
        .info()
        .filter(|info| info.complete && info.boot == boot())
    else {
        return Ok(None);
    };
    let state = layout.root().display();
    if info.kind != options.kind {
        bail!("a cluster of another kind is up in {state}: take it down first");
    }
    if options.audit && !info.audit {
        bail!("the cluster in {state} was started without an audit log: take it down first");
    }
    Ok(Some(info))
}

async fn fresh(layout: &Layout, options: &Options) -> Result<Info> {
    cleanup::everything(layout).await?;
    let logs = layout.path("logs");
    std::fs::remove_dir_all(&logs).with_context(|| format!("cannot clear {}", logs.display()))?;
    layout.claim()?;
    let ip_forward = network::forwarding();
    if options.kind == Kind::Full {
        network::ensure(layout).await?;
    }
    let info = Info {
        kind: options.kind,
        ports: Ports::choose(options.kind)?,
        boot: boot(),
        complete: false,
        ip_forward,
        audit: options.audit,
    };
    layout.save(&info)?;
    Ok(info)
}

/// Starts everything that does not run yet; what does not depend on each other side by side.
async fn start(cluster: &Cluster, options: &Options) -> Result<()> {
    let control_plane = async {
        etcd::start(cluster).await?;
        apiserver::start(cluster).await
    };
    match cluster.info.kind {
        Kind::ControlPlane { controllers } => {
            control_plane.await?;
            if controllers {
                tokio::try_join!(
                    controller_manager::start(cluster),
                    scheduler::start(cluster)
                )?;
            }
        }
        Kind::Full => {
            network::ensure(&cluster.layout).await?;
            let xtask = &helper(cluster, &options.xtask)?;
            let containers = async {
                containerd::start(cluster).await?;
                pause::start(cluster).await
            };
            let git = git::start(cluster, xtask);
            tokio::try_join!(control_plane, containers, git)?;
            let node = async {
                kubelet::start(cluster).await?;
                kube_proxy::start(cluster).await
            };
            tokio::try_join!(
                controller_manager::start(cluster),
                scheduler::start(cluster),
                node,
                coredns::start(cluster),
                traefik::start(cluster),
                prometheus::start(cluster, xtask),
                git::service(cluster),
            )?;
        }
    }
    Ok(())
}

/// Puts what a person types into one folder for the `PATH`.
fn link_tools(cluster: &Cluster) -> Result<()> {
    let folder = cluster.layout.tools();
    std::fs::create_dir_all(&folder)?;
    for program in [Program::Kubectl, Program::Helm, Program::Kustomize] {
        // A control plane alone comes without some of them.
        let Ok(path) = cluster.tools.path(program) else {
            continue;
        };
        let link = folder.join(program.file());
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(path, &link)
            .with_context(|| format!("cannot link {}", link.display()))?;
    }
    Ok(())
}

/// A copy of xtask in the cluster's folder: what is built next may have another interface, while tests start this
/// one again.
fn helper(cluster: &Cluster, xtask: &Path) -> Result<PathBuf> {
    let copy = cluster.layout.path("xtask");
    if !copy.is_file() {
        std::fs::copy(xtask, &copy).with_context(|| format!("cannot copy {}", xtask.display()))?;
    }
    Ok(copy)
}

/// Keeps two programs from working on one folder at once; ends with the returned file.
async fn lock(layout: &Layout) -> Result<File> {
    let path = layout.path("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await?
        .with_context(|| format!("cannot lock {}", path.display()))
}
