//! `cargo xtask soak`: random schedules for minutes or hours, from a seed on; the first failure is shrunk and printed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use sluice_simulation::soak;

use crate::mutations;

/// Arguments of `cargo xtask soak`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// First seed; another one gives other schedules.
    #[arg(long, default_value_t = 1_000_000)]
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
    let began = Instant::now();
    let limit = Duration::from_secs(arguments.minutes * 60);
    match soak::many(arguments.from, |_| began.elapsed() < limit) {
        Ok(played) => {
            let rate = played.decisions as f64 / began.elapsed().as_secs_f64().max(0.001);
            println!(
                "{} schedules, {} decisions ({rate:.0} a second), no promise broken",
                played.schedules, played.decisions
            );
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            println!("{failure}");
            Ok(ExitCode::FAILURE)
        }
    }
}
