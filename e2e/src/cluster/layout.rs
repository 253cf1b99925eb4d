//! Where everything of one cluster lives: one folder, and the facts that were fixed when it was started.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::ports::Ports;

/// The address of the node, on a bridge of our own. Processes of the machine that pods talk to bind here.
pub const NODE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 240, 0, 1);
/// The network of [`NODE_ADDRESS`].
pub const NODE_NETWORK: &str = "10.240.0.0/24";
/// Addresses of pods, real and simulated.
pub const POD_NETWORK: &str = "10.244.0.0/16";
/// Addresses of the pods on the real node.
pub const NODE_PODS: &str = "10.244.0.0/24";
/// The first address of the simulated pods' network.
pub const SIMULATED_PODS: &str = "10.244.128.1/17";
/// Addresses of Services.
pub const SERVICE_NETWORK: &str = "10.96.0.0/16";
/// The address of the Service `kubernetes`.
pub const SERVICE_APISERVER: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The address of the Service `kube-dns`.
pub const SERVICE_DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The name of the real node.
pub const NODE_NAME: &str = "node-1";

/// Which parts a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Everything: a node with containers, Services, names, a router, Prometheus and Git. One on a machine.
    Full,
    /// etcd and the API server on loopback, and, if asked for, the built-in controllers. Any number on a machine.
    ControlPlane {
        /// Whether controller-manager and scheduler run too.
        controllers: bool,
    },
}

/// What was fixed when the cluster was started, kept in `cluster.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Info {
    pub(super) kind: Kind,
    pub(super) ports: Ports,
    /// The boot of the machine in which the cluster was started: after another boot nothing of it can be alive.
    pub(super) boot: String,
    /// Whether everything came up once.
    pub(super) complete: bool,
    /// `net.ipv4.ip_forward` as it was before, to put it back.
    pub(super) ip_forward: String,
    /// Whether the API server writes an audit log.
    pub(super) audit: bool,
}

/// The paths under a cluster's folder.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

/// Marks a folder as ours, so that no other folder is ever emptied by mistake.
const MARKER: &str = ".sluice-cluster";

/// Unix sockets under the folder must fit into 107 bytes; the longest name below it has 40.
const LONGEST_ROOT: usize = 64;

impl Layout {
    /// The layout under `root`, which need not exist yet.
    ///
    /// # Errors
    /// When the path is relative to a folder that cannot be found, or too long for Unix sockets.
    pub fn new(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root)
            .with_context(|| format!("no absolute path for {}", root.display()))?;
        if root.as_os_str().len() > LONGEST_ROOT {
            bail!(
                "the state folder {} is longer than {LONGEST_ROOT} bytes, too long for the sockets in it",
                root.display()
            );
        }
        Ok(Self { root })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig.yaml")
    }

    /// The folder with links to `kubectl`, `helm` and `kustomize`.
    pub fn tools(&self) -> PathBuf {
        self.path("bin")
    }

    /// The kubeconfig of a component.
    pub(super) fn kubeconfig_of(&self, component: &str) -> PathBuf {
        self.path("kubeconfig").join(format!("{component}.yaml"))
    }

    /// A certificate or key.
    pub(super) fn pki(&self, file: &str) -> PathBuf {
        self.path("pki").join(file)
    }

    /// The log of a component.
    pub fn log(&self, component: &str) -> PathBuf {
        self.path("logs").join(format!("{component}.log"))
    }

    /// containerd's socket.
    pub(super) fn containerd_socket(&self) -> PathBuf {
        self.path("containerd/containerd.sock")
    }

    /// Makes the folder ours.
    ///
    /// # Errors
    /// When it holds files that are not ours, or cannot be created.
    pub(super) fn claim(&self) -> Result<()> {
        let root = self.root.display();
        std::fs::create_dir_all(&self.root).with_context(|| format!("cannot create {root}"))?;
        if !self.is_ours() {
            let mut entries =
                std::fs::read_dir(&self.root).with_context(|| format!("cannot read {root}"))?;
            if entries.next().is_some() {
                bail!("{root} holds files that are not a cluster's: choose another state folder");
            }
            write(
                &self.path(MARKER),
                "This folder belongs to a Sluice development cluster.\n",
            )?;
        }
        for folder in ["logs", "run", "pki", "kubeconfig", "home"] {
            std::fs::create_dir_all(self.path(folder))?;
        }
        Ok(())
    }

    /// Whether the folder was claimed before.
    pub(super) fn is_ours(&self) -> bool {
        self.path(MARKER).is_file()
    }

    /// Removes everything but the marker and the logs.
    pub(super) fn clear(&self) -> Result<()> {
        if !self.is_ours() {
            return Ok(());
        }
        let root = self.root.display();
        let entries =
            std::fs::read_dir(&self.root).with_context(|| format!("cannot read {root}"))?;
        for entry in entries {
            let entry = entry?;
            if [MARKER, "logs", "lock"]
                .iter()
                .any(|keep| entry.file_name() == *keep)
            {
                continue;
            }
            let path = entry.path();
            let removed = if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Reads what was fixed at the start; nothing when the cluster was never started, or not to the end of writing it.
    pub(super) fn info(&self) -> Option<Info> {
        let text = std::fs::read_to_string(self.path("cluster.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps what was fixed at the start.
    pub(super) fn save(&self, info: &Info) -> Result<()> {
        write(
            &self.path("cluster.json"),
            &serde_json::to_string_pretty(info)?,
        )
    }
}

/// Writes a file whole: a reader sees the old text or the new one, never half of it.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    let name = path.display();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let scratch = path.with_extension("new");
    std::fs::write(&scratch, text)
        .and_then(|()| std::fs::rename(&scratch, path))
        .with_context(|| format!("cannot write {name}"))
}

/// As [`write`], readable by the owner alone.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    write(path, text)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))
        .with_context(|| format!("cannot protect {}", path.display()))
}

/// Names the current boot of the machine.
pub(super) fn boot() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_foreign_files_is_neither_claimed_nor_cleared() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.tex"), "years of work").unwrap();
        let layout = Layout::new(dir.path()).unwrap();
        assert!(
            layout
                .claim()
                .unwrap_err()
                .to_string()
                .contains("choose another")
        );
        layout.clear().unwrap();
        assert!(dir.path().join("thesis.tex").exists());
    }

    #[test]
    fn clearing_keeps_the_logs() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path()).unwrap();
        layout.claim().unwrap();
        write(&layout.log("etcd"), "started").unwrap();
        write(&layout.path("etcd/member/wal"), "data").unwrap();
        layout.clear().unwrap();
        assert!(layout.log("etcd").exists() && !layout.path("etcd").exists());
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused() {
        let long = Path::new("/tmp").join("x".repeat(80));
        assert!(
            Layout::new(&long)
                .unwrap_err()
                .to_string()
                .contains("too long for the sockets")
        );
    }
}
