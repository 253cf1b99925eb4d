//! From counters to phases, of the metrics and of the run, until nothing changes any more.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sluice_crds::Time;
use sluice_crds::analysis::{AnalysisRunStatus, MetricResult, RunSummary};

use super::assess::{self, Limits};
use super::prepare::Prepared;
use super::{finish, record, result_of, severity};
use crate::phase::Phase;
use crate::plan::{CancelRequest, Event, RunPlan};

/// Message of a measurement that was under way when the run was ended.
pub(super) const METRIC_TERMINATED: &str = "Metric Terminated";
/// Message of a run that was told to end.
const RUN_TERMINATED: &str = "Run Terminated";

/// Brings phases, summaries and messages in line with the counters.
///
/// `terminate` is `spec.terminate`; `in_flight` tells whether a metric is, or may be, being measured now. Unless
/// `may_cancel`, what is under way at a provider is left to the next decision, and the run does not end before.
pub(super) fn settle(
    plan: &mut RunPlan,
    prepared: &Prepared,
    terminate: bool,
    in_flight: &dyn Fn(&str) -> bool,
    may_cancel: bool,
    now: Timestamp,
) {
    let mut hurry;
    let mut terminating;
    // What this very plan cancels is not in flight any more.
    let cancelled = |plan: &RunPlan| {
        plan.cancel
            .iter()
            .map(|cancel| cancel.metric.clone())
            .collect()
    };
    loop {
        let worst = worst_end(&plan.status, prepared).map(|(_, phase)| phase);
        terminating = terminate || worst.is_some_and(Phase::bad);
        // Nothing is worse than Failed, and whoever says terminate does not wait either.
        hurry = terminate || worst == Some(Phase::Failed);
        if terminating && may_cancel {
            end_measurements(plan, now);
        }
        let cancelled: BTreeSet<String> = cancelled(plan);
        let changed = assess_metrics(plan, prepared, |name| {
            terminating && (hurry || cancelled.contains(name) || !in_flight(name))
        });
        if !changed {
            break;
        }
    }
    summarize(&mut plan.status, prepared);

    let phase_of = |name: &str| {
        result_of(&plan.status, name).map_or(Phase::Pending, |result| Phase::parse(&result.phase))
    };
    let waiting = prepared.metrics.iter().any(|metric| {
        !phase_of(&metric.name).completed()
            && (!hurry && in_flight(&metric.name)
                || result_of(&plan.status, &metric.name).is_some_and(is_open))
    });
    let all_completed = prepared
        .metrics
        .iter()
        .all(|metric| phase_of(&metric.name).completed());
    let worst = worst_end(&plan.status, prepared);
    if terminating && !waiting {
        let phase = worst.map_or(Phase::Successful, |(_, phase)| phase);
        let message = message(
            &plan.status,
            prepared,
            worst.map(|(index, _)| index),
            terminate,
        );
        finish(plan, phase, message, now);
    } else if let (true, Some((index, phase))) = (all_completed, worst) {
        let message = message(&plan.status, prepared, Some(index), terminate);
        finish(plan, phase, message, now);
    } else if plan.status.phase != Phase::Running.as_str() {
        Phase::Running.as_str().clone_into(&mut plan.status.phase);
        plan.status.message = None;
    }
}

/// Whether the last measurement is under way at a provider.
fn is_open(result: &MetricResult) -> bool {
    result
        .measurements
        .iter()
        .flatten()
        .last()
        .is_some_and(|last| !Phase::parse(&last.phase).completed())
}

/// Ends what is under way at a provider.
fn end_measurements(plan: &mut RunPlan, now: Timestamp) {
    let mut cancel = Vec::new();
    for result in plan.status.metric_results.iter_mut().flatten() {
        let last = result.measurements.iter_mut().flatten().last();
        let Some(last) = last.filter(|last| !Phase::parse(&last.phase).completed()) else {
            continue;
        };
        cancel.push(CancelRequest {
            metric: result.name.clone(),
            measurement: Some(last.clone()),
        });
        Phase::Inconclusive.as_str().clone_into(&mut last.phase);
        last.message = Some(METRIC_TERMINATED.to_owned());
        last.finished_at = Some(Time(now));
        last.resume_at = None;
        record::count(result, Phase::Inconclusive);
    }
    plan.cancel.extend(cancel);
}

