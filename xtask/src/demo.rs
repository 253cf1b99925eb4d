//! `cargo xtask demo`: installs what is missing, builds, starts a real cluster, and tells the story on it.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use sluice_e2e::cluster::{self, Cluster};
use sluice_e2e::demo::screen::{Line, Terminal, Tone};
use sluice_e2e::demo::stage::{SYSTEM, Stage};
use sluice_e2e::demo::{picture, story};
use sluice_e2e::install::{self, Profile, Program};
use sluice_e2e::product::deploy;
use sluice_e2e::progress::{Reporter, seconds};

use crate::scenarios;

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave everything running at the end, and say how to go on by hand.
    #[arg(long)]
    keep: bool,
    /// Keep the screen at the abort as the picture of the README.
    #[arg(long)]
    record: bool,
    #[command(flatten)]
    external: External,
}

/// A cluster that is there already.
#[derive(clap::Args)]
struct External {
    /// Play on the cluster of this kubeconfig context instead of starting one. It must have Gateway API, a Gateway
    /// `traefik/traefik`, a Prometheus that scrapes annotated pods, and the images.
    #[arg(long, requires_all = ["entry", "git_url", "prometheus"])]
    context: Option<String>,
    /// Address of that Gateway on loopback, such as a port-forward: 127.0.0.1:8000.
    #[arg(long)]
    entry: Option<std::net::SocketAddr>,
    /// An empty Git repository that this machine can push to and the cluster can read.
    #[arg(long)]
    git_url: Option<String>,
    /// Base URL of Prometheus, as pods reach it.
    #[arg(long)]
    prometheus: Option<String>,
}

/// Runs the subcommand.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let began = Instant::now();
    let (stage, cluster) = match &arguments.external.context {
        Some(context) => (external(context, &arguments.external).await?, None),
        None => {
            let (stage, cluster) = own().await?;
            (stage, Some(cluster))
        }
    };
    println!("Ready after {}. The story:", seconds(began.elapsed()));
    let mut terminal = Terminal::stdout();
    let told = story::play(&stage, &mut terminal).await;
    match &told {
        Ok(told) => {
            terminal.print(&story::summary(told), &[]);
            if arguments.record {
                let path = picture::record(&told.picture)?;
                println!("\nThe screen at the abort is kept in {}.", path.display());
            }
        }
        Err(_) => {
            let note =
                "The story did not go as promised; everything is left running to be looked at.";
            terminal.print(&[Line::default().with(Tone::Bad, note)], &[]);
        }
    }
    if arguments.keep || told.is_err() {
        hints(&stage, cluster.as_ref());
    } else if cluster.is_some() {
        cluster::down(std::path::Path::new(cluster::DEFAULT_STATE)).await?;
        println!("\nThe cluster is down again. `cargo xtask demo --keep` leaves it running.");
    }
    told?;
    println!("The demo took {}.", seconds(began.elapsed()));
    Ok(ExitCode::SUCCESS)
}

/// A cluster of our own, with Sluice on it and nothing of an earlier demo.
async fn own() -> Result<(Stage, Cluster)> {
    let scenarios::Stage {
        cluster,
        client,
        programs,
    } = scenarios::stage().await?;
    let plugin = cluster.layout().tools().join("kubectl-sluice");
    tokio::fs::copy(&programs.plugin, &plugin)
        .await
        .with_context(|| format!("cannot copy the plugin to {}", plugin.display()))?;
    story::clean(&client).await?;
    let entry = cluster.web_url();
    let entry = entry
        .trim_start_matches("http://")
        .parse()
        .context("the router's address")?;
    let stage = Stage {
        webhook: deploy::webhook(&client, SYSTEM).await?,
        client,
        kubeconfig: cluster.kubeconfig(),
        entry,
        repository: cluster.repository("demo").await?,
        prometheus: cluster.prometheus_url(),
    };
    Ok((stage, cluster))
}

/// A cluster that is there already.
async fn external(context: &str, external: &External) -> Result<Stage> {
    let options = kube::config::KubeConfigOptions {
        context: Some(context.to_owned()),
        ..Default::default()
    };
    let config = kube::Config::from_kubeconfig(&options).await?;
    let client = kube::Client::try_from(config)?;
    let kubeconfig = match std::env::var_os("KUBECONFIG") {
        Some(path) => path.into(),
        None => std::env::home_dir()
            .context("neither KUBECONFIG nor a home folder is known")?
            .join(".kube/config"),
    };
    let tools = install::install(Profile::Full, &Reporter::terminal()).await?;
    deploy::install(tools.path(Program::Helm)?, &kubeconfig, SYSTEM, None).await?;
    story::clean(&client).await?;
    let missing = "clap requires it with --context";
    let url = external.git_url.as_deref().context(missing)?;
    let work = std::env::temp_dir().join("sluice-demo");
    Ok(Stage {
        client,
        kubeconfig,
        entry: external.entry.context(missing)?,
        repository: cluster::Repository::of(url, &work).await?,
        prometheus: external.prometheus.clone().context(missing)?,
        webhook: None,
    })
}

fn hints(stage: &Stage, cluster: Option<&Cluster>) {
    println!("\nGo on by hand:");
    let path = cluster.map_or(String::new(), |cluster| {
        format!(" PATH={}:$PATH", cluster.layout().tools().display())
    });
    println!("  export KUBECONFIG={}{path}", stage.kubeconfig.display());
    println!("  kubectl --namespace demo get rollouts,analysisruns,pods");
    println!("  kubectl --namespace sluice get applications");
    println!("  kubectl sluice --namespace demo get rollout web --watch");
    println!(
        "  curl --header 'Host: web.demo.local' http://{}/",
        stage.entry
    );
    println!("  git clone {}", stage.repository.url);
    if let Some(cluster) = cluster {
        println!("  Prometheus: {}", cluster.prometheus_url());
        println!("  cargo xtask cluster down");
    }
}
