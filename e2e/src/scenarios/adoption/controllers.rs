//! The two controllers between which the fleet changes hands. Both work for one namespace and one instance id, so that
//! the first installation of Sluice on the cluster has no part in it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::super::Stage;
use super::super::sharding;
use crate::cluster::free_port;
use crate::cluster::process::Launch;
use crate::demo::stage::text;
use crate::install::Program;
use crate::wait::eventually;

/// How long a controller that says that it is ready may take to have looked at every member, and to have done what it
/// should not do.
const LOOKED: Duration = Duration::from_secs(10);

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    /// Argo Rollouts, as a process of this machine.
    ArgoRollouts,
    /// Sluice, in a pod, from its chart.
    Sluice,
}

impl Controller {
    /// Starts it for a namespace, whose name is the instance id too, and waits until it has looked at everything.
    pub(super) async fn start(self, stage: &Stage, namespace: &str) -> Result<()> {
        match self {
            Controller::ArgoRollouts => argo_rollouts(stage, namespace).await?,
            Controller::Sluice => sharding::install(stage, namespace, namespace, &[]).await?,
        }
        tokio::time::sleep(LOOKED).await;
        Ok(())
    }

    /// Stops it, and waits until it is gone.
    pub(super) async fn stop(self, stage: &Stage, namespace: &str) -> Result<()> {
        match self {
            Controller::ArgoRollouts => stage.cluster.processes().stop(&process(namespace)).await,
            Controller::Sluice => {
                sharding::uninstall(stage, namespace).await?;
                eventually(
                    "the end of Sluice's pod",
                    Duration::from_secs(40),
                    || async {
                        let pods = stage.list(namespace, &super::super::watch::pods()).await?;
                        let left = pods
                            .iter()
                            .filter(|pod| {
                                text(pod, "/metadata/labels/app.kubernetes.io~1name") == "sluice"
                            })
                            .count();
                        ensure!(left == 0, "it is still there");
                        Ok(())
                    },
                )
                .await
            }
        }
    }
}

/// Ends a process of Argo Rollouts with the scenario, however that ends.
pub(super) struct EndsWith<'a>(pub(super) &'a Stage, pub(super) &'a str);

impl Drop for EndsWith<'_> {
    fn drop(&mut self) {
        self.0.cluster.processes().kill_at_once(&process(self.1));
    }
}

fn process(namespace: &str) -> String {
    format!("argo-rollouts-{namespace}")
}

async fn argo_rollouts(stage: &Stage, namespace: &str) -> Result<()> {
    let cluster = &stage.cluster;
    let health = free_port()?;
    let name = process(namespace);
    let launch = Launch::new(&name, cluster.tools().path(Program::ArgoRollouts)?)
        .file("kubeconfig", &cluster.kubeconfig())
        .flag("namespace", namespace)
        .arg("--namespaced")
        .flag("instance-id", namespace)
        .flag("leader-elect", false)
        .flag("metricsPort", free_port()?)
        .flag("healthzPort", health)
        .env("POD_NAMESPACE", namespace);
    cluster.processes().ensure(launch)?;
    let url = format!("http://127.0.0.1:{health}/healthz");
    let http = reqwest::Client::builder().no_proxy().build()?;
    let ready = cluster
        .processes()
        .ready(&name, Duration::from_secs(60), || async {
            http.get(&url).send().await?.error_for_status()?;
            Ok(())
        });
    ready.await.context("Argo Rollouts does not start")
}
