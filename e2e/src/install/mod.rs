//! Everything that a fresh Debian machine lacks: packages through apt-get, Go programs built at pinned versions, and
//! the manifests (CRDs, simulation stages) that are files of Go modules.
//!
//! Input: a [`Profile`] that says how much is needed. Output: a [`Toolbox`] with the path of each program.
//! Invariants: what is there is not touched, so a second call takes no time; what is built lives in a cache outside of
//! the checkout, under a name made from its pins, so that two checkouts never disturb each other; every version is
//! pinned by a `go.mod` and `go.sum` under `e2e/binaries`, and nowhere else.

mod build;
mod cache;
mod debian;
mod manifests;
mod programs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use cache::folder as cache_folder;
pub use debian::llvm_tools;
pub use manifests::Manifests;
pub use programs::{MODULES, Module, Program};

use crate::progress::Reporter;

/// How much of it all is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// helm and kustomize, which render manifests.
    Renderers,
    /// etcd and Kubernetes' programs: an API server without a node.
    ControlPlane,
    /// A cluster with a node, a router, names, Prometheus and Git, and the tools that render manifests.
    Full,
    /// [`Profile::Full`] and simulated nodes.
    Everything,
    /// [`Profile::Full`], and the controller and the plugin of Argo Rollouts.
    Adoption,
}

/// Where each program is.
#[derive(Clone, Debug)]
pub struct Toolbox {
    paths: BTreeMap<Program, PathBuf>,
}

impl Toolbox {
    /// The toolbox as it would be after an installation, whether or not the programs are there yet.
    ///
    /// # Errors
    /// When the cache folder has no name or a `go.mod` cannot be read.
    pub fn locate() -> Result<Self> {
        let cache = cache::folder()?;
        let mut paths = BTreeMap::new();
        for module in MODULES {
            let folder = cache.join(module.key()?);
            for &program in module.programs {
                paths.insert(program, folder.join(program.file()));
            }
        }
        Ok(Self { paths })
    }

    /// The path of a program.
    ///
    /// # Errors
    /// When the program is not installed; the error says how to install it.
    pub fn path(&self, program: Program) -> Result<&Path> {
        let path = self.paths.get(&program).filter(|path| path.is_file());
        path.map(PathBuf::as_path).with_context(|| {
            format!(
                "{} is not installed yet: run `cargo xtask install`",
                program.file()
            )
        })
    }

    /// Every program with its path, and whether it is there.
    pub fn all(&self) -> impl Iterator<Item = (Program, &Path, bool)> {
        self.paths
            .iter()
            .map(|(&program, path)| (program, path.as_path(), path.is_file()))
    }
}

/// Installs what is missing for `profile`. Takes milliseconds when nothing is.
///
/// # Errors
/// When the machine is not fit (not root, no Go) or an installation or a build fails.
pub async fn install(profile: Profile, reporter: &Reporter) -> Result<Toolbox> {
    if !matches!(profile, Profile::Renderers | Profile::ControlPlane) {
        debian::ensure(reporter).await?;
    }
    for module in MODULES.iter().filter(|module| module.wanted(profile)) {
        build::ensure(module, reporter).await?;
    }
    Toolbox::locate()
}

/// The manifests that come from Go modules; fetched on first use.
///
/// # Errors
/// When a module cannot be downloaded or its files are not as expected.
pub async fn manifests(reporter: &Reporter) -> Result<Manifests> {
    manifests::ensure(reporter).await
}
