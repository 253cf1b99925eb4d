//! `cargo xtask`: the only entry points that a person types. Each subcommand is a file of its own.

mod bench;
mod charts;
mod cluster;
mod coverage;
mod demo;
mod discover_pods;
mod generate;
mod install;
mod layers;
mod mutations;
mod scenarios;
mod serve_git;
mod simulation;
mod soak;
mod test;

use std::process::ExitCode;

/// The simulation makes and drops many small objects; this allocator does that in two thirds of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use clap::{Parser, Subcommand};

/// Everything that is done with this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play the story: a push to Git becomes a canary, and bad metrics send it back.
    Demo(demo::Arguments),
    /// Prove everything: format, lints, layers, generated files, unit, simulation, API server, cluster.
    Test(test::Arguments),
    /// Measure how fast Sluice is and what it costs.
    Bench(bench::Arguments),
    /// Write the files that are made from the code: CustomResourceDefinitions, for one.
    Gen(generate::Arguments),
    /// Start, look at or end a real Kubernetes cluster of plain processes on this machine.
    Cluster(cluster::Arguments),
    /// Install the programs that the cluster needs (`cluster up` does it by itself).
    Install(install::Arguments),
    /// Keep Prometheus' list of pods; started by the cluster.
    #[command(hide = true)]
    DiscoverPods(discover_pods::Arguments),
    /// Record Rollouts in every phase, as the real Argo Rollouts leaves them, for the tests of adoption.
    RecordAdoption,
    /// Play random schedules in the simulation, by count or by time; or put known defects back and see tests fail.
    Soak(soak::Arguments),
    /// Serve Git repositories over HTTP; started by the cluster.
    #[command(hide = true)]
    ServeGit(serve_git::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start a runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Test(arguments) => test::run(arguments).await,
            Command::Bench(arguments) => bench::run(arguments).await,
            Command::Gen(arguments) => generate::run(arguments).await,
            Command::Cluster(arguments) => cluster::run(arguments).await,
            Command::Install(arguments) => install::run(arguments).await,
            Command::DiscoverPods(arguments) => discover_pods::run(arguments).await,
            Command::RecordAdoption => scenarios::record_adoption().await,
            Command::Soak(arguments) => soak::run(&arguments).await,
            Command::ServeGit(arguments) => serve_git::run(arguments).await,
        }
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
