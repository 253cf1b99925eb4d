//! Ways to talk to the cluster: a `kube` client, `kubectl`, apply, and plain HTTP to its components.

use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::{Cluster, apply};
use crate::command::Command;
use crate::install::Program;

/// Sets the process's provider of cryptography, which the HTTP clients share.
pub(super) fn crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Another part of the program may have set it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A client for the components' health: no proxy, and any certificate, because some sign their own.
pub(super) fn http() -> Result<reqwest::Client> {
    crypto();
    reqwest::Client::builder()
        .no_proxy()
        .danger_accept_invalid_certs(true)
        .timeout(Duration::from_secs(5))
        .build()
        .context("cannot make an HTTP client")
}

impl Cluster {
    /// A client of the API server as administrator. It may be used in the runtime that made it only.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        crypto();
        let path = self.kubeconfig();
        let kubeconfig = Kubeconfig::read_from(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .context("the kubeconfig is odd")?;
        config.connect_timeout = Some(Duration::from_secs(5));
        config.proxy_url = None;
        Client::try_from(config).context("cannot make a client of the API server")
    }

    /// Runs `kubectl` with these arguments, and returns what it prints.
    ///
    /// # Errors
    /// When it fails; the error carries what it said.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_command()?.args(args).run().await
    }

    /// A `kubectl` to which input, a time limit or more arguments can be added.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn kubectl_command(&self) -> Result<Command> {
        Ok(Command::new(self.tools.path(Program::Kubectl)?)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.layout.path("home")))
    }

    /// Applies all documents of a YAML text (server-side); those without a namespace go into `default`.
    ///
    /// # Errors
    /// When the text is no YAML or the API server refuses a document.
    pub async fn apply_yaml(&self, yaml: &str) -> Result<()> {
        apply::objects(&self.client().await?, &apply::parse(yaml)?, None).await
    }

    /// Applies CRDs, and waits until the API server serves them.
    ///
    /// # Errors
    /// As [`Cluster::apply_yaml`], and when one is not established after half a minute.
    pub async fn apply_crds(&self, yaml: &str) -> Result<()> {
        apply::crds(&self.client().await?, &apply::parse(yaml)?).await
    }

    /// Waits until a component's process answers with success at `url`.
    pub(super) async fn healthy(&self, name: &str, url: &str, limit: Duration) -> Result<()> {
        self.processes
            .ready(name, limit, || async {
                let answer = self.http.get(url).send().await?;
                ensure!(
                    answer.status().is_success(),
                    "{url} says {}",
                    answer.status()
                );
                Ok(())
            })
            .await
    }
}
