//! When each metric is measured, and the requests that are due.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use sluice_crds::analysis::{AnalysisRun, Metric, MetricResult};
use sluice_crds::duration;

use super::assess::Limits;
use super::prepare::Prepared;
use super::{ERROR_RETRY_SECONDS, result_of};
use crate::args;
use crate::phase::Phase;
use crate::plan::{MeasureRequest, RunPlan};
use crate::reason::{Reason, Wait};
use crate::validate;

/// What a metric is to do.
enum Next {
    /// Nothing, for good or until something else happens.
    Nothing,
    /// To be measured, or looked at again, from this time on.
    At(Timestamp, Wait),
}

/// Adds the requests that are due, the time of the next one, and the reasons of those that wait.
pub(super) fn schedule(
    plan: &mut RunPlan,
    run: &AnalysisRun,
    prepared: &Prepared,
    in_flight: &BTreeSet<String>,
    now: Timestamp,
) {
    let started_at = plan.status.started_at.as_ref().map_or(now, |time| time.0);
    // A bad metric ends the run; what is in flight is waited for, and nothing new is begun.
    let terminating = prepared.metrics.iter().any(|metric| {
        !prepared.is_dry_run(&metric.name)
            && result_of(&plan.status, &metric.name)
                .is_some_and(|result| Phase::parse(&result.phase).bad())
    });
    for metric in &prepared.metrics {
        let result = result_of(&plan.status, &metric.name);
        let number = result.map_or(1, next_number);
        if in_flight.contains(&metric.name) {
            plan.reasons.push(Reason::InFlight {
                metric: metric.name.clone(),
                number,
            });
            continue;
        }
        let Next::At(due, cause) = next(metric, result, started_at, terminating, now) else {
            continue;
        };
        if due > now {
            plan.reasons.push(Reason::Waiting {
                metric: metric.name.clone(),
                until: due,
                cause,
            });
            plan.wake_at = Some(plan.wake_at.map_or(due, |known| known.min(due)));
            continue;
        }
        plan.reasons.push(Reason::InFlight {
            metric: metric.name.clone(),
            number,
        });
        let resume = result
            .and_then(|result| result.measurements.iter().flatten().last())
            .filter(|last| !Phase::parse(&last.phase).completed())
            .cloned();
        plan.measure.push(MeasureRequest {
            metric: metric.clone(),
            number,
            resume,
            secrets: args::secret_arguments(metric, run.spec.args.as_deref().unwrap_or_default()),
        });
    }
}

fn next_number(result: &MetricResult) -> u32 {
    let taken = result.count.unwrap_or(0).max(0).unsigned_abs();
    let errors = result.error.unwrap_or(0).max(0).unsigned_abs();
    taken.saturating_add(errors).saturating_add(1)
}

fn next(
    metric: &Metric,
    result: Option<&MetricResult>,
    started_at: Timestamp,
    terminating: bool,
    now: Timestamp,
) -> Next {
    if result.is_some_and(|result| Phase::parse(&result.phase).completed()) {
        return Next::Nothing;
    }
    let last = result.and_then(|result| result.measurements.iter().flatten().last());
    if let Some(last) = last
        && !Phase::parse(&last.phase).completed()
    {
        let at = last.resume_at.as_ref().map_or(now, |time| time.0);
        return Next::At(at, Wait::Resume);
    }
    if terminating {
        return Next::Nothing;
    }
    let Some(last) = last else {
        let delay = go_duration(metric.initial_delay.as_deref());
        return Next::At(add(started_at, delay), Wait::InitialDelay);
    };
    let limits = Limits::of(metric);
    let taken = result.and_then(|result| result.count).unwrap_or(0);
    if limits.count.is_some_and(|count| taken >= count) {
        return Next::Nothing;
    }
    let (interval, cause) = if validate::has_interval(metric) {
        let interval = go_duration(metric.interval.as_deref());
        (interval.max(SignedDuration::from_secs(1)), Wait::Interval)
    } else {
        (SignedDuration::from_secs(ERROR_RETRY_SECONDS), Wait::Retry)
    };
    let finished = last
        .finished_at
        .as_ref()
        .or(last.started_at.as_ref())
        .map_or(now, |time| time.0);
    // A time in the future is the trace of a clock that was set back: do not wait for it to come round again.
    if finished > now {
        return Next::At(now, cause);
    }
    Next::At(add(finished, interval), cause)
}

/// Validation has read it; what cannot be read counts as none. Parts of a second round up, since the run knows whole
/// seconds only, and an interval is at least one second: a metric is not measured in a loop.
fn go_duration(text: Option<&str>) -> SignedDuration {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return SignedDuration::ZERO;
    };
    let duration = duration::parse(text).unwrap_or(SignedDuration::ZERO);
    let seconds = duration
        .as_secs()
        .saturating_add(i64::from(duration.subsec_nanos() > 0));
    SignedDuration::from_secs(seconds.max(0))
}

fn add(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}
