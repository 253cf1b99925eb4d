//! The command line. Names and short forms are those of `kubectl argo rollouts`, so that fingers and scripts go on working.
//!
//! One file for each part: [`connection`] (how the cluster is found), [`rollout`], [`create`], [`app`], [`offline`] (what
//! needs no cluster).

mod app;
mod connection;
mod create;
mod offline;
mod rollout;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(crate) use app::App;
pub(crate) use connection::ConnectionArgs;
pub(crate) use create::{Create, CreateArgs, CreateRunArgs};
pub(crate) use offline::{CompletionArgs, LintArgs, Shell, SimulateArgs, VersionArgs};
pub(crate) use rollout::{
    Get, List, ListArgs, NamesArgs, PromoteArgs, RestartArgs, Retry, Set, SetImageArgs, StatusArgs,
    Terminate, UndoArgs, ViewArgs,
};

use crate::elsewhere::Rest;
use crate::invocation::Plugin;

/// Watch and steer Rollouts and Applications.
#[derive(Parser, Debug)]
#[command(version, about)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line of the process under the name by which it was called; ends it with help or a message and
    /// exit code 2 when it is wrong.
    pub(crate) fn read(plugin: Plugin) -> Self {
        let command = Self::definition(plugin).bin_name(plugin.usage());
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }

    /// All commands with their flags, under one of the two names.
    pub(crate) fn definition(plugin: Plugin) -> clap::Command {
        Self::command()
            .name(plugin.program())
            .after_help(examples(plugin))
    }
}

fn examples(plugin: Plugin) -> String {
    let typed = plugin.typed();
    format!(
        "Examples:
  {typed} get rollout web --watch          watch an update
  {typed} explain web                      why it is where it is, and what comes next
  {typed} promote web                      go on with a paused update
  {typed} abort web                        all traffic back to the stable revision
  {typed} status web --timeout 10m         wait for the end, for CI
  {typed} simulate -f rollout.yaml -f services.yaml --fail-from 1m"
    )
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show a Rollout or an Experiment with its pods and analyses
    #[command(subcommand)]
    Get(Get),
    /// List Rollouts or Experiments
    #[command(subcommand)]
    List(List),
    /// Wait until an update has ended, and say how; for CI
    Status(StatusArgs),
    /// Say why a Rollout is where it is, and what comes next
    Explain(NamesArgs),
    /// Go on with a paused update
    Promote(PromoteArgs),
    /// Give an update up: all traffic back to the stable revision
    Abort(NamesArgs),
    /// Try an aborted update or an Experiment again
    #[command(subcommand)]
    Retry(Retry),
    /// Go back to an earlier revision
    Undo(UndoArgs),
    /// Hold an update where it is
    Pause(NamesArgs),
    /// Replace the pods of a Rollout
    Restart(RestartArgs),
    /// Change a Rollout
    #[command(subcommand)]
    Set(Set),
    /// End an analysis or an Experiment
    #[command(subcommand)]
    Terminate(Terminate),
    /// Create objects from files, or an AnalysisRun from a template
    Create(CreateArgs),
    /// Show, compare and sync Applications
    #[command(subcommand)]
    App(App),
    /// Play an update of a Rollout in virtual time, and print what would happen when; needs no cluster
    Simulate(SimulateArgs),
    /// Find mistakes in manifests; needs no cluster
    Lint(LintArgs),
    /// Print what a shell needs to complete commands and flags; needs no cluster
    Completion(CompletionArgs),
    /// Print the version
    Version(VersionArgs),
    /// A command of the other plugin that is done in another way.
    #[command(hide = true)]
    Dashboard(Rest),
    /// A command of the other plugin that is done in another way.
    #[command(hide = true)]
    Notifications(Rest),
}

/// How objects are printed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
}

/// Whole seconds from `90`, `90s` or `5m`.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let duration = sluice_crds::duration::parse(text).map_err(|error| error.to_string())?;
    u64::try_from(duration.as_secs()).map_err(|_| format!("{text} is negative"))
}

#[cfg(test)]
mod tests;
