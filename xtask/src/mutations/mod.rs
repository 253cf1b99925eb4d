//! `cargo xtask soak --mutations`: each defect of `e2e/mutations/` is put back into a copy of the checkout, and the test
//! that knows the incident must fail on it.
//!
//! [`list`] reads the defects, [`copy`] keeps the copy beside the build output, [`trial`] builds and runs one test. A
//! defect whose test passes has survived: then the test is worth less than it says. One that does not compile is a
//! mistake in the list, and told apart.

mod copy;
mod list;
mod trial;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, ensure};
use sluice_e2e::progress::seconds;

use copy::Copy;
use list::{Mutation, is_chosen};
use trial::{Outcome, Trial};

/// Arguments of `cargo xtask soak` that are about mutations.
#[derive(clap::Args)]
pub(crate) struct Choice {
    /// Instead of schedules: put each defect of e2e/mutations back, one after the other, and see a test fail.
    #[arg(long)]
    pub(crate) mutations: bool,
    /// Only the defects of this number (R7), or the one of this id.
    #[arg(long, requires = "mutations", value_name = "ID")]
    only: Option<String>,
}

/// Tries every chosen defect, and prints a line for each.
///
/// # Errors
/// When the list cannot be read, a test fails without any defect, or cargo cannot be run.
pub(crate) async fn run(choice: &Choice) -> Result<ExitCode> {
    let root = sluice_e2e::product::checkout()?;
    let only = choice.only.as_deref();
    let chosen: Vec<Mutation> = list::read(&root)?
        .into_iter()
        .filter(|mutation| is_chosen(&mutation.id, only))
        .collect();
    ensure!(
        !chosen.is_empty(),
        "no defect in e2e/mutations has the number or id {:?}",
        only.unwrap_or_default()
    );
    let target = copy::target_directory(&root).await?;
    let copy = Copy::new(&root, &target.join("mutations")).await?;
    let trial = Trial::new(copy.root(), &target);

    let began = Instant::now();
    sound(&trial, &chosen).await?;
    let mut others = 0;
    for mutation in &chosen {
        let since = Instant::now();
        copy.put_in(mutation)?;
        let outcome = trial.run(&mutation.caught_by).await;
        copy.take_out(mutation)?;
        let outcome = outcome?;
        let time = seconds(since.elapsed());
        println!("{:<18} {:<58} {time:>12}", outcome.label(), mutation.id);
        if !outcome.is_caught() {
            others += 1;
            println!(
                "    {}\n    {}",
                mutation.defect,
                outcome.details().replace('\n', "\n    ")
            );
        }
    }
    let caught = chosen.len() - others;
    let time = seconds(began.elapsed());
    println!("\n{caught} of {} caught in {time}", chosen.len());
    Ok(if others == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs every test once without a defect: one that fails anyway would catch anything.
async fn sound(trial: &Trial, chosen: &[Mutation]) -> Result<()> {
    let since = Instant::now();
    let mut seen = Vec::new();
    for mutation in chosen {
        if seen.contains(&&mutation.caught_by) {
            continue;
        }
        seen.push(&mutation.caught_by);
        let outcome = trial.run(&mutation.caught_by).await?;
        ensure!(
            matches!(outcome, Outcome::Passed),
            "{} does not pass without any defect: {}",
            mutation.caught_by.name,
            outcome.details()
        );
    }
    let time = seconds(since.elapsed());
    println!("{} tests pass without any defect, {time}\n", seen.len());
    Ok(())
}
