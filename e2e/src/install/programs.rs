//! The Go programs: which module brings which, and how its pins are read.
//!
//! The version of a program is the one in the module's `go.mod`; this table adds no second place for it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::Profile;

/// A program that we build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// etcd, the store behind the API server.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The controllers that come with Kubernetes.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// The agent of a node.
    Kubelet,
    /// Services as nftables rules.
    KubeProxy,
    /// The command line.
    Kubectl,
    /// Renders kustomizations.
    Kustomize,
    /// Renders and installs charts.
    Helm,
    /// The router.
    Traefik,
    /// Names inside the cluster.
    CoreDns,
    /// Simulated nodes and pods.
    Kwok,
    /// The controller of Argo Rollouts, from which Sluice takes over and to which it hands back.
    ArgoRollouts,
    /// The kubectl plugin of Argo Rollouts, which people go on using with Sluice.
    ArgoRolloutsPlugin,
}

impl Program {
    /// The file name, which is also the name that people know.
    pub fn file(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Kubectl => "kubectl",
            Self::Kustomize => "kustomize",
            Self::Helm => "helm",
            Self::Traefik => "traefik",
            Self::CoreDns => "coredns",
            Self::Kwok => "kwok",
            Self::ArgoRollouts => "rollouts-controller",
            Self::ArgoRolloutsPlugin => "kubectl-argo-rollouts",
        }
    }

    /// The Go package with the program's `main`.
    pub(super) fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Self::KubeProxy => "k8s.io/kubernetes/cmd/kube-proxy",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Kustomize => "sigs.k8s.io/kustomize/kustomize/v5",
            Self::Helm => "helm.sh/helm/v4/cmd/helm",
            Self::Traefik => "github.com/traefik/traefik/v3/cmd/traefik",
            Self::CoreDns => "github.com/coredns/coredns",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::ArgoRollouts => "github.com/argoproj/argo-rollouts/cmd/rollouts-controller",
            Self::ArgoRolloutsPlugin => {
                "github.com/argoproj/argo-rollouts/cmd/kubectl-argo-rollouts"
            }
        }
    }
}

/// A folder under `e2e/binaries`: one Go module of ours that pins one upstream module.
#[derive(Debug)]
pub struct Module {
    /// The folder's name.
    pub name: &'static str,
    /// The upstream module whose version is the programs' version.
    pub upstream: &'static str,
    /// What is built from it.
    pub programs: &'static [Program],
    /// The smallest profile that needs it.
    from: Profile,
}

/// All modules, in the order in which they are built: the control plane first, because everything waits for it.
pub const MODULES: &[Module] = &[
    Module {
        name: "etcd",
        upstream: "go.etcd.io/etcd/server/v3",
        programs: &[Program::Etcd],
        from: Profile::ControlPlane,
    },
    Module {
        name: "kubernetes",
        upstream: "k8s.io/kubernetes",
        programs: &[
            Program::KubeApiserver,
            Program::KubeControllerManager,
            Program::KubeScheduler,
            Program::Kubelet,
            Program::KubeProxy,
            Program::Kubectl,
        ],
        from: Profile::ControlPlane,
    },
    Module {
        name: "kustomize",
        upstream: "sigs.k8s.io/kustomize/kustomize/v5",
        programs: &[Program::Kustomize],
        from: Profile::Full,
    },
    Module {
        name: "coredns",
        upstream: "github.com/coredns/coredns",
        programs: &[Program::CoreDns],
        from: Profile::Full,
    },
    Module {
        name: "helm",
        upstream: "helm.sh/helm/v4",
        programs: &[Program::Helm],
        from: Profile::Full,
    },
    Module {
        name: "traefik",
        upstream: "github.com/traefik/traefik/v3",
        programs: &[Program::Traefik],
        from: Profile::Full,
    },
    Module {
        name: "kwok",
        upstream: "sigs.k8s.io/kwok",
        programs: &[Program::Kwok],
        from: Profile::Everything,
    },
    Module {
        name: "argo-rollouts",
        upstream: "github.com/argoproj/argo-rollouts",
        programs: &[Program::ArgoRollouts, Program::ArgoRolloutsPlugin],
        from: Profile::Adoption,
    },
];

