//! The scenarios of the real cluster: brings up what they need, plays them, takes it down again.

use std::sync::Arc;

use anyhow::Result;
use sluice_e2e::cluster::{self, Options};
use sluice_e2e::install::{self, Profile, Program};
use sluice_e2e::product::{build, deploy, images};
use sluice_e2e::progress::Reporter;
use sluice_e2e::scenarios::{self, Stage};

use crate::test::Count;

/// Plays the scenarios whose name contains `only`.
///
/// # Errors
/// When the cluster or Sluice does not come up.
pub(crate) async fn cluster(only: &str, keep: bool) -> Result<Count> {
    let reporter = Reporter::terminal();
    install::install(Profile::Full, &reporter).await?;
    let programs = build::programs(&reporter).await?;
    let cluster = cluster::up(Options::full()?).await?;
    let step = reporter.step("images");
    images::import(&cluster, &programs).await?;
    step.done("");
    let step = reporter.step("sluice (helm)");
    let helm = cluster.tools().path(Program::Helm)?;
    deploy::install(helm, &cluster.kubeconfig(), "sluice", &[]).await?;
    step.done("");
    let client = cluster.client().await?;
    let stage = Arc::new(Stage {
        cluster,
        client,
        programs,
    });
    let (passed, failed) = scenarios::run(stage, only).await?;
    if !keep {
        cluster::down(std::path::Path::new(cluster::DEFAULT_STATE)).await?;
    }
    Ok(Count { passed, failed })
}
