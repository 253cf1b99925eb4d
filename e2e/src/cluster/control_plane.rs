//! An API server for one test program: etcd and kube-apiserver on random ports, any number side by side.
//!
//! It ends with the value, and at the latest with the program, however that ends: a small shell waits for the end of a
//! pipe that only the program holds open. What even that leaves (a shell that was killed too) the next one sweeps away.

use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

use super::layout::{Kind, Layout};
use super::process::start_time;
use super::{Cluster, Options, cleanup, lifecycle};
use crate::progress::Reporter;

/// When the input ends: ends the processes that the folder knows, if they still are what they were.
const WATCHDOG: &str = r#"
dir=$1
cat >/dev/null
for pid in $(sed -n 's/^  "pid": \([0-9]*\),$/\1/p' "$dir"/run/*.json); do
    cat "/proc/$pid/cmdline" "/proc/$pid/environ" 2>/dev/null | tr '\0' ' ' | grep -qF "$dir" && kill -9 "$pid"
done
rm -rf "$dir"
"#;

/// A control plane that ends when it is dropped, or with the program.
pub struct ControlPlane {
    cluster: Cluster,
    watchdog: Child,
}

impl Deref for ControlPlane {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

/// Starts etcd and an API server; with `controllers` also controller-manager and scheduler.
///
/// # Errors
/// When they are not installed or do not start.
pub async fn control_plane(controllers: bool) -> Result<ControlPlane> {
    sweep().await;
    let mut attempts = 3;
    loop {
        attempts -= 1;
        match attempt(controllers).await {
            // Another program took a port between our choice and its use.
            Err(error)
                if attempts > 0 && format!("{error:#}").contains("address already in use") => {}
            other => return other,
        }
    }
}

async fn attempt(controllers: bool) -> Result<ControlPlane> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let own = std::process::id();
    let start = start_time(own).context("this process is not in /proc")?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let state = folder().join(format!("{own}-{start}-{count}"));
    let cluster = lifecycle::up(Options {
        state: state.clone(),
        kind: Kind::ControlPlane { controllers },
        audit: false,
        reporter: Reporter::silent(),
        xtask: PathBuf::new(),
    })
    .await?;
    let watchdog = std::process::Command::new("sh")
        .args(["-c", WATCHDOG, "sluice-watchdog"])
        .arg(&state)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start the watchdog")?;
    Ok(ControlPlane { cluster, watchdog })
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let processes = self.cluster.processes().descriptors();
        // The end of its input is the sign; waiting keeps the next test from meeting this one's processes.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
        for process in processes {
            ended(&process);
        }
    }
}

/// Waits until a process has ended, which may be some time after the signal on a busy machine; not longer than ten
/// seconds, since the watchdog leaves alone what is not the control plane's.
fn ended(process: &OwnedFd) {
    let limit = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    let mut end = [PollFd::new(process, PollFlags::IN)];
    let _ = retry_on_intr(|| poll(&mut end, Some(&limit)));
}

fn folder() -> PathBuf {
    std::env::temp_dir().join("sluice-control-planes")
}

/// Removes control planes whose programs are gone. Best effort: what stays harms nobody.
async fn sweep() {
    for entry in std::fs::read_dir(folder()).into_iter().flatten().flatten() {
        let path = entry.path();
        if !is_orphan(&path) {
            continue;
        }
        if let Ok(layout) = Layout::new(&path)
            && cleanup::everything(&layout).await.is_ok()
        {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// Whether the program that a folder is named after is gone.
fn is_orphan(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let mut numbers = name.split('-');
    let pid = numbers.next().and_then(|pid| pid.parse().ok());
    let start: Option<u64> = numbers.next().and_then(|start| start.parse().ok());
    matches!((pid, start), (Some(pid), Some(start)) if start_time(pid) != Some(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_running_program_is_no_orphan() {
        let own = std::process::id();
        let start = start_time(own).unwrap();
        assert!(!is_orphan(Path::new(&format!("/tmp/{own}-{start}-0"))));
        assert!(is_orphan(Path::new(&format!("/tmp/{own}-{}-0", start + 1))));
        assert!(!is_orphan(Path::new("/tmp/something-else")));
    }
}
