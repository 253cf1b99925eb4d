//! The `sluice-controller` program.

use anyhow::Context as _;
use sluice_controller::args::{self, Args};
use sluice_runtime::{api, shutdown, telemetry};
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
    let client_config = client_config(&args).await?;
    let own_namespace =
        std::env::var("POD_NAMESPACE").unwrap_or_else(|_| "argo-rollouts".to_owned());
    let host = std::env::var("POD_NAME")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "local".to_owned());
    let config = args
        .config(&own_namespace, &host)
        .map_err(anyhow::Error::msg)?;
    let client =
        api::client(client_config).context("cannot make a client of the Kubernetes API")?;
    let stop = CancellationToken::new();
    shutdown::on_signal(stop.clone()).context("cannot listen to signals")?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "sluice-controller starts"
    );
    sluice_controller::run(config, client, stop).await
}

async fn client_config(args: &Args) -> anyhow::Result<kube::Config> {
    if args.kubeconfig.is_none() && args.context.is_none() {
        return kube::Config::infer().await.context(
            "there is neither a service account nor a kubeconfig; name one with --kubeconfig",
        );
    }
    let options = kube::config::KubeConfigOptions {
        context: args.context.clone(),
        ..Default::default()
    };
    match &args.kubeconfig {
        Some(path) => {
            let kubeconfig = kube::config::Kubeconfig::read_from(path)
                .with_context(|| format!("cannot read the kubeconfig {path}"))?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .with_context(|| format!("cannot use the kubeconfig {path}"))
        }
        None => kube::Config::from_kubeconfig(&options)
            .await
            .with_context(|| {
                format!(
                    "cannot use context {}",
                    args.context.as_deref().unwrap_or_default()
                )
            }),
    }
}
