//! The life of one controller process: ports, caches, leadership, loops, and the graceful end.
//!
//! A process that waits for the Lease keeps its caches warm, so that it acts within moments of becoming the leader. One
//! that loses the Lease stops acting at once and ends with an error; the next one begins with a clean view.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use sluice_crds::names::ROLLOUTS_FIELD_MANAGER;
use sluice_runtime::admin::{self, Admin};
use sluice_runtime::clock::SystemClock;
use sluice_runtime::events::Events;
use sluice_runtime::exposition::Page;
use sluice_runtime::leader::{Held, Leader, identity};
use sluice_runtime::telemetry::Metrics;
use sluice_runtime::{Api, Caches, Clock, Context, Executor, Fence, Key, shutdown};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::analysis::AnalysisRuns;
use crate::application::Applications;
use crate::clients::Clients;
use crate::config::Config;
use crate::experiment::Experiments;
use crate::reconcile;
use crate::rollout::Rollouts;

/// How often it is said which caches are still missing.
/// Requests a second for Kubernetes Events, and requests in a row.
const EVENTS_A_SECOND: f64 = 50.0;
const EVENTS_BURST: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a controller until `stop` is cancelled or the Lease is lost.
///
/// # Errors
/// When a port cannot be bound, when a loop cannot work, or when the Lease is lost.
pub async fn run(
    config: Config,
    clients: impl Into<Clients>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    run_with_clock(config, clients, stop, Arc::new(SystemClock)).await
}

/// The same with another clock: tests let wall time follow tokio's timers.
///
/// # Errors
/// As [`run`].
pub async fn run_with_clock(
    config: Config,
    clients: impl Into<Clients>,
    stop: CancellationToken,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<()> {
    let Clients { home: client, jobs } = clients.into();
    let metrics = Metrics::install();
    metrics.collect(Box::new(about));
    // Events and the Lease have limits of their own, so that neither waits for the loops nor holds them up.
    let events_api = Api::new(client.clone(), EVENTS_A_SECOND, EVENTS_BURST);
    let lease_api = Api::new(client.clone(), 0.0, 1);
    let api = Api::new(client, config.qps, config.burst);
    let fence = if config.leader_elect {
        Fence::shut()
    } else {
        Fence::open()
    };
    // Caches, ports and events outlive `stop`: work that is under way still needs them.
    let end = CancellationToken::new();
    let _end_with_us = end.clone().drop_guard();
    let caches = Caches::new(api.clone(), config.watched_namespace.clone(), end.clone());
    let executor = Executor::new(api.clone(), fence.clone(), ROLLOUTS_FIELD_MANAGER);
    let events_executor = Executor::new(events_api, fence.clone(), ROLLOUTS_FIELD_MANAGER);
    let (events, writer) = Events::new(events_executor, Arc::clone(&clock));
    let ctx = Context {
        api,
        caches: caches.clone(),
        executor,
        fence: fence.clone(),
        events,
        clock: Arc::clone(&clock),
        decisions: Arc::default(),
        metrics: metrics.clone(),
        stop: stop.clone(),
        instance_id: config.instance_id.clone(),
        own_namespace: config.own_namespace.clone(),
    };
    // The caches of that cluster are nobody's to wait for: it may be down.
    let jobs = jobs.map(|client| {
        let api = Api::new(client, config.qps, config.burst);
        ctx.in_cluster(api, config.watched_namespace.clone(), end.clone())
    });

    let ready = Arc::new(AtomicBool::new(false));
    let mut background = JoinSet::new();
    open_ports(&config, &ctx, &ready, &end, &mut background).await?;
    background.spawn(metrics.upkeep());
    let events_end = CancellationToken::new();
    let events_done = tokio::spawn(writer.run(events_end.clone()));

    let rollouts = config
        .loops
        .rollouts
        .then(|| Rollouts::start(&ctx, &config));
    let experiments = config
        .loops
        .experiments
        .then(|| Experiments::start(&ctx, &config));
    let analysis = config
        .loops
        .analysis
        .then(|| AnalysisRuns::start(&ctx, jobs, &config));
    let applications = if config.loops.applications {
        let applications = Applications::start(&ctx, &config.applications)?;
        let address = SocketAddr::new(config.bind, config.applications.webhook_port);
        let (bound, serving) = applications
            .webhooks(address, end.clone())
            .await
            .with_context(|| {
                format!("cannot open the webhook port {address}; set --webhook-port to a free one")
            })?;
        tracing::info!(%bound, "webhook port open");
        background.spawn(serving);
        Some(applications)
    } else {
        None
    };
    if !wait_for_caches(&caches, &stop).await {
        return Ok(());
    }
    ready.store(true, Ordering::Release);

    let mut leader = config.leader_elect.then(|| {
        let key = Key::new(&config.lease_namespace, &config.lease_name());
        Leader::new(
            lease_api,
            fence.clone(),
            clock,
            config.timing,
            key,
            identity(&config.host),
        )
    });
    if let Some(leader) = &mut leader
        && !leader.acquire(&stop).await
    {
        return Ok(());
    }

    let mut loops = JoinSet::new();
    if let Some(rollouts) = rollouts {
        let workers = config.rollout_workers;
        loops.spawn(async move {
            reconcile::run(&rollouts, workers).await;
            anyhow::Ok(())
        });
    }
    if let Some(experiments) = experiments {
        let workers = config.experiment_workers;
        loops.spawn(async move {
            reconcile::run(&experiments, workers).await;
            anyhow::Ok(())
        });
    }
    if let Some(analysis) = analysis {
        let workers = config.analysis_workers;
        loops.spawn(async move {
            analysis.run(workers).await;
            anyhow::Ok(())
        });
    }
    if let Some(applications) = applications {
        loops.spawn(async move {
            applications.run().await;
            anyhow::Ok(())
        });
    }
    tracing::info!(loops = ?config.loops, "acting");

    let release = CancellationToken::new();
    let holding = hold(leader, release.clone());
    tokio::pin!(holding);
    let lost = || anyhow::anyhow!("the lease was lost; another process may be the leader now");
    let mut outcome = tokio::select! {
        _ = &mut holding => Err(lost()),
        outcome = until_stopped(&mut loops, &stop) => {
            stop.cancel();
            // Work under way is finished while the Lease is still ours and renewed.
            let finish = async { while loops.join_next().await.is_some() {} };
            tokio::select! {
                _ = &mut holding => Err(lost()),
                finished = timeout(shutdown::LIMIT, finish) => {
                    if finished.is_err() {
                        tracing::warn!("work under way did not finish within {:?}; leaving it", shutdown::LIMIT);
                    }
                    outcome.map(|()| true)
                }
            }
        }
    };
    stop.cancel();
    loops.abort_all();
    events_end.cancel();
    let _ = timeout(Duration::from_secs(3), events_done).await;
    if let Ok(still_ours) = &mut outcome
        && std::mem::take(still_ours)
    {
        release.cancel();
        let _ = timeout(Duration::from_secs(5), holding).await;
    }
    outcome.map(|_| ())
}

/// Holds the Lease until `release`; without leader election there is nothing to hold.
async fn hold(leader: Option<Leader>, release: CancellationToken) -> Held {
    match leader {
        Some(mut leader) => leader.hold(&release).await,
        None => {
            release.cancelled().await;
            Held::Released
        }
    }
}

/// Waits for `stop`, or for a loop that ends before it.
async fn until_stopped(
    loops: &mut JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        Some(ended) = loops.join_next() => match ended {
            Ok(Ok(())) if stop.is_cancelled() => Ok(()),
            Ok(Ok(())) => Err(anyhow::anyhow!("a loop ended by itself")),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(anyhow::Error::new(error).context("a loop panicked")),
        },
    }
}

