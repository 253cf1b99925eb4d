//! Under which name the program was called: it is two kubectl plugins in one file.

use std::ffi::OsStr;
use std::path::Path;

/// The plugin that people think they are using.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plugin {
    /// `kubectl sluice`.
    Sluice,
    /// `kubectl argo rollouts`.
    ArgoRollouts,
}

impl Plugin {
    /// From the name of this process.
    pub(crate) fn current() -> Self {
        std::env::args_os()
            .next()
            .map_or(Self::Sluice, |program| Self::of(&program))
    }

    fn of(program: &OsStr) -> Self {
        let name = Path::new(program)
            .file_stem()
            .and_then(OsStr::to_str)
            .unwrap_or_default();
        if name.contains("argo-rollouts") {
            Self::ArgoRollouts
        } else {
            Self::Sluice
        }
    }

    /// Name of the file.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Sluice => "kubectl-sluice",
            Self::ArgoRollouts => "kubectl-argo-rollouts",
        }
    }

    /// What people type.
    pub(crate) fn typed(self) -> &'static str {
        match self {
            Self::Sluice => "kubectl sluice",
            Self::ArgoRollouts => "kubectl argo rollouts",
        }
    }

    /// What stands behind `Usage:`, as each of the two plugins has it.
    pub(crate) fn usage(self) -> &'static str {
        match self {
            Self::Sluice => self.typed(),
            Self::ArgoRollouts => self.program(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_file_decides_which_plugin_it_is() {
        for (path, plugin) in [
            ("/usr/local/bin/kubectl-sluice", Plugin::Sluice),
            ("kubectl-argo-rollouts", Plugin::ArgoRollouts),
            (
                "/opt/kubectl-argo-rollouts-linux-amd64",
                Plugin::ArgoRollouts,
            ),
            ("kubectl-argo_rollouts.exe", Plugin::Sluice),
            ("sluice", Plugin::Sluice),
        ] {
            assert_eq!(Plugin::of(OsStr::new(path)), plugin, "{path}");
        }
    }
}
