//! `cargo xtask test`: every proof, stage by stage; one line a stage with its time, and what failed in full.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use sluice_e2e::command::{Command, last_lines};
use sluice_e2e::install::{self, Profile};
use sluice_e2e::progress::{Reporter, seconds};

use crate::simulation::{self, Limit};
use crate::{charts, coverage, generate, layers, scenarios};

/// Decisions that the simulation has to make without a broken promise.
const DECISIONS: u64 = 2_000_000;

/// Tests that passed and failed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave the real API server and the real cluster out, and play a tenth of the simulation.
    #[arg(long)]
    fast: bool,
    /// Play only the scenarios on the real cluster whose name contains this text, and nothing else.
    #[arg(long, value_name = "TEXT")]
    scenario: Option<String>,
    /// Leave the cluster running at the end.
    #[arg(long)]
    keep: bool,
}

/// Runs all stages; a stage that fails does not stop the others.
///
/// # Errors
/// When a stage cannot be run at all.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut stages = Stages::default();
    if let Some(only) = &arguments.scenario {
        if let Some(stage) = stages.cluster().await {
            stages.scenarios(stage, only, arguments.keep).await;
        }
        return Ok(stages.finish());
    }
    let root = &sluice_e2e::product::checkout()?;
    stages
        .stage("format", cargo(root, "fmt --all --check", 5))
        .await;
    stages
        .stage("layers", async { layers::check(root).await.map(one) })
        .await;
    stages
        .stage("generated files", async { generate::check(root).map(one) })
        .await;
    let clippy = "clippy --workspace --all-targets --locked --quiet -- -D warnings";
    stages.stage("clippy", cargo(root, clippy, 40)).await;
    // The tests of the renderers run the real ones.
    stages
        .stage("tools", async { tools(arguments.fast).await.map(one) })
        .await;
    stages.stage("charts", charts::check(root)).await;
    let mut pure =
        "test --locked --quiet --workspace --no-fail-fast --exclude sluice-e2e".to_owned();
    if !arguments.fast {
        stages
            .stage("unit, with coverage", coverage::check(root))
            .await;
        for package in coverage::PACKAGES {
            pure += &format!(" --exclude {package}");
        }
    }
    stages
        .stage("unit, fake API server", cargo(root, &pure, 40))
        .await;
    let decisions = if arguments.fast {
        DECISIONS / 10
    } else {
        DECISIONS
    };
    stages
        .stage("simulation", async { Ok(simulate(decisions)) })
        .await;
    let harness = "test --locked --quiet --package sluice-e2e --lib";
    stages.stage("harness", cargo(root, harness, 20)).await;
    if !arguments.fast {
        let api_server = "test --locked --quiet --package sluice-e2e --no-fail-fast --test control_plane --test crds \
                          --test store -- --include-ignored";
        stages
            .stage("real API server", cargo(root, api_server, 20))
            .await;
        let parts =
            "test --locked --quiet --package sluice-e2e --test cluster -- --include-ignored";
        if let Some(stage) = stages.cluster().await {
            stages
                .stage("parts of the real cluster", cargo(root, parts, 20))
                .await;
            stages.scenarios(stage, "", arguments.keep).await;
        }
    }
    Ok(stages.finish())
}

/// Plays the simulation in this very process, which is built with what a decision runs through optimised.
fn simulate(decisions: u64) -> Count {
    let played = tokio::task::block_in_place(|| simulation::play(0, Limit::Decisions(decisions)));
    print!("{played}");
    played.count()
}

/// Installs what the stages before the cluster run.
async fn tools(fast: bool) -> Result<()> {
    let profile = if fast {
        Profile::Renderers
    } else {
        Profile::Adoption
    };
    install::install(profile, &Reporter::terminal()).await?;
    Ok(())
}

fn one((): ()) -> Count {
    Count {
        passed: 1,
        failed: 0,
    }
}

#[derive(Default)]
struct Stages {
    count: Count,
    began: Option<Instant>,
}

