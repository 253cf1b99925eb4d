//! A namespace for one test: its own name, so that tests run side by side, and deleted when the test succeeds.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use serde_json::json;

use super::{Cluster, apply};
use crate::wait::eventually;

/// A namespace that is deleted when this value is dropped, unless the test panics: then it stays to be looked at.
pub struct Namespace {
    name: String,
    cluster: Cluster,
}

impl Cluster {
    /// Creates a namespace whose name starts with `prefix`, and waits until pods can be created in it.
    ///
    /// # Errors
    /// When the API server refuses, or the namespace gets no service account in time.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let time = jiff::Timestamp::now().as_millisecond() % 100_000_000;
        let name = format!("{prefix}-{time:x}{:x}{count:x}", std::process::id() % 256);
        let client = self.client().await?;
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"sluice.dev/test": prefix}},
        });
        apply::objects(&client, &[object], None).await?;
        if self.processes.is_alive(super::controller_manager::NAME) {
            let accounts: Api<ServiceAccount> = Api::namespaced(client, &name);
            let what = format!("the service account of namespace {name}");
            eventually(&what, Duration::from_secs(20), || async {
                match accounts.get_opt("default").await? {
                    Some(_) => Ok(()),
                    None => bail!("it is not there"),
                }
            })
            .await?;
        }
        Ok(Namespace {
            name,
            cluster: self.clone(),
        })
    }
}

impl Namespace {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Applies all documents of a YAML text; those without a namespace go into this one.
    ///
    /// # Errors
    /// When the text is no YAML or the API server refuses a document.
    pub async fn apply_yaml(&self, yaml: &str) -> Result<()> {
        let client = self.cluster.client().await?;
        apply::objects(&client, &apply::parse(yaml)?, Some(&self.name)).await
    }

    /// Runs `kubectl` in this namespace.
    ///
    /// # Errors
    /// When it fails.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.cluster
            .kubectl_command()?
            .args(["--namespace", &self.name])
            .args(args)
            .run()
            .await
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("namespace {} stays to be looked at", self.name);
            return;
        }
        let Ok(kubectl) = self.cluster.tools.path(crate::install::Program::Kubectl) else {
            return;
        };
        // Not awaited: the next test need not wait until this one's pods have ended.
        let _ = std::process::Command::new(kubectl)
            .arg(format!(
                "--kubeconfig={}",
                self.cluster.kubeconfig().display()
            ))
            .args([
                "delete",
                "namespace",
                &self.name,
                "--wait=false",
                "--request-timeout=10s",
            ])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
    }
}
