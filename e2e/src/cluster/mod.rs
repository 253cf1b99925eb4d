//! A real Kubernetes as plain processes of this machine.
//!
//! * [`up`] starts a cluster under one folder, or completes one that is there; [`Cluster::attach`] takes one that is up;
//!   [`down`] ends it and leaves nothing behind but logs; [`status`] says what runs.
//! * [`control_plane`] gives a test program an API server of its own, which ends with the program.
//! * A [`Cluster`] hands out what tests need: clients, `kubectl`, apply, namespaces, images, repositories, simulated
//!   nodes, and its processes by name, to be stopped and started.
//!
//! Each process has a file of its own here. What all of them share is in [`layout`] (paths, addresses), `ports` and
//! [`process`].

mod apiserver;
pub mod apply;
mod cleanup;
mod client;
mod containerd;
mod control_groups;
mod control_plane;
mod controller_manager;
mod coredns;
pub mod discovery;
mod etcd;
mod git;
pub mod git_http;
pub mod image;
mod kube_proxy;
mod kubeconfig;
mod kubelet;
mod kwok;
pub mod layout;
mod lifecycle;
mod namespace;
mod network;
mod outside;
mod pause;
mod pki;
mod ports;
pub mod process;
mod prometheus;
mod scheduler;
mod status;
mod traefik;

use std::path::PathBuf;

use anyhow::{Context, Result};

pub use apply::{delete, parse};
pub use control_plane::{ControlPlane, control_plane};
pub use git::Repository;
pub use image::Image;
pub use kwok::{NODE_LABEL, NODE_TAINT};
pub use layout::Kind;
pub use lifecycle::{down, up};
pub use namespace::Namespace;
pub use pause::BUSYBOX_IMAGE;
pub use ports::{Ports, free_port};
pub use status::{Status, status};
pub use traefik::{GATEWAY, GATEWAY_NAMESPACE};

use crate::install::Toolbox;
use crate::progress::Reporter;
use layout::{Info, Layout, NODE_ADDRESS};
use process::Processes;

/// Where the full cluster lives unless told otherwise.
pub const DEFAULT_STATE: &str = "/var/lib/sluice-cluster";

/// The variable that names another folder for tests.
pub const STATE_VARIABLE: &str = "SLUICE_STATE";

/// How a cluster is started.
#[derive(Clone)]
pub struct Options {
    /// The folder of its state: new, empty, or a cluster's from before.
    pub state: PathBuf,
    /// Which parts it has.
    pub kind: Kind,
    /// Whether the API server writes `audit.log`: who asked for what, and when.
    pub audit: bool,
    /// Where progress is shown.
    pub reporter: Reporter,
    /// The program with the subcommands `serve-git` and `discover-pods`: xtask. A full cluster copies it.
    pub xtask: PathBuf,
}

impl Options {
    /// A full cluster in the usual place, with progress on the terminal, started by xtask.
    #[must_use]
    pub fn full() -> Self {
        Self {
            state: PathBuf::from(DEFAULT_STATE),
            kind: Kind::Full,
            audit: false,
            reporter: Reporter::terminal(),
            // This very program, even when a build has replaced its file in the meantime.
            xtask: PathBuf::from("/proc/self/exe"),
        }
    }
}

/// A cluster that is up, or on its way.
#[derive(Clone)]
pub struct Cluster {
    layout: Layout,
    info: Info,
    processes: Processes,
    tools: Toolbox,
    reporter: Reporter,
    http: reqwest::Client,
}

impl Cluster {
    fn new(layout: Layout, info: Info, tools: Toolbox, reporter: Reporter) -> Result<Self> {
        let processes = Processes::new(&layout);
        Ok(Self {
            layout,
            info,
            processes,
            tools,
            reporter,
            http: client::http()?,
        })
    }

    /// Takes a cluster that was started before, by this program or another.
    ///
    /// # Errors
    /// When there is none in that folder, or it did not come up; the error says how to start it.
    pub fn attach(state: &std::path::Path) -> Result<Self> {
        let layout = Layout::new(state)?;
        let info = layout
            .info()
            .filter(|info| info.complete && info.boot == layout::boot());
        let info = info.with_context(|| {
            format!(
                "no cluster is up in {}: run `cargo xtask cluster up`",
                state.display()
            )
        })?;
        Self::new(layout, info, Toolbox::locate()?, Reporter::silent())
    }

    /// Takes the cluster that tests run on: the one in `$SLUICE_STATE`, or in [`DEFAULT_STATE`].
    ///
    /// # Errors
    /// As [`Cluster::attach`].
    pub fn current() -> Result<Self> {
        let state = std::env::var_os(STATE_VARIABLE).filter(|state| !state.is_empty());
        Self::attach(state.as_deref().unwrap_or(DEFAULT_STATE.as_ref()).as_ref())
    }

    /// The paths of this cluster.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its processes, by the names `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler`, `containerd`,
    /// `kubelet`, `kube-proxy`, `coredns`, `traefik`, `prometheus`, `pod-discovery`,
    /// `git-server`, `kwok`.
    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    /// The programs that it runs, and those beside them.
    pub fn tools(&self) -> &Toolbox {
        &self.tools
    }

    /// Its ports.
    pub fn ports(&self) -> &Ports {
        &self.info.ports
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// The API server's address.
    pub fn server(&self) -> String {
        self.info.server()
    }

    /// The router's entry point on loopback, without a slash at the end.
    pub fn web_url(&self) -> String {
        self.info.web_url()
    }

    /// Prometheus, for this machine and for pods.
    pub fn prometheus_url(&self) -> String {
        self.info.prometheus_url()
    }

    /// The Git server on loopback; repositories carry the address that pods reach too.
    pub fn git_url(&self) -> String {
        self.info.git_url()
    }
}

impl Info {
    fn server(&self) -> String {
        format!(
            "https://{}:{}",
            apiserver::address(self.kind),
            self.ports.apiserver
        )
    }

    fn web_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.web)
    }

    fn prometheus_url(&self) -> String {
        format!("http://{NODE_ADDRESS}:{}", self.ports.prometheus)
    }

    fn git_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.git)
    }
}
