//! The `sluice-controller` program.

use anyhow::Context as _;
use sluice_controller::Clients;
use sluice_controller::args::{self, Args};
use sluice_runtime::{shutdown, telemetry};
use tokio_util::sync::CancellationToken;

fn main() -> anyhow::Result<()> {
    // Before anything that may speak TLS.
    let provider = rustls::crypto::ring::default_provider();
    provider
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let given = args::from_command_line();
    telemetry::init_logs(&given.args.loglevel, given.args.log_format());
    for sentence in &given.without_effect {
        tracing::warn!("{sentence}");
    }
    // Decisions are short and the rest is waiting: two threads serve a thousand Rollouts.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(start(given.args))
}

async fn start(args: Args) -> anyhow::Result<()> {
    let clients = Clients::of(&args).await?;
    let own_namespace =
        std::env::var("POD_NAMESPACE").unwrap_or_else(|_| "argo-rollouts".to_owned());
    let host = std::env::var("POD_NAME")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "local".to_owned());
    let config = args
        .config(&own_namespace, &host)
        .map_err(anyhow::Error::msg)?;
    let stop = CancellationToken::new();
    shutdown::on_signal(stop.clone()).context("cannot listen to signals")?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "sluice-controller starts"
    );
    sluice_controller::run(config, clients, stop).await
}
