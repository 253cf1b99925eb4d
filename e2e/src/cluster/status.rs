//! What runs of a cluster.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::layout::{Kind, Layout, boot};
use super::process::Processes;

/// The state of the cluster in a folder.
#[derive(Debug)]
pub struct Status {
    /// Whether it came up to the end, in this boot of the machine.
    pub complete: bool,
    /// Its processes by name, each with its id when it runs.
    pub processes: Vec<(String, Option<u32>)>,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The folder with `kubectl`, `helm` and `kustomize`.
    pub tools: PathBuf,
    /// Addresses that a person may want, by name.
    pub urls: Vec<(&'static str, String)>,
}

impl Status {
    /// Whether it is complete and every process runs.
    pub fn is_up(&self) -> bool {
        self.complete && self.processes.iter().all(|(_, pid)| pid.is_some())
    }
}

/// Looks at the cluster in a folder; nothing when there is none.
///
/// # Errors
/// When the folder's path cannot be used.
pub fn status(state: &Path) -> Result<Option<Status>> {
    let layout = Layout::new(state)?;
    let Some(info) = layout.info() else {
        return Ok(None);
    };
    let processes = Processes::new(&layout);
    let names = processes.names().into_iter();
    let processes = names
        .map(|name| {
            let pid = processes.pid(&name);
            (name, pid)
        })
        .collect();
    let mut urls = vec![("API server", info.server())];
    if info.kind == Kind::Full {
        urls.push(("router", info.web_url()));
        urls.push(("Prometheus", info.prometheus_url()));
        urls.push(("Git", info.git_url()));
    }
    Ok(Some(Status {
        complete: info.complete && info.boot == boot(),
        processes,
        kubeconfig: layout.kubeconfig(),
        tools: layout.tools(),
        urls,
    }))
}
