//! `cargo xtask install`: the programs that the cluster needs.

use std::process::ExitCode;

use anyhow::Result;
use sluice_e2e::install::{Profile, Toolbox, install, manifests};
use sluice_e2e::progress::Reporter;

/// Arguments of `cargo xtask install`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only say where each program is or would be.
    #[arg(long)]
    list: bool,
}

/// Runs the subcommand.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let tools = if arguments.list {
        Toolbox::locate()?
    } else {
        let reporter = Reporter::terminal();
        let tools = install(Profile::Everything, &reporter).await?;
        manifests(&reporter).await?;
        tools
    };
    for (program, path, present) in tools.all() {
        let state = if present { "" } else { "  (not installed)" };
        println!("{:<24} {}{state}", program.file(), path.display());
    }
    Ok(ExitCode::SUCCESS)
}