async fn wait_for_caches(caches: &Caches, stop: &CancellationToken) -> bool {
    loop {
        tokio::select! {
            () = stop.cancelled() => return false,
            settled = caches.settled(PATIENCE) => match settled {
                Ok(()) => return true,
                Err(missing) => {
                    let missing: Vec<String> =
                        missing.iter().map(|(kind, state)| format!("{kind}: {state:?}")).collect();
                    tracing::warn!(?missing, "still waiting for the first view of these kinds");
                }
            },
        }
    }
}

async fn open_ports(
    config: &Config,
    ctx: &Context,
    ready: &Arc<AtomicBool>,
    end: &CancellationToken,
    background: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let admin = Admin {
        metrics: ctx.metrics.clone(),
        caches: ctx.caches.clone(),
        decisions: Arc::clone(&ctx.decisions),
        ready: Arc::clone(ready),
    };
    for (what, port) in [
        ("healthz", config.healthz_port),
        ("metrics", config.metrics_port),
    ] {
        let address = SocketAddr::new(config.bind, port);
        let (bound, serving) = admin::serve(address, admin::router(admin.clone()), end.clone())
            .await
            .with_context(|| {
                format!("cannot open the {what} port {address}; set --{what}Port to a free one")
            })?;
        tracing::info!(%bound, "{what} port open");
        background.spawn(serving);
    }
    Ok(())
}

fn about(page: &mut Page) {
    let version = env!("CARGO_PKG_VERSION");
    page.family(
        "argo_rollouts_controller_info",
        "gauge",
        "The controller and its version.",
    );
    page.sample(
        "argo_rollouts_controller_info",
        &[("version", version)],
        1.0,
    );
    page.family("build_info", "gauge", "The build.");
    page.sample("build_info", &[("version", version)], 1.0);
}