impl Stages {
    /// Brings up the real cluster with Sluice; nothing, and a failure that is counted, when it does not come up.
    async fn cluster(&mut self) -> Option<scenarios::Stage> {
        let mut ready = None;
        let up = async {
            ready = Some(scenarios::stage().await?);
            Ok(one(()))
        };
        self.stage("cluster with Sluice", up).await;
        ready
    }

    /// Plays scenarios, and takes the cluster down unless it is to be kept.
    async fn scenarios(&mut self, stage: scenarios::Stage, only: &str, keep: bool) {
        self.stage("real cluster", scenarios::play(stage, only))
            .await;
        if !keep {
            self.stage("cluster down", async { scenarios::down().await.map(one) })
                .await;
        }
    }

    async fn stage(&mut self, name: &str, work: impl Future<Output = Result<Count>>) {
        self.began.get_or_insert_with(Instant::now);
        let began = Instant::now();
        let outcome = work.await;
        let time = seconds(began.elapsed());
        match outcome {
            Ok(count) => {
                let mark = if count.failed == 0 { "ok" } else { "FAILED" };
                println!(
                    "{mark:<7}{name:<42}{:>5} passed {:>3} failed {time:>9}",
                    count.passed, count.failed
                );
                self.count.passed += count.passed;
                self.count.failed += count.failed;
            }
            Err(error) => {
                println!("FAILED {name:<42}{time:>28}\n{error:#}");
                self.count.failed += 1;
            }
        }
    }

    fn finish(self) -> ExitCode {
        let time = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        println!("\nAll stages took {}.", seconds(time));
        println!("{} passed, {} failed", self.count.passed, self.count.failed);
        if self.count.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Runs cargo and counts the tests that it reports; a command without tests counts as one.
async fn cargo(root: &Path, arguments: &str, minutes: u64) -> Result<Count> {
    let command = Command::new("cargo")
        .args(arguments.split_whitespace())
        .dir(root)
        .env("CARGO_TERM_COLOR", "never")
        .env("INSTA_UPDATE", "no")
        .limit(Duration::from_secs(minutes * 60));
    let line = command.line();
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let mut count = counted(&text);
    if !output.status.success() {
        println!("{}", what_failed(&text));
        if count.failed == 0 {
            bail!("`{line}` failed");
        }
    } else if count.passed == 0 {
        count.passed = 1;
    }
    Ok(count)
}

/// What a test runner said of the tests that failed, or, when it was something else that failed, the last lines.
pub(crate) fn what_failed(text: &str) -> String {
    let mut failures = String::new();
    let mut inside = false;
    for line in text.lines() {
        inside = (inside || line == "failures:") && !line.starts_with("test result:");
        if inside {
            failures.push_str(line);
            failures.push('\n');
        }
    }
    if failures.is_empty() {
        last_lines(text, 80)
    } else {
        failures
    }
}

/// Adds up the closing lines of cargo's test runner.
pub(crate) fn counted(text: &str) -> Count {
    let mut count = Count::default();
    for line in text.lines().filter(|line| line.starts_with("test result:")) {
        let number = |word: &str| {
            line.split(';')
                .find_map(|part| {
                    part.trim()
                        .strip_suffix(word)?
                        .rsplit(' ')
                        .find(|word| !word.is_empty())
                })
                .and_then(|number| number.parse::<usize>().ok())
                .unwrap_or(0)
        };
        count.passed += number("passed");
        count.failed += number("failed");
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_failed_run_only_the_failures_are_shown() {
        let text = "running 2 tests\n..\ntest result: ok. 2 passed; 0 failed\n\nfailures:\n\n---- a stdout ----\n\
                    left: 1\n\ntest result: FAILED. 1 passed; 1 failed\nerror: test failed";
        assert_eq!(
            what_failed(text),
            "failures:\n\n---- a stdout ----\nleft: 1\n\n"
        );
        assert!(what_failed("error: no such file").contains("no such file"));
    }

    #[test]
    fn closing_lines_of_the_test_runner_are_added_up() {
        let text = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured\n\
                    noise\n\
                    test result: FAILED. 3 passed; 2 failed; 0 ignored";
        let count = counted(text);
        assert_eq!((count.passed, count.failed), (15, 2));
    }
}
