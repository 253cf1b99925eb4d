//! The clusters that a controller speaks to: its own, and the one in which analysis runs its Jobs, if that is another one.

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use sluice_runtime::api;

use crate::args::Args;

/// Value of `--analysis-job-kubeconfig` for the service account of the pod, as upstream has it.
const IN_CLUSTER: &str = "in-cluster";
/// Flag and variable, as errors name them.
const JOBS: &str = "--analysis-job-kubeconfig (ARGO_ROLLOUTS_ANALYSIS_JOB_KUBECONFIG)";

/// Clients of the Kubernetes API.
#[derive(Clone)]
pub struct Clients {
    /// The cluster of Rollouts, runs and Applications.
    pub home: kube::Client,
    /// The cluster in which analysis runs its Jobs; `home` without it.
    pub jobs: Option<kube::Client>,
}

impl From<kube::Client> for Clients {
    fn from(home: kube::Client) -> Self {
        Self { home, jobs: None }
    }
}

impl Clients {
    /// The clients that the arguments name. Nothing is asked yet: a cluster may be down.
    ///
    /// # Errors
    /// When a kubeconfig cannot be read or used; the error names the argument and the file.
    pub async fn of(args: &Args) -> anyhow::Result<Self> {
        let home = api::client(home(args).await?);
        let jobs = match args.analysis_job_kubeconfig() {
            None => None,
            Some(path) => {
                let client = api::client(jobs(path).await?);
                Some(
                    client
                        .with_context(|| format!("cannot make a client of {path}, from {JOBS}"))?,
                )
            }
        };
        Ok(Self {
            home: home.context("cannot make a client of the Kubernetes API")?,
            jobs,
        })
    }
}

async fn home(args: &Args) -> anyhow::Result<kube::Config> {
    if args.kubeconfig.is_none() && args.context.is_none() {
        return kube::Config::infer().await.context(
            "there is neither a service account nor a kubeconfig; name one with --kubeconfig",
        );
    }
    let options = KubeConfigOptions {
        context: args.context.clone(),
        ..Default::default()
    };
    match &args.kubeconfig {
        Some(path) => from_file(path, "--kubeconfig", &options).await,
        None => kube::Config::from_kubeconfig(&options)
            .await
            .with_context(|| {
                format!(
                    "cannot use context {}",
                    args.context.as_deref().unwrap_or_default()
                )
            }),
    }
}

async fn jobs(path: &str) -> anyhow::Result<kube::Config> {
    if path == IN_CLUSTER {
        return kube::Config::incluster()
            .with_context(|| format!("{JOBS} is {IN_CLUSTER:?}, and there is no service account"));
    }
    from_file(path, JOBS, &KubeConfigOptions::default()).await
}

async fn from_file(
    path: &str,
    argument: &str,
    options: &KubeConfigOptions,
) -> anyhow::Result<kube::Config> {
    let read = Kubeconfig::read_from(path).map_err(|error| match error {
        // The parser's words quote the file, which holds credentials.
        KubeconfigError::Parse(_) => anyhow::anyhow!("it is not the YAML of a kubeconfig"),
        error => error.into(),
    });
    let kubeconfig =
        read.with_context(|| format!("cannot read the kubeconfig {path}, from {argument}"))?;
    kube::Config::from_custom_kubeconfig(kubeconfig, options)
        .await
        .with_context(|| format!("cannot use the kubeconfig {path}, from {argument}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn error(path: &str) -> String {
        format!("{:#}", jobs(path).await.unwrap_err())
    }

    #[tokio::test]
    async fn a_kubeconfig_that_cannot_be_read_is_an_error_that_names_argument_and_file() {
        let missing = error("/no/such/kubeconfig").await;
        for expected in [
            "--analysis-job-kubeconfig",
            "ARGO_ROLLOUTS_ANALYSIS_JOB_KUBECONFIG",
            "/no/such/kubeconfig",
        ] {
            assert!(missing.contains(expected), "{missing}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_kubeconfig_is_refused_without_quoting_it() {
        let path = std::env::temp_dir().join(format!("sluice-kubeconfig-{}", std::process::id()));
        for (content, expected) in [
            ("users: hunter2", "is not the YAML of a kubeconfig"),
            ("apiVersion: v1\nkind: Config\n", "cannot use"),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = error(path.to_str().unwrap()).await;
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