impl Module {
    /// The folder with `go.mod` and `go.sum`.
    pub fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("binaries")
            .join(self.name)
    }

    /// Whether a profile needs this module.
    pub(super) fn wanted(&self, profile: Profile) -> bool {
        match profile {
            Profile::Everything => self.from != Profile::Adoption,
            Profile::Full => !matches!(self.from, Profile::Everything | Profile::Adoption),
            Profile::Adoption => self.from != Profile::Everything,
            Profile::ControlPlane => self.from == Profile::ControlPlane,
            Profile::Renderers => {
                let renders = [Program::Helm, Program::Kustomize];
                self.programs
                    .iter()
                    .any(|program| renders.contains(program))
            }
        }
    }

    /// The pinned version of [`Module::upstream`], such as `v1.36.3`.
    ///
    /// # Errors
    /// When `go.mod` cannot be read or does not name the module.
    pub fn version(&self) -> Result<String> {
        let path = self.folder().join("go.mod");
        let text = read(&path)?;
        required_version(&text, self.upstream)
            .map(str::to_owned)
            .with_context(|| format!("{} does not require {}", path.display(), self.upstream))
    }

    /// The linker's flags: no symbols, and the version where the program prints it.
    ///
    /// # Errors
    /// As [`Module::version`].
    pub(super) fn linker_flags(&self) -> Result<String> {
        let version = self.version()?;
        let plain = version.trim_start_matches('v');
        Ok(match self.name {
            "kubernetes" => {
                let mut numbers = plain.split('.');
                let (major, minor) = (numbers.next().unwrap_or("0"), numbers.next().unwrap_or("0"));
                let set = "-X k8s.io/component-base/version";
                format!(
                    "-s -w {set}.gitVersion={version} {set}.gitMajor={major} {set}.gitMinor={minor}"
                )
            }
            "argo-rollouts" => {
                let set = format!("-X {}/utils/version", self.upstream);
                format!("-s -w {set}.version={plain}")
            }
            _ => "-s -w".to_owned(),
        })
    }

    /// The name of the cache entry: the module's name and a digest of everything that decides what is built.
    ///
    /// # Errors
    /// When `go.mod` or `go.sum` cannot be read.
    pub fn key(&self) -> Result<String> {
        let mut digest = Sha256::new();
        for file in ["go.mod", "go.sum"] {
            digest.update(read(&self.folder().join(file))?);
        }
        digest.update(self.linker_flags()?);
        let digest: String = digest
            .finalize()
            .iter()
            .take(6)
            .map(|b| format!("{b:02x}"))
            .collect();
        Ok(format!("{}-{digest}", self.name))
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The version that a `go.mod` requires of a module.
fn required_version<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line
            .trim()
            .trim_start_matches("require ")
            .split_whitespace();
        let name = words.next()?;
        let version = words.next()?;
        (name == module && version.starts_with('v')).then_some(version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_both_forms_of_require() {
        let text = "module m\nrequire k8s.io/kubernetes v1.36.3\nrequire (\n\ta.b/c v2.0.0 // indirect\n)\n";
        assert_eq!(required_version(text, "k8s.io/kubernetes"), Some("v1.36.3"));
        assert_eq!(required_version(text, "a.b/c"), Some("v2.0.0"));
        assert_eq!(required_version(text, "a.b"), None);
    }

    #[test]
    fn a_replacement_is_not_taken_for_the_version() {
        assert_eq!(
            required_version("replace k8s.io/api => k8s.io/api v0.36.3", "k8s.io/api"),
            None
        );
    }

    #[test]
    fn every_module_is_pinned_and_has_a_key_of_its_own() {
        let keys: std::collections::BTreeSet<String> =
            MODULES.iter().map(|module| module.key().unwrap()).collect();
        assert_eq!(keys.len(), MODULES.len());
        for module in MODULES {
            assert!(
                module.version().unwrap().starts_with('v'),
                "{}",
                module.name
            );
        }
    }

    fn module(name: &str) -> &'static Module {
        MODULES.iter().find(|module| module.name == name).unwrap()
    }

    #[test]
    fn the_go_files_name_every_program_as_a_tool() {
        for module in MODULES {
            let go_mod = read(&module.folder().join("go.mod")).unwrap();
            for program in module.programs {
                assert!(
                    go_mod.lines().any(|line| {
                        line.trim().trim_start_matches("tool ") == program.package()
                    }),
                    "{} does not name {}",
                    module.name,
                    program.package()
                );
            }
        }
    }

    #[test]
    fn argo_rollouts_is_told_its_version_at_link_time() {
        let module = module("argo-rollouts");
        let version = module.version().unwrap();
        let number = version.trim_start_matches('v');
        let flags = module.linker_flags().unwrap();
        assert!(
            flags.ends_with(&format!("version.version={number}")),
            "{flags}"
        );
    }

    #[test]
    fn kubernetes_is_told_its_version_at_link_time() {
        let module = module("kubernetes");
        let flags = module.linker_flags().unwrap();
        assert!(
            flags.contains(&format!("gitVersion={}", module.version().unwrap())),
            "{flags}"
        );
        assert!(flags.contains("gitMajor=1 "), "{flags}");
    }
}
