//! `cargo xtask bench`: how fast Sluice is and what it costs, with targets; another controller beside it if asked.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sluice_e2e::bench::manifests::Router;
use sluice_e2e::bench::record::{self, Machine};
use sluice_e2e::bench::subject::{self, Other, Subject};
use sluice_e2e::bench::{self, Settings, table};
use sluice_e2e::product::{build, checkout};
use sluice_e2e::progress::{Reporter, seconds};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Measure only these, separated by commas: abort, webhook, idle, fleet, update, restart.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,
    /// Rollouts of the fleet.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rollouts: usize,
    /// How many of them are updated at once. Default: a fifth, at most 500.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    updated: usize,
    /// Pods of each Rollout that is updated.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pods: usize,
    /// Rounds of a latency.
    #[arg(long, value_name = "N", default_value_t = 50)]
    rounds: usize,
    /// Seconds for which a resting controller is looked at.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// What carries the weights. Default: gateway, and nginx with --controller, since every controller knows it.
    #[arg(long, value_name = "ROUTER", value_parser = ["gateway", "nginx"])]
    router: Option<String>,
    /// Measure this controller too, in a column of its own: a program with arguments, split at whitespace outside of
    /// quotes. It gets KUBECONFIG in its environment, and must not need a Lease that somebody else holds.
    #[arg(long, value_name = "COMMAND")]
    controller: Option<String>,
    /// Port at which that controller serves /metrics.
    #[arg(long, value_name = "PORT", default_value_t = 8090)]
    controller_metrics_port: u16,
    /// Port at which that controller serves /readyz or /healthz.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    controller_health_port: u16,
    /// Do not measure Sluice, only the controller of --controller.
    #[arg(long, requires = "controller")]
    without_sluice: bool,
    /// Write all figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep the table in docs/performance.md.
    #[arg(long)]
    record: bool,
}

/// Names that `--only` takes.
fn names() -> Vec<&'static str> {
    bench::MEASUREMENTS
        .iter()
        .map(|measurement| measurement.name)
        .collect()
}

impl Arguments {
    fn settings(&self) -> Settings {
        let nginx = match self.router.as_deref() {
            Some(router) => router == "nginx",
            None => self.controller.is_some(),
        };
        Settings {
            rounds: self.rounds.max(1),
            period: Duration::from_secs(self.seconds.max(1)),
            rollouts: self.rollouts.max(1),
            updated: self.updated,
            pods: self.pods.max(1),
            router: if nginx {
                Router::Nginx
            } else {
                Router::Gateway
            },
        }
    }

    fn other(&self) -> Result<Option<Subject>> {
        let Some(line) = &self.controller else {
            return Ok(None);
        };
        Ok(Some(Subject::Other(Other {
            command: subject::split(line).context("--controller")?,
            metrics_port: self.controller_metrics_port,
            health_port: self.controller_health_port,
        })))
    }
}

/// Runs the subcommand. A missed target is said, and is no failure; a measurement that could not be made is one.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let began = Instant::now();
    let settings = arguments.settings();
    let reporter = Reporter::terminal();
    let mut subjects = Vec::new();
    if !arguments.without_sluice {
        subjects.push(Subject::Sluice(build::controller(&reporter).await?));
    }
    subjects.extend(arguments.other()?);
    // After the build, which would count as other work.
    let machine = Machine::look();
    if machine.is_busy() {
        reporter.say(&format!(
            "This machine is busy (load {:.1} on {} cores): figures will be worse for it.",
            machine.load, machine.cores
        ));
    }
    let mut outcomes = Vec::new();
    for subject in &subjects {
        outcomes.extend(bench::run(subject, &settings, &arguments.only, &reporter).await);
    }
    println!("\n{}", table::text(&outcomes));
    println!("{}", table::verdict(&outcomes));
    println!(
        "On {}. It took {}.",
        machine.sentence(),
        seconds(began.elapsed())
    );
    if let Some(file) = &arguments.json {
        let all =
            serde_json::json!({"machine": machine.json(), "outcomes": table::json(&outcomes)});
        let text = serde_json::to_string_pretty(&all)? + "\n";
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if arguments.record {
        let command = command_line(std::env::args().skip(1));
        let path = record::write(&checkout()?, &command, &settings, &machine, &outcomes)?;
        println!("Kept in {}.", path.display());
    }
    let failed = outcomes.iter().any(|outcome| outcome.figures.is_err());
    Ok(if failed || outcomes.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The command as it can be typed on any machine: without folders of this one, and without the file for `--json`.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["cargo xtask".to_owned()];
    let mut before = String::new();
    for argument in arguments {
        let portable = match before.as_str() {
            "--json" => None,
            "--controller" => Some(without_folder(&argument)),
            _ if argument == "--json" || argument.starts_with("--json=") => None,
            _ => Some(argument.clone()),
        };
        words.extend(portable.map(|word| {
            if word.contains(char::is_whitespace) {
                format!("\"{word}\"")
            } else {
                word
            }
        }));
        before = argument;
    }
    words.join(" ")
}

/// A command whose program is named without its folder.
fn without_folder(command: &str) -> String {
    let (program, rest) = match command.split_once(char::is_whitespace) {
        Some((program, rest)) => (program, format!(" {rest}")),
        None => (command, String::new()),
    };
    let name = program.rsplit('/').next().unwrap_or(program);
    format!("{name}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn given(words: &[&str]) -> Arguments {
        Line::try_parse_from(["bench"].iter().chain(words))
            .unwrap()
            .arguments
    }

    #[test]
    fn the_router_is_one_that_both_controllers_know() {
        assert_eq!(given(&[]).settings().router, Router::Gateway);
        let compared = given(&["--controller", "/bin/other --x 'y z'"]);
        assert_eq!(compared.settings().router, Router::Nginx);
        let Some(Subject::Other(other)) = compared.other().unwrap() else {
            panic!("no other controller");
        };
        assert_eq!(other.command, ["/bin/other", "--x", "y z"]);
    }

    #[test]
    fn the_command_is_recorded_so_that_it_can_be_typed_again() {
        let words = [
            "bench",
            "--rollouts",
            "10",
            "--json",
            "/tmp/x",
            "--controller",
            "/opt/a b",
            "--record",
        ];
        let line = command_line(words.into_iter().map(str::to_owned));
        let expected = "cargo xtask bench --rollouts 10 --controller \"a b\" --record";
        assert_eq!(line, expected);
    }
}
