//! `cargo xtask cluster up|status|down`: a real cluster to play with.

use std::io::Write;
use std::path::{Path, PathBuf};
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
                ..Options::full()
            };
            let cluster = cluster::up(options).await?;
            if let Some(count) = simulated_nodes {
                cluster.kwok_nodes(count).await?;
            }
            let mut text = format!("The cluster is up ({}).\n\n", seconds(start.elapsed()));
            if let Some(status) = cluster::status(&state)? {
                text += &addresses(&status);
            }
            text += &hints(&state);
            print(&text);
            Ok(ExitCode::SUCCESS)
        }
        Action::Status => match cluster::status(&state)? {
            Some(status) => {
                print(&(processes(&status) + &addresses(&status)));
                Ok(if status.is_up() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                })
            }
            None => {
                print(&format!("No cluster in {}.\n", state.display()));
                Ok(ExitCode::FAILURE)
            }
        },
        Action::Down => {
            cluster::down(&state).await?;
            let time = seconds(start.elapsed());
            print(&format!("The cluster is down ({time}).\n"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints at once; a reader that has seen enough, such as `head`, is no error.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn processes(status: &Status) -> String {
    let word = match (status.complete, status.is_up()) {
        (_, true) => "up",
        (true, false) => "not all there",
        (false, false) => "not started to the end",
    };
    let mut text = format!("The cluster is {word}.\n\n");
    for (name, pid) in &status.processes {
        text += &match pid {
            Some(pid) => format!("  {name:<26} pid {pid}\n"),
            None => format!("  {name:<26} has ended\n"),
        };
    }
    text + "\n"
}

fn addresses(status: &Status) -> String {
    let mut text = String::new();
    for (name, url) in &status.urls {
        text += &format!("  {name:<12} {url}\n");
    }
    let kubeconfig = status.kubeconfig.display();
    let tools = status.tools.display();
    text + &format!("\n  export KUBECONFIG={kubeconfig} PATH={tools}:$PATH\n\n")
}

fn hints(state: &Path) -> String {
    let option = if state == Path::new(DEFAULT_STATE) {
        String::new()
    } else {
        format!(" --state {}", state.display())
    };
    format!(
        "Go on with:
  kubectl get nodes,services --all-namespaces
  cargo xtask cluster status{option}
  cargo xtask cluster down{option}
"
    )
}
