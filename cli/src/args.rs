//! The command line. Names and short forms are those of `kubectl argo rollouts`, so that fingers and scripts go on working.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Watch and steer Rollouts and Applications.
#[derive(Parser, Debug)]
#[command(name = "kubectl-sluice", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// How the cluster is found.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct ConnectionArgs {
    /// Namespace; default: that of the kubeconfig's context.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Path of the kubeconfig.
    #[arg(long, global = true, env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Cluster of the kubeconfig.
    #[arg(long, global = true)]
    pub cluster: Option<String>,
    /// User of the kubeconfig.
    #[arg(long, global = true)]
    pub user: Option<String>,
    /// Seconds after which a request is given up.
    #[arg(long, global = true, value_parser = seconds)]
    pub request_timeout: Option<u64>,
}

fn seconds(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let duration = sluice_crds::duration::parse(text).map_err(|error| error.to_string())?;
    u64::try_from(duration.as_secs()).map_err(|_| format!("{text} is negative"))
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Shows a Rollout with its revisions, pods and analyses.
    #[command(subcommand)]
    Get(Get),
    /// Lists Rollouts.
    #[command(subcommand)]
    List(List),
    /// Waits until a Rollout is healthy, degraded or paused, and says which; for CI.
    Status(StatusArgs),
    /// Goes on with a paused Rollout.
    Promote(PromoteArgs),
    /// Sends all traffic back to the stable revision.
    Abort(NameArgs),
    /// Tries an aborted Rollout again.
    #[command(subcommand)]
    Retry(Retry),
    /// Goes back to an earlier revision.
    Undo(UndoArgs),
    /// Pauses a Rollout.
    Pause(NameArgs),
    /// Replaces the pods of a Rollout.
    Restart(RestartArgs),
    /// Changes a Rollout.
    #[command(subcommand)]
    Set(Set),
    /// Ends an analysis.
    #[command(subcommand)]
    Terminate(Terminate),
    /// Says why a Rollout is where it is, and what comes next.
    Explain(NameArgs),
    /// Shows and syncs Applications.
    #[command(subcommand)]
    App(App),
    /// Runs a Rollout in virtual time, and prints what would happen when.
    Simulate(SimulateArgs),
    /// Prints the version.
    Version(VersionArgs),
}

/// `get`.
#[derive(Subcommand, Debug)]
pub(crate) enum Get {
    /// A Rollout.
    #[command(alias = "ro", alias = "rollouts")]
    Rollout(GetArgs),
}

/// Arguments of `get rollout`.
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Name of the Rollout.
    pub name: String,
    /// Shows every change until interrupted.
    #[arg(short, long)]
    pub watch: bool,
    /// Without colours.
    #[arg(long)]
    pub no_color: bool,
    /// Seconds after which watching ends; 0: never.
    #[arg(long, default_value_t = 0)]
    pub timeout_seconds: u64,
    /// Prints the object itself.
    #[arg(short, long)]
    pub output: Option<Format>,
}

/// `list`.
#[derive(Subcommand, Debug)]
pub(crate) enum List {
    /// Rollouts.
    #[command(alias = "ro", alias = "rollout")]
    Rollouts(ListArgs),
}

/// Arguments of `list rollouts`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Of all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only the one with this name.
    #[arg(long)]
    pub name: Option<String>,
    /// Shows every change until interrupted.
    #[arg(short, long)]
    pub watch: bool,
    /// Prints the objects themselves.
    #[arg(short, long)]
    pub output: Option<Format>,
}

/// Arguments of `status`.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// Name of the Rollout.
    pub name: String,
    /// Waits until it is settled.
    #[arg(short, long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub watch: bool,
    /// How long to wait, as `90s` or `5m`; `0`: without end.
    #[arg(short, long, default_value = "0s", value_parser = seconds)]
    pub timeout: u64,
}

/// A Rollout by name.
#[derive(Args, Debug)]
pub(crate) struct NameArgs {
    /// Name of the Rollout.
    #[arg(required = true)]
    pub names: Vec<String>,
}

