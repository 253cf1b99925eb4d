//! Arguments of the commands that need no cluster.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Format;

/// Arguments of `simulate`.
#[derive(Args, Debug)]
#[command(after_help = "\
The files hold one Rollout and what it names: AnalysisTemplates, Services, routes. Services and HTTPRoutes that are \
left out are assumed. The Rollout is deployed and becomes healthy, then its image changes; the timeline begins there. \
Metrics say that all is well until --fail-from, or what --metrics says.

Exit code 0 whatever the update comes to; 1 when the manifests cannot be played.")]
pub(crate) struct SimulateArgs {
    /// File or folder with manifests; - for standard input; may be given several times
    #[arg(short = 'f', long = "filename", required = true, num_args = 1.., value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Time from the update on at which the new revision begins to fail all its requests, as 10m
    #[arg(long, value_name = "TIME")]
    pub fail_from: Option<String>,
    /// What the metrics say over time: a YAML map from the name of a metric to a list of {at: 30s, value: 0.97}
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Time that a pod needs to become ready
    #[arg(long, default_value = "5s", value_name = "TIME")]
    pub ready_after: String,
    /// Print an object
    #[arg(short, long)]
    pub output: Option<Format>,
}

/// Arguments of `lint`.
#[derive(Args, Debug)]
#[command(after_help = "\
Checked are Rollouts, AnalysisTemplates, AnalysisRuns, Applications and AppProjects: types, unknown fields, values, \
conditions, fields that Sluice does not carry out; and the Services, routes and templates that a Rollout names, if they \
are among the files.

Exit code 0: nothing is wrong; 1: something is, each with its file and field.")]
pub(crate) struct LintArgs {
    /// File or folder with manifests; - for standard input; may be given several times
    #[arg(short = 'f', long = "filename", required = true, num_args = 1.., value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Arguments of `completion`.
#[derive(Args, Debug)]
#[command(after_help = "\
bash: source <(kubectl-sluice completion bash), in ~/.bashrc; zsh: kubectl-sluice completion zsh > \
\"${fpath[1]}/_kubectl-sluice\"; fish: kubectl-sluice completion fish | source; powershell: kubectl-sluice completion \
powershell | Out-String | Invoke-Expression. The name under which the program is called is the one that is completed.")]
pub(crate) struct CompletionArgs {
    /// The shell
    pub shell: Shell,
}

/// A shell whose commands can be completed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

/// Arguments of `version`.
#[derive(Args, Debug)]
pub(crate) struct VersionArgs {
    /// Only the number
    #[arg(long)]
    pub short: bool,
}
