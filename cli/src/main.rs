//! `kubectl sluice`: watch and steer Rollouts and Applications. Under the name `kubectl-argo-rollouts` it is that plugin.

mod app;
mod args;
mod cluster;
mod explain;
mod get;
mod list;
mod operate;
mod output;
mod paint;
mod simulate;
mod template;
mod wait;

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Parser;

use args::{Cli, Command, Get, List, Retry, Set, Terminate};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("Error: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    match run(cli).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    match &cli.command {
        Command::Simulate(args) => {
            simulate::run(args)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Version(args) => {
            let version = env!("CARGO_PKG_VERSION");
            let text = if args.short { version.to_owned() } else { format!("kubectl-sluice: v{version}") };
            output::print(&format!("{text}\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let (client, namespace) = cluster::connect(&cli.connection).await?;
    let (client, namespace) = (&client, namespace.as_str());
    match &cli.command {
        Command::Get(Get::Rollout(args)) => get::run(client, namespace, args).await?,
        Command::List(List::Rollouts(args)) => list::run(client, namespace, args).await?,
        Command::Status(args) => wait::run(client, namespace, args).await?,
        Command::Promote(args) => operate::promote(client, namespace, args).await?,
        Command::Abort(args) => operate::abort(client, namespace, &args.names).await?,
        Command::Retry(Retry::Rollout(args)) => operate::retry(client, namespace, &args.names).await?,
        Command::Pause(args) => operate::pause(client, namespace, &args.names).await?,
        Command::Restart(args) => operate::restart(client, namespace, args).await?,
        Command::Undo(args) => template::undo(client, namespace, args).await?,
        Command::Set(Set::Image(args)) => template::set_image(client, namespace, args).await?,
        Command::Terminate(Terminate::Analysisrun { name }) => {
            operate::terminate_analysis_run(client, namespace, name).await?;
        }
        Command::Explain(args) => explain::run(client, namespace, &args.names).await?,
        Command::App(args) => return app::run(client, namespace, args).await,
        Command::Simulate(_) | Command::Version(_) => {
            return Err(anyhow!("this command needs no cluster and has been carried out already"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
