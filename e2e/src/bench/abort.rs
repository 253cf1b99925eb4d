//! How fast all traffic is back: from the moment at which a canary is known to be bad to weight 0 on the route.
//!
//! One Rollout waits in a pause at 20 %, is sent back, is tried again, and so on. By hand, the clock starts when the
//! request that sets `status.abort` leaves this program; with a verdict, when this program sees the AnalysisRun's
//! phase `Failed`. It ends when this program sees weight 0 on the object of the router. The verdict is written by this
//! program in place of the analysis loop: what is measured is what follows from it.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::figures::{Figure, Latencies};
use super::manifests::{Shape, analysis_runs};
use super::stage::{RolloutState, Stage};
use super::watch::Watch;
use crate::demo::stage::text;

/// Name of the Rollout.
const APP: &str = "app";
/// Weight in the pause.
const CANARY: i64 = 20;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Promised: milliseconds to weight 0, as a rule and for 99 of 100.
const P50: Option<f64> = Some(10.0);
/// See [`P50`].
const P99: Option<f64> = Some(100.0);

/// A template whose run measures nothing for an hour: it is told its verdict.
fn template() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "verdict"},
        "spec": {"metrics": [{
            "name": "verdict", "initialDelay": "1h", "successCondition": "result[0] > 0",
            "provider": {"prometheus": {"address": "http://127.0.0.1:1", "query": "vector(1)"}},
        }]},
    })
}

struct Watches {
    rollouts: Watch<RolloutState>,
    weights: Watch<(String, i64)>,
    /// Names and phases of the runs.
    runs: Watch<(String, String)>,
    /// The run of the round before, which may still change.
    last_run: String,
}

/// Measures both ways.
///
/// # Errors
/// When a round does not come to its end.
pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let _controller = stage.controller().await?;
    let router = stage.settings.router;
    let shape = Shape {
        replicas: 5,
        steps: json!([{"setWeight": CANARY}, {"pause": {}}]),
        router: Some(router),
        analysis: Some("verdict"),
    };
    let mut watches = Watches {
        rollouts: stage.watch_rollouts(),
        weights: Watch::start(stage.api(&router.resource()), move |object| {
            router.weight(object)
        }),
        runs: Watch::start(stage.api(&analysis_runs()), |object| {
            let name = object.metadata.name.clone()?;
            Some((name, text(&object.data, "/status/phase")))
        }),
        last_run: String::new(),
    };
    let mut objects = vec![template()];
    objects.extend(shape.objects(super::stage::NAMESPACE, APP));
    stage.create(objects).await?;
    watches
        .rollouts
        .until("v1 to be healthy", LIMIT, RolloutState::is_healthy)
        .await?;
    stage.update(APP, "v2").await?;

    let mut by_hand = Vec::new();
    let mut by_verdict = Vec::new();
    let step = stage.reporter.step("abort");
    for round in 0..stage.settings.rounds {
        step.detail(format!("round {} of {}", round + 1, stage.settings.rounds));
        at_pause(&mut watches).await?;
        by_hand.push(hand(stage, &mut watches).await?);
        retry(stage).await?;
        let run = at_pause(&mut watches).await?;
        by_verdict.push(verdict(stage, &mut watches, &run).await?);
        retry(stage).await?;
    }
    let by_hand: Latencies = by_hand.into_iter().collect();
    let by_verdict: Latencies = by_verdict.into_iter().collect();
    step.done(format!(
        "{}; verdict: {}",
        by_hand.summary(),
        by_verdict.summary()
    ));
    let mut figures = by_hand.figures("abort by hand → weight 0", P50, P99);
    figures.extend(by_verdict.figures("failing verdict → weight 0", P50, P99));
    Ok(figures)
}

/// Waits until the canary has its weight and its analysis, and the Rollout waits; the name of the run.
async fn at_pause(watches: &mut Watches) -> Result<String> {
    watches
        .weights
        .until("the canary's weight", LIMIT, |(_, weight)| {
            *weight == CANARY
        })
        .await?;
    let last = watches.last_run.clone();
    let begun = |(name, phase): &(String, String)| *name != last && phase == "Running";
    let run = watches.runs.until("the analysis", LIMIT, begun).await?;
    watches.last_run.clone_from(&run.what.0);
    watches
        .rollouts
        .until("the pause", LIMIT, |state| {
            state.is_paused() && state.step == 1
        })
        .await?;
    // What follows from the pause itself shall be over.
    tokio::time::sleep(Duration::from_millis(100)).await;
    watches.rollouts.drain();
    watches.weights.drain();
    watches.runs.drain();
    Ok(run.what.0)
}

async fn hand(stage: &Stage, watches: &mut Watches) -> Result<Duration> {
    let began = Instant::now();
    let patch = json!({"status": {"abort": true}});
    let (sent, back) = tokio::join!(stage.merge_status(APP, &patch), at_zero(watches));
    sent?;
    let latency = back?.duration_since(began);
    over(watches).await?;
    Ok(latency)
}

async fn verdict(stage: &Stage, watches: &mut Watches, run: &str) -> Result<Duration> {
    let message = "Metric \"verdict\" assessed Failed due to failed (1) > failureLimit (0)";
    let patch = json!({"status": {"phase": "Failed", "message": message}});
    stage.merge(&analysis_runs(), run, &patch).await?;
    let failed = |(name, phase): &(String, String)| name == run && phase == "Failed";
    let seen = watches.runs.until("the verdict", LIMIT, failed).await?.at;
    let latency = at_zero(watches).await?.saturating_duration_since(seen);
    over(watches).await?;
    Ok(latency)
}

async fn at_zero(watches: &mut Watches) -> Result<Instant> {
    let zero = |(_, weight): &(String, i64)| *weight == 0;
    Ok(watches.weights.until("weight 0", LIMIT, zero).await?.at)
}

/// Waits until the Rollout says that it was aborted.
async fn over(watches: &mut Watches) -> Result<()> {
    let over = |state: &RolloutState| state.aborted && state.phase == "Degraded";
    watches.rollouts.until("the abort", LIMIT, over).await?;
    Ok(())
}

/// Lets the canary begin anew, as `kubectl argo rollouts retry` does.
async fn retry(stage: &Stage) -> Result<()> {
    stage
        .merge_status(APP, &json!({"status": {"abort": false}}))
        .await
}
