//! `cargo xtask serve-git`: the cluster's Git server, a process of its own so that tests can stop and start it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use sluice_e2e::cluster::git_http;

/// Arguments of `cargo xtask serve-git`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder with bare repositories.
    #[arg(long)]
    root: PathBuf,
    /// An address to listen on; may be given more than once.
    #[arg(long, required = true)]
    listen: Vec<SocketAddr>,
}

/// Serves until the process is ended.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    git_http::serve(&arguments.root, &arguments.listen).await?;
    Ok(ExitCode::SUCCESS)
}
