//! Arguments of `create`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

/// Arguments of `create`.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Rollouts, Experiments, AnalysisTemplates, ClusterAnalysisTemplates and AnalysisRuns are created. The files are checked as \
`lint` does it, and nothing is created when there is something wrong in one of them."
)]
pub(crate) struct CreateArgs {
    /// File or folder with manifests; - for standard input; may be given several times
    #[arg(short = 'f', long = "filename", required = true, num_args = 1.., value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Show every change of what was created until interrupted; for one Rollout or Experiment
    #[arg(short, long)]
    pub watch: bool,
    #[command(subcommand)]
    pub what: Option<Create>,
}

/// `create KIND`.
#[derive(Subcommand, Debug)]
pub(crate) enum Create {
    /// An AnalysisRun from an analysis template
    #[command(visible_alias = "ar")]
    Analysisrun(CreateRunArgs),
}

/// Arguments of `create analysisrun`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("template").required(true).args(["from", "from_file"])))]
pub(crate) struct CreateRunArgs {
    /// Name of the AnalysisTemplate in the cluster
    #[arg(long, value_name = "TEMPLATE_NAME")]
    pub from: Option<String>,
    /// File with the template; - for standard input
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
    /// The template is a ClusterAnalysisTemplate
    #[arg(long)]
    pub global: bool,
    /// Value of an argument of the template; may be given several times
    #[arg(short = 'a', long = "argument", value_name = "NAME=VALUE", value_parser = pair)]
    pub arguments: Vec<(String, String)>,
    /// Name of the run
    #[arg(long, conflicts_with = "generate_name")]
    pub name: Option<String>,
    /// Beginning of its name, which the API server makes unique; default: the template's name and a dash
    #[arg(long, value_name = "PREFIX")]
    pub generate_name: Option<String>,
    /// Instance of the controller that is to carry it out
    #[arg(long, value_name = "ID")]
    pub instance_id: Option<String>,
}

/// `NAME=VALUE`; the value may be empty, and may hold further `=`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("arguments must be in the form NAME=VALUE".to_owned()),
    }
}