/// Gives each metric its phase; tells whether any changed.
fn assess_metrics(
    plan: &mut RunPlan,
    prepared: &Prepared,
    terminating: impl Fn(&str) -> bool,
) -> bool {
    let mut changed = false;
    for metric in &prepared.metrics {
        let Some(result) = plan
            .status
            .metric_results
            .iter_mut()
            .flatten()
            .find(|result| result.name == metric.name)
        else {
            continue;
        };
        let phase = assess::phase(&Limits::of(metric), result, terminating(&metric.name));
        if result.phase == phase.as_str() {
            continue;
        }
        changed = true;
        phase.as_str().clone_into(&mut result.phase);
        if let Some(last) = result.measurements.iter().flatten().last() {
            result.message.clone_from(&last.message);
        }
        if phase.completed() {
            plan.events.push(Event {
                kind: severity(phase),
                reason: format!("Metric{phase}"),
                message: format!("Metric '{}' Completed. Result: {phase}", metric.name),
            });
        }
    }
    changed
}

/// The worst end of a metric that decides, and its index: of equals, the first.
fn worst_end(status: &AnalysisRunStatus, prepared: &Prepared) -> Option<(usize, Phase)> {
    let mut worst: Option<(usize, Phase)> = None;
    for (index, metric) in prepared.metrics.iter().enumerate() {
        if prepared.is_dry_run(&metric.name) {
            continue;
        }
        let Some(phase) = result_of(status, &metric.name)
            .map(|result| Phase::parse(&result.phase))
            .filter(|phase| phase.completed())
        else {
            continue;
        };
        if worst.is_none_or(|(_, known)| phase > known) {
            worst = Some((index, phase));
        }
    }
    worst
}

/// The message of a run that ends.
fn message(
    status: &AnalysisRunStatus,
    prepared: &Prepared,
    worst: Option<usize>,
    terminate: bool,
) -> String {
    let terminated = if terminate { RUN_TERMINATED } else { "" };
    let described = worst.and_then(|index| {
        let metric = prepared.metrics.get(index)?;
        let result = result_of(status, &metric.name)?;
        let limits = Limits::of(metric);
        let cause = assess::exceeded(&limits, result)
            .or_else(|| assess::reached(&limits, result))
            .filter(|cause| cause.phase.bad())?;
        let mut message = format!(
            "Metric \"{}\" assessed {} due to {}",
            metric.name,
            result.phase,
            cause.clause()
        );
        if let Some(error) = result.message.as_deref().filter(|error| !error.is_empty()) {
            message.push_str(&format!(": \"Error Message: {error}\""));
        }
        Some(message)
    });
    described.unwrap_or_else(|| terminated.to_owned())
}

/// Counts the metrics by how they ended.
fn summarize(status: &mut AnalysisRunStatus, prepared: &Prepared) {
    let count = |dry_run: bool| {
        let phases: Vec<Phase> = prepared
            .metrics
            .iter()
            .filter(|metric| prepared.is_dry_run(&metric.name) == dry_run)
            .map(|metric| {
                result_of(status, &metric.name)
                    .map_or(Phase::Pending, |result| Phase::parse(&result.phase))
            })
            .collect();
        let of = |wanted: Phase| number(phases.iter().filter(|phase| **phase == wanted).count());
        RunSummary {
            count: number(phases.len()),
            successful: of(Phase::Successful),
            failed: of(Phase::Failed),
            inconclusive: of(Phase::Inconclusive),
            error: of(Phase::Error),
        }
    };
    let run_summary = count(false);
    let dry_run_summary = count(true);
    status.run_summary = Some(run_summary);
    status.dry_run_summary = dry_run_summary.count.is_some().then_some(dry_run_summary);
}

/// A count as the API writes it: zero is left out.
fn number(count: usize) -> Option<i32> {
    i32::try_from(count).ok().filter(|count| *count > 0)
}
