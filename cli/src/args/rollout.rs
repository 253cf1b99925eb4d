//! Arguments of the commands about Rollouts, and about their Experiments and AnalysisRuns.

use clap::{ArgAction, Args, Subcommand};

use super::{Format, seconds};

/// `get`.
#[derive(Subcommand, Debug)]
pub(crate) enum Get {
    /// A Rollout: header, tree, and what it waits for
    #[command(visible_aliases = ["ro", "rollouts"])]
    Rollout {
        /// Name of the Rollout
        #[arg(value_name = "ROLLOUT_NAME")]
        name: String,
        #[command(flatten)]
        view: ViewArgs,
    },
    /// An Experiment: header, tree, and what it waits for
    #[command(visible_aliases = ["exp", "experiments"])]
    Experiment {
        /// Name of the Experiment
        #[arg(value_name = "EXPERIMENT_NAME")]
        name: String,
        #[command(flatten)]
        view: ViewArgs,
    },
}

/// How `get` shows an object.
#[derive(Args, Debug)]
pub(crate) struct ViewArgs {
    /// Show every change until interrupted
    #[arg(short, long)]
    pub watch: bool,
    /// Seconds after which watching ends; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub timeout_seconds: u64,
    /// Print the object itself
    #[arg(short, long)]
    pub output: Option<Format>,
}

/// `list`.
#[derive(Subcommand, Debug)]
pub(crate) enum List {
    /// Rollouts
    #[command(visible_aliases = ["ro", "rollout"])]
    Rollouts(ListArgs),
    /// Experiments
    #[command(visible_aliases = ["exp", "experiment"])]
    Experiments(ListArgs),
}

/// Arguments of `list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only the one with this name
    #[arg(long)]
    pub name: Option<String>,
    /// Show every change until interrupted
    #[arg(short, long)]
    pub watch: bool,
    /// With the time at the beginning of each line
    #[arg(long)]
    pub timestamps: bool,
    /// Print the objects themselves
    #[arg(short, long)]
    pub output: Option<Format>,
}

/// Arguments of `status`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit code 0 when the Rollout is Healthy, 1 when it is Degraded or the time is up."
)]
pub(crate) struct StatusArgs {
    /// Name of the Rollout
    #[arg(value_name = "ROLLOUT_NAME")]
    pub name: String,
    /// Wait until it is Healthy or Degraded; --watch=false only looks
    #[arg(short, long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub watch: bool,
    /// How long to wait, as 90s or 5m; 0: without end
    #[arg(short, long, default_value = "0s", value_parser = seconds, value_name = "TIME")]
    pub timeout: u64,
}

/// Rollouts by name.
#[derive(Args, Debug)]
pub(crate) struct NamesArgs {
    /// Names of the Rollouts
    #[arg(required = true, value_name = "ROLLOUT_NAME")]
    pub names: Vec<String>,
}

/// Arguments of `promote`.
#[derive(Args, Debug)]
pub(crate) struct PromoteArgs {
    /// Name of the Rollout
    #[arg(value_name = "ROLLOUT_NAME")]
    pub name: String,
    /// Skip all analyses, pauses and steps that are left
    #[arg(long, conflicts_with_all = ["skip_current_step", "skip_all_steps"])]
    pub full: bool,
    /// Deprecated: `promote` without flags does it.
    #[arg(short = 'c', long, hide = true, conflicts_with = "skip_all_steps")]
    pub skip_current_step: bool,
    /// Deprecated: use --full.
    #[arg(short = 'a', long, hide = true)]
    pub skip_all_steps: bool,
}

/// `retry`.
#[derive(Subcommand, Debug)]
pub(crate) enum Retry {
    /// An aborted Rollout
    #[command(visible_aliases = ["ro", "rollouts"])]
    Rollout(NamesArgs),
    /// An Experiment: from its beginning
    #[command(visible_aliases = ["exp", "experiments"])]
    Experiment(ExperimentsArgs),
}

/// Experiments by name.
#[derive(Args, Debug)]
pub(crate) struct ExperimentsArgs {
    /// Names of the Experiments
    #[arg(required = true, value_name = "EXPERIMENT_NAME")]
    pub names: Vec<String>,
}

/// Arguments of `undo`.
#[derive(Args, Debug)]
pub(crate) struct UndoArgs {
    /// Name of the Rollout
    #[arg(value_name = "ROLLOUT_NAME")]
    pub name: String,
    /// Revision to go back to; 0: the one before
    #[arg(long, default_value_t = 0, value_name = "REVISION")]
    pub to_revision: i64,
}

/// Arguments of `restart`.
#[derive(Args, Debug)]
pub(crate) struct RestartArgs {
    /// Names of the Rollouts
    #[arg(required = true, value_name = "ROLLOUT_NAME")]
    pub names: Vec<String>,
    /// When, from now, as 10s
    #[arg(short = 'i', long = "in", default_value = "0s", value_parser = seconds, value_name = "TIME")]
    pub delay: u64,
}

/// `set`.
#[derive(Subcommand, Debug)]
pub(crate) enum Set {
    /// The image of a container
    Image(SetImageArgs),
}

/// Arguments of `set image`.
#[derive(Args, Debug)]
pub(crate) struct SetImageArgs {
    /// Name of the Rollout
    #[arg(value_name = "ROLLOUT_NAME")]
    pub name: String,
    /// Container and image; * means every container
    #[arg(required = true, value_name = "CONTAINER=IMAGE")]
    pub images: Vec<String>,
}

/// `terminate`.
#[derive(Subcommand, Debug)]
pub(crate) enum Terminate {
    /// An AnalysisRun
    #[command(visible_aliases = ["ar", "analysisruns"])]
    Analysisrun {
        /// Names of the runs
        #[arg(required = true, value_name = "ANALYSISRUN_NAME")]
        names: Vec<String>,
    },
    /// An Experiment
    #[command(visible_aliases = ["exp", "experiments"])]
    Experiment(ExperimentsArgs),
}