/// Arguments of `promote`.
#[derive(Args, Debug)]
pub(crate) struct PromoteArgs {
    /// Name of the Rollout.
    pub name: String,
    /// Skips all analyses, pauses and steps that are left.
    #[arg(long, alias = "skip-all-steps", short_alias = 'a')]
    pub full: bool,
    /// Skips the current step.
    #[arg(short = 'c', long)]
    pub skip_current_step: bool,
}

/// `retry`.
#[derive(Subcommand, Debug)]
pub(crate) enum Retry {
    /// A Rollout.
    #[command(alias = "ro", alias = "rollouts")]
    Rollout(NameArgs),
}

/// Arguments of `undo`.
#[derive(Args, Debug)]
pub(crate) struct UndoArgs {
    /// Name of the Rollout.
    pub name: String,
    /// Revision to go back to; 0: the one before.
    #[arg(long, default_value_t = 0)]
    pub to_revision: i64,
}

/// Arguments of `restart`.
#[derive(Args, Debug)]
pub(crate) struct RestartArgs {
    /// Names of the Rollouts.
    #[arg(required = true)]
    pub names: Vec<String>,
    /// When, from now, as `10s`.
    #[arg(short, long = "in", default_value = "0s", value_parser = seconds)]
    pub delay: u64,
}

/// `set`.
#[derive(Subcommand, Debug)]
pub(crate) enum Set {
    /// The image of a container.
    Image(SetImageArgs),
}

/// Arguments of `set image`.
#[derive(Args, Debug)]
pub(crate) struct SetImageArgs {
    /// Name of the Rollout.
    pub name: String,
    /// `CONTAINER=IMAGE`; `*` means every container.
    #[arg(required = true)]
    pub images: Vec<String>,
}

/// `terminate`.
#[derive(Subcommand, Debug)]
pub(crate) enum Terminate {
    /// An AnalysisRun.
    #[command(alias = "ar")]
    Analysisrun {
        /// Name of the run.
        name: String,
    },
}

/// `app`.
#[derive(Subcommand, Debug)]
pub(crate) enum App {
    /// All Applications.
    List {
        /// Of all namespaces.
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// Prints the objects themselves.
        #[arg(short, long)]
        output: Option<Format>,
    },
    /// One Application and what it manages.
    Get {
        /// Name of the Application.
        name: String,
        /// Asks the controller to compare first.
        #[arg(long)]
        refresh: bool,
        /// As `--refresh`, past all caches.
        #[arg(long)]
        hard_refresh: bool,
        /// Prints the object itself.
        #[arg(short, long)]
        output: Option<Format>,
    },
    /// Applies what Git says now.
    Sync {
        /// Name of the Application.
        name: String,
        /// Revision; default: the target revision.
        #[arg(long)]
        revision: Option<String>,
        /// Deletes what Git no longer has.
        #[arg(long)]
        prune: bool,
        /// Only says what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Does not wait for the end.
        #[arg(long = "async")]
        asynchronous: bool,
        /// Seconds to wait.
        #[arg(long, default_value_t = 300)]
        timeout: u64,
    },
    /// What differs between Git and the cluster. Exits with 1 when something does.
    Diff {
        /// Name of the Application.
        name: String,
    },
}

/// Arguments of `simulate`.
#[derive(Args, Debug)]
pub(crate) struct SimulateArgs {
    /// Manifests: a Rollout, and its Services, routes and AnalysisTemplates.
    #[arg(short = 'f', long = "filename", required = true)]
    pub files: Vec<PathBuf>,
    /// Time from the update on at which the new revision begins to fail, as `10m`.
    #[arg(long)]
    pub fail_from: Option<String>,
    /// What the metrics say over time: a YAML map from metric name to a list of `{at: 30s, value: 0.97}`.
    #[arg(long)]
    pub metrics: Option<PathBuf>,
    /// Time that a pod needs to become ready.
    #[arg(long, default_value = "5s")]
    pub ready_after: String,
    /// Prints JSON lines.
    #[arg(short, long)]
    pub output: Option<Format>,
}

/// Arguments of `version`.
#[derive(Args, Debug)]
pub(crate) struct VersionArgs {
    /// Only the number.
    #[arg(long)]
    pub short: bool,
}

/// How objects are printed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}
