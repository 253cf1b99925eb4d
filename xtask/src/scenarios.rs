//! The scenarios of the real cluster: brings up what they need, plays them, takes it down again.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use sluice_e2e::cluster::{self, Options};
use sluice_e2e::install::{self, Profile, Program};
use sluice_e2e::product::{build, deploy, images};
use sluice_e2e::progress::Reporter;
use sluice_e2e::scenarios;
pub(crate) use sluice_e2e::scenarios::Stage;

use crate::test::Count;

/// Brings up the cluster with Sluice on it, installing and building what is missing.
///
/// # Errors
/// When the cluster or Sluice does not come up.
pub(crate) async fn stage() -> Result<Stage> {
    let reporter = Reporter::terminal();
    install::install(Profile::Full, &reporter).await?;
    let programs = build::programs(&reporter).await?;
    let cluster = cluster::up(Options::full()).await?;
    let step = reporter.step("images");
    let digest = images::import(&cluster, &programs).await?;
    step.done("");
    let step = reporter.step("sluice (helm)");
    let helm = cluster.tools().path(Program::Helm)?;
    deploy::install(helm, &cluster.kubeconfig(), "sluice", Some(&digest)).await?;
    step.done("");
    let client = cluster.client().await?;
    Ok(Stage {
        cluster,
        client,
        programs,
    })
}

/// Plays the scenarios whose name contains `only`.
///
/// # Errors
/// When the cluster cannot be reached.
pub(crate) async fn play(stage: Stage, only: &str) -> Result<Count> {
    let (passed, failed) = scenarios::run(Arc::new(stage), only).await?;
    Ok(Count { passed, failed })
}

/// Writes `e2e/fixtures/adoption` anew, on the cluster, which stays up.
///
/// # Errors
/// When the cluster does not come up, or a Rollout does not get into its phase.
pub(crate) async fn record_adoption() -> Result<ExitCode> {
    let stage = stage().await?;
    install::install(Profile::Adoption, &Reporter::terminal()).await?;
    scenarios::record_adoption(&stage).await?;
    Ok(ExitCode::SUCCESS)
}

/// Takes the cluster down again.
///
/// # Errors
/// When a process of it does not end.
pub(crate) async fn down() -> Result<()> {
    cluster::down(std::path::Path::new(cluster::DEFAULT_STATE)).await
}
