//! Runs helm and kustomize on a checkout.
//!
//! Invariants: their environment has no credentials of the controller, no way to a cluster, and, unless the call is
//! meant to use the network, no way to one: programs are not found, and HTTP goes to a proxy that does not answer. What
//! they print is redacted, and paths in it are relative to the repository.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::build_env::BuildEnv;
use crate::error::{SourceError, bytes};
use crate::process::{Invocation, RunError, run};
use crate::redact::Redactor;
use crate::workshop::Workshop;

/// Discards what is sent to it: nothing listens on this port, and Go sends all but loopback there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A tool with a home of its own.
#[derive(Debug)]
pub(crate) struct Tool<'a> {
    shop: &'a Workshop,
    name: &'static str,
    program: PathBuf,
    env: BTreeMap<String, OsString>,
    home: TempDir,
    /// Hides secrets and paths in what it prints.
    pub(crate) redactor: Redactor,
    timeout: Duration,
}

impl<'a> Tool<'a> {
    /// helm, without network.
    pub(crate) fn helm(shop: &'a Workshop) -> Result<Self, SourceError> {
        let program = shop.helm()?;
        let mut tool = Self::new(shop, "helm", program)?;
        let home = tool.home.path().to_owned();
        for (name, folder) in [
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_DATA_HOME", "data"),
            ("HELM_PLUGINS", "plugins"),
            ("HELM_REPOSITORY_CACHE", "cache/repository"),
            ("HELM_REPOSITORY_CONFIG", "repositories.yaml"),
            ("HELM_REGISTRY_CONFIG", "registry.json"),
        ] {
            tool.env.insert(name.to_owned(), home.join(folder).into());
        }
        Ok(tool)
    }

    /// kustomize, without network.
    pub(crate) fn kustomize(shop: &'a Workshop) -> Result<Self, SourceError> {
        let program = shop.kustomize()?;
        Self::new(shop, "kustomize", program)
    }

    fn new(shop: &'a Workshop, name: &'static str, program: PathBuf) -> Result<Self, SourceError> {
        let home = shop.temporary(name)?;
        let mut redactor = Redactor::default();
        redactor.rename_path(home.path(), "<temporary>");
        let mut env: BTreeMap<String, OsString> = BTreeMap::new();
        for name in [
            "HOME",
            "TMPDIR",
            "XDG_CONFIG_HOME",
            "XDG_CACHE_HOME",
            "XDG_DATA_HOME",
        ] {
            env.insert(name.to_owned(), home.path().into());
        }
        env.insert("PATH".into(), home.path().join("no-programs").into());
        env.insert("LC_ALL".into(), "C.UTF-8".into());
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            env.insert(name.to_owned(), NOWHERE.into());
            env.insert(name.to_ascii_lowercase(), NOWHERE.into());
        }
        let timeout = shop.config.timeouts.render;
        Ok(Self {
            shop,
            name,
            program,
            env,
            home,
            redactor,
            timeout,
        })
    }

    /// Lets it use the network, with the proxies and authorities of the settings.
    pub(crate) fn with_network(mut self) -> Self {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            self.env.remove(name);
            self.env.remove(&name.to_ascii_lowercase());
        }
        for (name, value) in &self.shop.config.network_env {
            self.env.insert(name.clone(), value.into());
        }
        self.timeout = self.shop.config.timeouts.fetch;
        self
    }

    /// Lets it run programs of the installation (kustomize fetches remote bases with git).
    pub(crate) fn with_programs(mut self) -> Self {
        self.env
            .insert("PATH".into(), self.shop.config.search_path.clone().into());
        for (name, value) in [
            ("GIT_ALLOW_PROTOCOL", "https"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
        ] {
            self.env.insert(name.into(), value.into());
        }
        self
    }

    /// Gives it the variables of the rendering.
    pub(crate) fn with_variables(mut self, variables: &BuildEnv) -> Self {
        for (name, value) in variables.variables() {
            // The kernel takes no NUL in an environment.
            if !value.contains('\0') {
                self.env.insert(name.to_owned(), value.into());
            }
        }
        self
    }

    /// Shows paths below `folder` as relative ones.
    pub(crate) fn showing(mut self, folder: &Path) -> Self {
        self.redactor.rename_path(folder, "");
        self
    }

    /// A folder that only this tool uses.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file that only this process can read into the tool's home.
    pub(crate) fn private_file(&self, name: &str, text: &str) -> Result<PathBuf, SourceError> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;

        let path = self.home.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| SourceError::cache("writing a temporary file", &error))?;
        Ok(path)
    }

    /// Runs it in `cwd` and gives what it printed.
    pub(crate) async fn run(
        &self,
        cwd: &Path,
        args: Vec<OsString>,
    ) -> Result<Vec<u8>, SourceError> {
        let limits = &self.shop.config.limits;
        let what = args
            .iter()
            .take(2)
            .map(|arg| arg.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ");
        if args.iter().any(|arg| arg.as_encoded_bytes().contains(&0)) {
            return Err(SourceError::invalid(
                "spec.source",
                "a setting contains a NUL character",
            ));
        }
        let invocation = Invocation {
            program: self.program.clone(),
            args,
            env: self.env.clone(),
            cwd: cwd.to_owned(),
            timeout: self.timeout,
            stdout_limit: limits.rendered_bytes,
            file_limit: limits.checkout_bytes,
            memory_limit: limits.child_memory_bytes,
        };
        let output = run(invocation).await.map_err(|error| match error {
            RunError::Timeout(limit) => SourceError::Timeout {
                what: format!("{} {what}", self.name),
                seconds: limit.as_secs(),
            },
            RunError::TooMuchOutput(limit) => SourceError::TooLarge {
                what: format!("the output of {} {what}", self.name),
                limit: bytes(limit),
            },
            error => SourceError::Cache {
                message: self.redactor.message(&error.to_string()),
            },
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        // Some commands (`helm repo update`) give the reason on standard output.
        let printed = output.stdout.get(..4096).unwrap_or(&output.stdout);
        let printed = String::from_utf8_lossy(printed);
        let mut message = self
            .redactor
            .message(&format!("{printed}\n{}", output.stderr));
        if message.is_empty() {
            message = format!("{what}: {} without a message", output.status);
        }
        Err(SourceError::RenderFailed {
            tool: self.name,
            message,
        })
    }
}

/// Arguments from text.
pub(crate) fn args<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
