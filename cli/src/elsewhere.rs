//! Commands of `kubectl argo rollouts` that this plugin leaves to others: each answers with what to do instead.

use anyhow::{Error, anyhow};
use clap::Args;

/// Arguments that nobody reads.
#[derive(Args, Debug)]
pub(crate) struct Rest {
    /// Whatever was written.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub words: Vec<String>,
}

/// The answer to a command.
pub(crate) fn answer(command: &str) -> Error {
    let instead = match command {
        "create" => {
            "use `kubectl create -f FILE`; an AnalysisRun can be made from a template by copying its spec"
        }
        "dashboard" => {
            "there is no local dashboard; `get rollout NAME --watch` shows a Rollout live"
        }
        "notifications" => {
            "Sluice sends no notifications; Events and metrics say the same (`kubectl get events`)"
        }
        "completion" => "shell completion is not offered",
        _ => {
            "experiments are not shown by this plugin: use kubectl get experiments and kubectl describe experiment; to end one, set its spec.terminate to true"
        }
    };
    anyhow!("`{command}` is not part of this plugin: {instead}")
}
