//! `kubectl sluice`: watch and steer Rollouts and Applications. Under the name `kubectl-argo-rollouts` it is that plugin.
//!
//! | what | where |
//! |---|---|
//! | the command line, and the name it was called by | [`args`], [`invocation`] |
//! | `get`, and all that is read of a Rollout or an Experiment | [`get`] |
//! | `explain` | [`explain`] |
//! | `list`, `status` | [`list`], [`wait`] |
//! | orders: `promote`, `abort`, `undo`, … | [`operate`], [`promotion`], [`template`] |
//! | `create` | [`create`] |
//! | Applications | [`app`] |
//! | `simulate`, `lint` | [`offline`] |
//! | `completion` | [`completion`] |
//!
//! Exit codes: 0 well, 1 not well (an error, a degraded Rollout, a difference), 2 a wrong command line. A reader of
//! the output that goes away is no error.

mod app;
mod args;
mod cluster;
mod completion;
mod create;
mod elsewhere;
mod explain;
mod failure;
#[cfg(test)]
mod fake;
mod get;
mod invocation;
mod list;
mod offline;
mod operate;
mod output;
mod paint;
mod promotion;
mod template;
mod wait;

use std::process::ExitCode;

use anyhow::Result;

use args::{Cli, Command, Get, List, Retry, Set, Terminate};
use get::experiment::ExperimentView;
use get::snapshot::Snapshot;
use invocation::Plugin;
use paint::Paint;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let plugin = Plugin::current();
    let cli = Cli::read(plugin);
    match run(plugin, &cli).await {
        Ok(code) => code,
        Err(error) if output::is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("Error: {}", failure::sentence(&error)));
            ExitCode::FAILURE
        }
    }
}

async fn run(plugin: Plugin, cli: &Cli) -> Result<ExitCode> {
    let paint = Paint::stdout(cli.connection.no_color);
    let connect = || cluster::connect(&cli.connection);
    let names = &cli.connection.namespace;
    match &cli.command {
        Command::Simulate(args) => offline::simulate::run(args, plugin, paint)?,
        Command::Lint(args) => return offline::lint::run(args, paint),
        Command::Completion(args) => output::print(&completion::script(plugin, args.shell)?)?,
        Command::Version(args) => output::print(&version(plugin, args.short))?,
        Command::Get(Get::Rollout { name, view }) => {
            get::run::<Snapshot>(&connect().await?, name, view, paint).await?;
        }
        Command::Get(Get::Experiment { name, view }) => {
            get::run::<ExperimentView>(&connect().await?, name, view, paint).await?;
        }
        Command::Create(args) => create::run(&connect().await?, args, paint).await?,
        Command::List(List::Rollouts(args)) => {
            list::run(&connect().await?, &list::ROLLOUTS, args).await?;
        }
        Command::List(List::Experiments(args)) => {
            list::run(&connect().await?, &list::EXPERIMENTS, args).await?;
        }
        Command::Status(args) => wait::run(&connect().await?, args).await?,
        Command::Explain(args) => explain::run(&connect().await?, &args.names, plugin).await?,
        Command::Promote(args) => operate::promote(&connect().await?, args).await?,
        Command::Abort(args) => operate::abort(&connect().await?, &args.names).await?,
        Command::Retry(Retry::Rollout(args)) => {
            operate::retry(&connect().await?, &args.names).await?;
        }
        Command::Retry(Retry::Experiment(args)) => {
            operate::retry_experiments(&connect().await?, &args.names).await?;
        }
        Command::Pause(args) => operate::pause(&connect().await?, &args.names).await?,
        Command::Restart(args) => operate::restart(&connect().await?, args).await?,
        Command::Undo(args) => template::undo(&connect().await?, args).await?,
        Command::Set(Set::Image(args)) => template::set_image(&connect().await?, args).await?,
        Command::Terminate(Terminate::Analysisrun { names }) => {
            operate::terminate_analysis_runs(&connect().await?, names).await?;
        }
        Command::Terminate(Terminate::Experiment(args)) => {
            operate::terminate_experiments(&connect().await?, &args.names).await?;
        }
        Command::App(args) => return app::run(&connect().await?, names.is_none(), args).await,
        Command::Dashboard(_) => return Err(elsewhere::answer("dashboard")),
        Command::Notifications(_) => return Err(elsewhere::answer("notifications")),
    }
    Ok(ExitCode::SUCCESS)
}

/// The first line is that of the other plugin, which scripts read.
fn version(plugin: Plugin, short: bool) -> String {
    let first = format!("{}: v{}\n", plugin.program(), env!("CARGO_PKG_VERSION"));
    if short {
        return first;
    }
    let (os, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{first}  Product: Sluice\n  Platform: {os}/{architecture}\n")
}
