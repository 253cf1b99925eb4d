//! Ending a cluster, whatever state it is in: processes, containers, mounts, control groups, network, files.
//!
//! Everything is found by what the cluster's own folder says: ids that we kept, runc's state files, mounts below the
//! folder. So it works after a killed program, and never touches what belongs to somebody else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;
use serde_json::Value;

use super::containerd::NAMESPACE;
use super::layout::{Kind, Layout};
use super::process::{Processes, signal_process, start_time};
use super::{containerd, control_groups, kubelet, network};
use crate::wait::eventually;

/// Ends and removes everything of the cluster in this folder but its logs.
pub(super) async fn everything(layout: &Layout) -> Result<()> {
    let info = layout.info();
    let processes = Processes::new(layout);
    // The kubelet and containerd first: they would start again what ends.
    for name in [kubelet::NAME, containerd::NAME] {
        processes.kill(name).await?;
    }
    let names = processes.names();
    futures::future::try_join_all(names.iter().map(|name| processes.kill(name))).await?;
    if info.as_ref().is_some_and(|info| info.kind == Kind::Full) {
        end_containers(layout).await?;
        unmount_below(layout.root())?;
        control_groups::remove();
        remove_log_links(layout.root());
        remove_shim_sockets(layout);
        remove_network_results();
        remove_kubelet_socket();
    }
    // A start that was interrupted early has a bridge and nothing else.
    network::remove(layout, info.as_ref()).await?;
    layout.clear()
}

/// Kills every container's first process, and then the shims that watched them.
async fn end_containers(layout: &Layout) -> Result<()> {
    let mut victims = Vec::new();
    for folder in entries(&layout.path("containerd/runc").join(NAMESPACE)) {
        victims.extend(container_process(&folder));
    }
    victims.extend(shims(layout));
    for &(pid, start) in &victims {
        signal_process(pid, start, Signal::KILL);
    }
    eventually(
        "the end of the containers",
        Duration::from_secs(15),
        || async {
            let left = victims
                .iter()
                .filter(|(pid, start)| start_time(*pid) == Some(*start))
                .count();
            if left > 0 {
                bail!("{left} processes are still there")
            } else {
                Ok(())
            }
        },
    )
    .await
}

/// The first process of a container, from runc's state file.
fn container_process(folder: &Path) -> Option<(u32, u64)> {
    let text = std::fs::read_to_string(folder.join("state.json")).ok()?;
    let state: Value = serde_json::from_str(&text).ok()?;
    let pid = u32::try_from(state["init_process_pid"].as_u64()?).ok()?;
    Some((pid, state["init_process_start"].as_u64()?))
}

/// containerd's shims: they outlive it, and name its socket in their command line.
fn shims(layout: &Layout) -> Vec<(u32, u64)> {
    let socket = layout.containerd_socket().display().to_string();
    let processes = entries(Path::new("/proc"))
        .into_iter()
        .filter_map(|folder| {
            let pid: u32 = folder.file_name()?.to_str()?.parse().ok()?;
            let line = std::fs::read(folder.join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let mut words = line.split('\0');
            let is_shim = words.next()?.ends_with("containerd-shim-runc-v2");
            (is_shim && words.any(|word| word == socket)).then_some(())?;
            Some((pid, start_time(pid)?))
        });
    processes.collect()
}

/// Unmounts everything below a folder, the innermost first.
fn unmount_below(root: &Path) -> Result<()> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").context("cannot read mounts")?;
    for place in mounts_below(&text, root).into_iter().rev() {
        unmount(&place, UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount {}", place.display()))?;
    }
    Ok(())
}

/// The mount points below a folder in the order in which they were mounted.
fn mounts_below(mountinfo: &str, root: &Path) -> Vec<PathBuf> {
    let places = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let places = places.map(|place| PathBuf::from(place.replace("\\040", " ")));
    places.filter(|place| place.starts_with(root)).collect()
}

/// Removes the links to our pods' logs that the kubelet keeps in a place of its own.
fn remove_log_links(root: &Path) {
    for link in entries(Path::new("/var/log/containers")) {
        if std::fs::read_link(&link).is_ok_and(|target| target.starts_with(root)) {
            let _ = std::fs::remove_file(link);
        }
    }
}

/// Removes the shims' sockets, which lie outside of the folder.
fn remove_shim_sockets(layout: &Layout) {
    let tasks = layout
        .path("containerd/state/io.containerd.runtime.v2.task")
        .join(NAMESPACE);
    for bundle in entries(&tasks) {
        let address = std::fs::read_to_string(bundle.join("address")).unwrap_or_default();
        if let Some(path) = address.trim().strip_prefix("unix://") {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Removes the socket for device plugins, which the kubelet keeps in a place of its own, unless another kubelet
/// listens on it.
fn remove_kubelet_socket() {
    let socket = Path::new("/var/lib/kubelet/device-plugins/kubelet.sock");
    let refused = std::os::unix::net::UnixStream::connect(socket)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    if refused {
        let _ = std::fs::remove_file(socket);
        // Removed only when empty, that is, when nobody else uses them.
        for folder in socket.ancestors().skip(1).take(2) {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Removes what the CNI library remembers of our pods, in a place of its own: files named after our network, and the
/// same pods' loopback.
fn remove_network_results() {
    let folder = Path::new("/var/lib/cni/results");
    for file in entries(folder) {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let ours = name
            .strip_prefix(containerd::NETWORK)
            .and_then(|name| name.strip_prefix('-'));
        if let Some(pod) = ours.and_then(|name| name.strip_suffix("-eth0")) {
            let _ = std::fs::remove_file(folder.join(format!("cni-loopback-{pod}-lo")));
            let _ = std::fs::remove_file(&file);
        }
    }
}

/// What a folder holds; nothing when it is not there.
pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_folder_are_found() {
        let text = "\
36 1 254:0 / / rw - ext4 /dev/vda rw
40 36 0:30 / /var/lib/sluice/pods/a rw - tmpfs tmpfs rw
41 36 0:31 / /var/lib/sluice-other rw - tmpfs tmpfs rw
42 40 0:32 / /var/lib/sluice/pods/a/b\\040c rw - tmpfs tmpfs rw
";
        let found = mounts_below(text, Path::new("/var/lib/sluice"));
        let expected = ["/var/lib/sluice/pods/a", "/var/lib/sluice/pods/a/b c"];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn a_containers_process_is_read_from_its_state() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"init_process_pid": 77, "init_process_start": 1234, "id": "x"}"#;
        std::fs::write(dir.path().join("state.json"), text).unwrap();
        assert_eq!(container_process(dir.path()), Some((77, 1234)));
        assert_eq!(container_process(&dir.path().join("nothing")), None);
    }
}
