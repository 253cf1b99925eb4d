//! The control groups of our pods: a tree of their own, so that another kubelet's groups on this machine are never
//! touched.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cleanup::entries;

/// The root of the pods' groups, in the kubelet's notation.
pub(super) const ROOT: &str = "/sluice";

const MOUNT: &str = "/sys/fs/cgroup";

/// Creates the root, which the kubelet expects, in every hierarchy.
pub(super) fn ensure() -> Result<()> {
    for root in roots() {
        std::fs::create_dir_all(&root)
            .with_context(|| format!("cannot create the control group {}", root.display()))?;
    }
    Ok(())
}

/// Removes all groups below the root, and the root. Their processes have ended before.
pub(super) fn remove() {
    for root in roots() {
        remove_tree(&root);
    }
}

/// One root for each hierarchy: version 1 has many, version 2 one.
fn roots() -> Vec<PathBuf> {
    let mount = Path::new(MOUNT);
    let name = ROOT.trim_start_matches('/');
    if mount.join("cgroup.controllers").exists() {
        return vec![mount.join(name)];
    }
    let hierarchies = entries(mount).into_iter().filter(|entry| {
        // Links are second names of a hierarchy, such as `cpu` for `cpu,cpuacct`.
        entry.is_dir() && !entry.is_symlink()
    });
    hierarchies.map(|hierarchy| hierarchy.join(name)).collect()
}

/// Control groups are removed from the innermost on; their files go with them.
fn remove_tree(group: &Path) {
    for child in entries(group).into_iter().filter(|child| child.is_dir()) {
        remove_tree(&child);
    }
    // What is not there, or not empty after all, stays as it is.
    let _ = std::fs::remove_dir(group);
}
