//! The reasons that follow from a run's status: last measurements, holds, limits, verdict.
//!
//! They are derived from the object alone, so that the Rollout, `explain` and the UI say the same as the machine did.

use jiff::Timestamp;
use sluice_crds::analysis::{AnalysisRun, AnalysisRunStatus, Metric, MetricResult};

use super::assess::{self, Limits};
use super::prepare::{self, Prepared};
use super::result_of;
use crate::condition;
use crate::expression::Value;
use crate::phase::Phase;
use crate::reason::{Comparison, Reason};

/// Why a run is where it is, from the object alone.
#[must_use]
pub fn explain(run: &AnalysisRun, now: Timestamp) -> Vec<Reason> {
    let status = run.status.clone().unwrap_or_default();
    match prepare::prepare(&run.spec) {
        Ok(prepared) => reasons(&status, &prepared, super::whole_seconds(now)),
        Err(message) => vec![Reason::Invalid { message }],
    }
}

/// The reasons of a status.
pub(super) fn reasons(
    status: &AnalysisRunStatus,
    prepared: &Prepared,
    now: Timestamp,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for metric in &prepared.metrics {
        if let Some(result) = result_of(status, &metric.name) {
            reasons.extend(metric_reasons(
                metric,
                result,
                prepared.is_dry_run(&metric.name),
                now,
            ));
        }
    }
    if Phase::parse(&status.phase).completed() {
        reasons.push(finished(status));
    } else if let Some(by) = prepared.metrics.iter().find(|metric| {
        !prepared.is_dry_run(&metric.name)
            && result_of(status, &metric.name)
                .is_some_and(|result| Phase::parse(&result.phase).bad())
    }) {
        reasons.push(Reason::Terminating {
            by: Some(by.name.clone()),
        });
    }
    reasons
}

/// The verdict of a finished run.
pub(super) fn finished(status: &AnalysisRunStatus) -> Reason {
    Reason::Finished {
        phase: Phase::parse(&status.phase),
        message: status.message.clone().unwrap_or_default(),
    }
}

fn metric_reasons(
    metric: &Metric,
    result: &MetricResult,
    dry_run: bool,
    now: Timestamp,
) -> Vec<Reason> {
    let limits = Limits::of(metric);
    let mut reasons = Vec::new();
    let measurements = result.measurements.as_deref().unwrap_or_default();
    let judged = measurements.iter().enumerate().rfind(|(_, measurement)| {
        matches!(
            Phase::parse(&measurement.phase),
            Phase::Successful | Phase::Failed | Phase::Inconclusive
        )
    });
    if let Some((index, measurement)) = judged {
        let newer = measurements
            .iter()
            .skip(index + 1)
            .filter(|measurement| Phase::parse(&measurement.phase).completed())
            .count();
        let value = measurement.value.clone().unwrap_or_default();
        let taken = result.count.unwrap_or(0).max(0).unsigned_abs()
            + result.error.unwrap_or(0).max(0).unsigned_abs();
        reasons.push(Reason::Measured {
            metric: metric.name.clone(),
            number: taken
                .saturating_sub(u32::try_from(newer).unwrap_or(u32::MAX))
                .max(1),
            phase: Phase::parse(&measurement.phase),
            comparison: comparison(metric, &value, Phase::parse(&measurement.phase), now),
            value,
            failed: result.failed.unwrap_or(0),
            failure_limit: limits.failure,
        });
    }
    let phase = Phase::parse(&result.phase);
    if !phase.completed() {
        let errors = result.consecutive_error.unwrap_or(0);
        if errors > 0 {
            let last_error = measurements
                .iter()
                .rfind(|measurement| Phase::parse(&measurement.phase) == Phase::Error)
                .and_then(|measurement| measurement.message.clone())
                .unwrap_or_else(|| "no message".to_owned());
            reasons.push(Reason::Holding {
                metric: metric.name.clone(),
                consecutive_errors: errors,
                limit: limits.consecutive_error,
                last_error,
            });
        }
        return reasons;
    }
    if phase.bad()
        && let Some(cause) = assess::exceeded(&limits, result)
    {
        reasons.push(Reason::LimitExceeded {
            metric: metric.name.clone(),
            counter: cause.counter,
            value: cause.value,
            limit: cause.limit,
            phase,
            dry_run,
        });
    } else if let Some(cause) = assess::reached(&limits, result) {
        reasons.push(Reason::Reached {
            metric: metric.name.clone(),
            counter: cause.counter,
            value: cause.value,
            limit: cause.limit,
            phase,
        });
    }
    reasons
}

/// The comparison that decided a measurement, when its condition is one.
fn comparison(metric: &Metric, value: &str, phase: Phase, now: Timestamp) -> Option<Comparison> {
    // The failure condition decides when it holds; otherwise the success condition does, if there is one.
    let failure = metric.failure_condition.as_deref();
    let success = metric.success_condition.as_deref();
    let text = match phase {
        Phase::Failed => failure.or(success),
        _ => success.or(failure),
    }?;
    let condition = condition::Condition::parse(text).ok()?;
    let mut comparison = condition.comparison(&Value::from_display(value), now)?;
    comparison.share = condition::is_share(&metric.name, &comparison);
    Some(comparison)
}
