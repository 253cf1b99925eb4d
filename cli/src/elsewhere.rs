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
        "dashboard" => {
            "there is no local dashboard; `get rollout NAME --watch` shows a Rollout live"
        }
        _ => {
            "Sluice sends no notifications; Events and metrics say the same (`kubectl get events`)"
        }
    };
    anyhow!("`{command}` is not part of this plugin: {instead}")
}
