//! Installs Sluice with its own charts, as a person would.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{checkout, images};
use crate::command::Command;

/// Installs or upgrades the CRDs and Sluice, and waits until it is ready.
///
/// `helm` is the program, `values` are further `--set` assignments.
///
/// # Errors
/// When helm fails; the error holds what it said.
pub async fn install(
    helm: &Path,
    kubeconfig: &Path,
    namespace: &str,
    values: &[String],
) -> Result<()> {
    let charts = checkout()?.join("charts");
    let run = |release: &str, chart: &str, values: Vec<String>| {
        Command::new(helm)
            .args(["upgrade", "--install", release])
            .arg(charts.join(chart))
            .args(["--namespace", namespace, "--create-namespace", "--wait", "--timeout", "120s"])
            .args(values.iter().flat_map(|value| ["--set", value.as_str()]))
            .env("KUBECONFIG", kubeconfig)
            .limit(Duration::from_secs(180))
            .run()
    };
    run("sluice-crds", "sluice-crds", Vec::new()).await.context("cannot install the CRDs")?;
    let mut all = vec![
        format!("image.repository={}", images::SLUICE),
        format!("image.tag={}", images::TAG),
        "image.pullPolicy=IfNotPresent".to_owned(),
    ];
    all.extend_from_slice(values);
    run("sluice", "sluice", all).await.context("cannot install Sluice")?;
    Ok(())
}
