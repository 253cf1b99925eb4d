//! `cargo xtask soak`: random schedules in the simulation, by count or by time; the first failure is shrunk and printed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::mutations;
use crate::simulation::{self, Limit};

/// Arguments of `cargo xtask soak`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long, when no number of decisions is given.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How many decisions at least; the same number plays the same schedules on every machine.
    #[arg(long)]
    decisions: Option<u64>,
    /// First seed; another one gives other schedules.
    #[arg(long, default_value_t = 0)]
    from: u64,
    #[command(flatten)]
    mutations: mutations::Choice,
}

/// Runs the subcommand.
///
/// # Errors
/// A broken promise is an exit code, after the schedule that broke it was printed; see [`mutations::run`].
pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.mutations.mutations {
        return mutations::run(&arguments.mutations).await;
    }
    let until = Instant::now() + Duration::from_secs(arguments.minutes * 60);
    let limit = match arguments.decisions {
        Some(decisions) => Limit::Decisions(decisions),
        None => Limit::Until(until),
    };
    let played = simulation::play(arguments.from, limit);
    print!("{played}");
    Ok(if played.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
