//! `cargo xtask discover-pods`: keeps Prometheus' list of pods; a process of its own, started by the cluster.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use sluice_e2e::cluster::discovery;

/// Arguments of `cargo xtask discover-pods`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How the API server is reached.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// The file to keep.
    #[arg(long)]
    file: PathBuf,
}

/// Watches until the process is ended.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    discovery::run(&arguments.kubeconfig, &arguments.file).await?;
    Ok(ExitCode::SUCCESS)
}
