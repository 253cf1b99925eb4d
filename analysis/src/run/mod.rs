//! The AnalysisRun machine: what to measure when, what the answers count for, and the verdict.
//!
//! [`decide`] says what is to be done now; [`absorb`] takes the outcome of one measurement in. Both are total and
//! deterministic functions of their arguments. Times are cut to whole seconds, as the API keeps them.
//!
//! Invariants: a finished run never changes; `count` is the sum of `successful`, `failed` and `inconclusive`; the
//! verdict does not depend on the order in which outcomes of the same moment arrive (a metric that failed ends the run
//! at once, since nothing is worse; any other bad end waits for measurements that are already in flight).

mod assess;
mod explain;
mod finished;
mod prepare;
mod record;
mod schedule;
mod settle;

use std::collections::BTreeSet;

use jiff::Timestamp;
use sluice_crds::Time;
use sluice_crds::analysis::{AnalysisRun, AnalysisRunStatus, MetricResult};

use crate::phase::Phase;
use crate::plan::{CancelRequest, Circumstances, Event, EventKind, Outcome, RunPlan};
use crate::reason::Reason;
pub use explain::explain;
use prepare::Prepared;

/// Seconds between two attempts of a metric that has no interval, after an error.
pub const ERROR_RETRY_SECONDS: i64 = 10;

/// Measurements that are kept of a metric without a `measurementRetention` rule.
pub const DEFAULT_RETENTION: usize = 10;

/// Decides what a run needs now. `in_flight` are the names of the metrics that are being measured at this moment.
#[must_use]
pub fn decide(run: &AnalysisRun, in_flight: &BTreeSet<String>, now: Timestamp) -> RunPlan {
    let now = whole_seconds(now);
    let status = run.status.clone().unwrap_or_default();
    if Phase::parse(&status.phase).completed() {
        return finished::plan(run, status, in_flight, now);
    }
    let mut plan = empty_plan(status);
    plan.status.started_at.get_or_insert(Time(now));
    let prepared = match prepare::prepare(&run.spec) {
        Ok(prepared) => prepared,
        Err(message) => {
            refuse(&mut plan, message, now);
            cancel_all(&mut plan, in_flight);
            return plan;
        }
    };
    let terminate = run.spec.terminate.unwrap_or(false);
    settle::settle(
        &mut plan,
        &prepared,
        terminate,
        &|name| in_flight.contains(name),
        true,
        now,
    );
    record::retain(&mut plan.status, &prepared);
    if Phase::parse(&plan.status.phase).completed() {
        cancel_all(&mut plan, in_flight);
        plan.reasons = explain::reasons(&plan.status, &prepared, now);
        let kept = finished::kept(&run.spec, &plan.status, now);
        plan.wake_at = kept.wake_at;
        return plan;
    }
    plan.reasons = explain::reasons(&plan.status, &prepared, now);
    schedule::schedule(&mut plan, run, &prepared, in_flight, now);
    plan
}

/// Takes in the outcome of one measurement, with no secret values in play.
///
/// See [`absorb_with`].
#[must_use]
pub fn absorb(run: &AnalysisRun, metric: &str, outcome: Outcome, now: Timestamp) -> RunPlan {
    absorb_with(run, metric, outcome, Circumstances::default(), now)
}

/// Takes in the outcome of one measurement.
///
/// The plan holds the new status and its events. It asks for no measurements and cancels none: decide again with the
/// metrics that are still in flight, which `wake_at` asks for. An outcome for a finished run, or for a metric that the run does not have
/// or has finished, changes nothing.
#[must_use]
pub fn absorb_with(
    run: &AnalysisRun,
    metric: &str,
    outcome: Outcome,
    circumstances: Circumstances<'_>,
    now: Timestamp,
) -> RunPlan {
    let now = whole_seconds(now);
    let status = run.status.clone().unwrap_or_default();
    let mut plan = empty_plan(status);
    if Phase::parse(&plan.status.phase).completed() {
        return plan;
    }
    plan.status.started_at.get_or_insert(Time(now));
    let prepared = match prepare::prepare(&run.spec) {
        Ok(prepared) => prepared,
        Err(message) => {
            refuse(&mut plan, message, now);
            return plan;
        }
    };
    record::record(
        &mut plan.status,
        &prepared,
        metric,
        outcome,
        circumstances,
        now,
    );
    // Which other metrics are in flight is not known here: each may be.
    settle::settle(
        &mut plan,
        &prepared,
        run.spec.terminate.unwrap_or(false),
        &|name| name != metric,
        false,
        now,
    );
    record::retain(&mut plan.status, &prepared);
    plan.reasons = explain::reasons(&plan.status, &prepared, now);
    plan.wake_at = if Phase::parse(&plan.status.phase).completed() {
        finished::kept(&run.spec, &plan.status, now).wake_at
    } else {
        Some(now)
    };
    plan
}

fn empty_plan(status: AnalysisRunStatus) -> RunPlan {
    RunPlan {
        status,
        measure: Vec::new(),
        cancel: Vec::new(),
        delete: false,
        events: Vec::new(),
        wake_at: None,
        reasons: Vec::new(),
    }
}

/// Ends a run that cannot be carried out.
fn refuse(plan: &mut RunPlan, message: String, now: Timestamp) {
    finish(plan, Phase::Error, message.clone(), now);
    plan.reasons.push(Reason::Invalid { message });
}

/// Gives the run its last phase and tells of it.
fn finish(plan: &mut RunPlan, phase: Phase, message: String, now: Timestamp) {
    phase.as_str().clone_into(&mut plan.status.phase);
    plan.status.message = (!message.is_empty()).then_some(message);
    plan.status.completed_at = Some(Time(now));
    plan.events.push(Event {
        kind: severity(phase),
        reason: format!("AnalysisRun{phase}"),
        message: format!("Analysis Completed. Result: {phase}"),
    });
}

fn severity(phase: Phase) -> EventKind {
    match phase {
        Phase::Failed | Phase::Error => EventKind::Warning,
        _ => EventKind::Normal,
    }
}

/// What is in flight has no use any more, unless it is cancelled already.
fn cancel_all(plan: &mut RunPlan, in_flight: &BTreeSet<String>) {
    for metric in in_flight {
        if !plan.cancel.iter().any(|cancel| &cancel.metric == metric) {
            plan.cancel.push(CancelRequest {
                metric: metric.clone(),
                measurement: None,
            });
        }
    }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    // The second of a valid timestamp is a valid timestamp.
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn result_of<'a>(status: &'a AnalysisRunStatus, metric: &str) -> Option<&'a MetricResult> {
    status
        .metric_results
        .iter()
        .flatten()
        .find(|result| result.name == metric)
}

impl Prepared {
    /// Whether a metric only watches.
    fn is_dry_run(&self, metric: &str) -> bool {
        self.dry_run.contains(metric)
    }
}
