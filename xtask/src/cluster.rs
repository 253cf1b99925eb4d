//! `cargo xtask cluster up|status|down`: a real cluster to play with.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Subcommand;
use sluice_e2e::cluster::{self, DEFAULT_STATE, Options, Status};
use sluice_e2e::progress::seconds;

/// Arguments of `cargo xtask cluster`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// The folder of the cluster's state.
    #[arg(long, global = true, value_name = "DIR", default_value = DEFAULT_STATE)]
    state: PathBuf,
}

#[derive(Subcommand)]
enum Action {
    /// Start the cluster, or what is missing of it.
    Up {
        /// Let the API server write an audit log: who asked for what, and when.
        #[arg(long)]
        audit: bool,
        /// Also start this many simulated nodes.
        #[arg(long, value_name = "COUNT")]
        simulated_nodes: Option<usize>,
    },
    /// Say what runs. Exits with 1 unless all of it does.
    Status,
    /// End the cluster, and remove everything of it but its logs.
    Down,
}

/// Runs the subcommand.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let state = arguments.state;
    let start = Instant::now();
    match arguments.action {
        Action::Up {
            audit,
            simulated_nodes,
        } => {
            let options = Options {
                state: state.clone(),
                audit,
                ..Options::full()?
            };
            let cluster = cluster::up(options).await?;
            if let Some(count) = simulated_nodes {
                cluster.kwok_nodes(count).await?;
            }
            println!("The cluster is up ({}).\n", seconds(start.elapsed()));
            if let Some(status) = cluster::status(&state)? {
                print_addresses(&status);
            }
            print_hints(&state);
            Ok(ExitCode::SUCCESS)
        }
        Action::Status => match cluster::status(&state)? {
            Some(status) => {
                print_processes(&status);
                print_addresses(&status);
                Ok(if status.is_up() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                })
            }
            None => {
                println!("No cluster in {}.", state.display());
                Ok(ExitCode::FAILURE)
            }
        },
        Action::Down => {
            cluster::down(&state).await?;
            println!("The cluster is down ({}).", seconds(start.elapsed()));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn print_processes(status: &Status) {
    let word = match (status.complete, status.is_up()) {
        (_, true) => "up",
        (true, false) => "not all there",
        (false, false) => "not started to the end",
    };
    println!("The cluster is {word}.\n");
    for (name, pid) in &status.processes {
        match pid {
            Some(pid) => println!("  {name:<26} pid {pid}"),
            None => println!("  {name:<26} has ended"),
        }
    }
    println!();
}

fn print_addresses(status: &Status) {
    for (name, url) in &status.urls {
        println!("  {name:<12} {url}");
    }
    println!("\n  export KUBECONFIG={}\n", status.kubeconfig.display());
}

fn print_hints(state: &std::path::Path) {
    let option = if state == std::path::Path::new(DEFAULT_STATE) {
        String::new()
    } else {
        format!(" --state {}", state.display())
    };
    println!("Go on with:");
    println!("  kubectl get nodes,services --all-namespaces");
    println!("  cargo xtask cluster status{option}");
    println!("  cargo xtask cluster down{option}");
}
