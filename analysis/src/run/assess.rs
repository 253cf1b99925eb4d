//! The phase of one metric, from its counters. The order of the checks is upstream's, and every limit is exceeded by
//! *more* than the limit.

use sluice_crds::analysis::{Metric, MetricResult};

use crate::phase::Phase;
use crate::reason::Counter;
use crate::validate::{self, DEFAULT_CONSECUTIVE_ERROR_LIMIT};

/// The limits of a metric, with their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Negative: none.
    pub(super) failure: i32,
    pub(super) inconclusive: i32,
    pub(super) consecutive_error: i32,
    /// 0: off.
    pub(super) consecutive_success: i32,
    /// `None`: without end.
    pub(super) count: Option<i32>,
}

impl Limits {
    pub(super) fn of(metric: &Metric) -> Self {
        // Validation has read these.
        let read = |field, value: &Option<_>| validate::limit(field, value.as_ref()).ok().flatten();
        Self {
            failure: read("failureLimit", &metric.failure_limit).unwrap_or(0),
            inconclusive: read("inconclusiveLimit", &metric.inconclusive_limit).unwrap_or(0),
            consecutive_error: read("consecutiveErrorLimit", &metric.consecutive_error_limit)
                .unwrap_or(DEFAULT_CONSECUTIVE_ERROR_LIMIT),
            consecutive_success: read("consecutiveSuccessLimit", &metric.consecutive_success_limit)
                .unwrap_or(0),
            count: validate::effective_count(metric),
        }
    }
}

/// A limit that is passed or a target that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cause {
    /// Phase that follows.
    pub(super) phase: Phase,
    pub(super) counter: Counter,
    pub(super) value: i32,
    pub(super) limit: i32,
}

impl Cause {
    /// The clause of upstream's message, for a bad end.
    pub(super) fn clause(&self) -> String {
        let (counter, limit) = self.counter.names();
        let operator = match self.counter {
            Counter::ConsecutiveSuccesses => "<",
            _ => ">",
        };
        format!(
            "{counter} ({}) {operator} {limit} ({})",
            self.value, self.limit
        )
    }
}

/// The limit that a metric has passed. Of several, the last in the order failed, inconclusive, errors counts.
pub(super) fn exceeded(limits: &Limits, result: &MetricResult) -> Option<Cause> {
    [
        (
            Phase::Failed,
            Counter::Failed,
            result.failed,
            limits.failure,
        ),
        (
            Phase::Inconclusive,
            Counter::Inconclusive,
            result.inconclusive,
            limits.inconclusive,
        ),
        (
            Phase::Error,
            Counter::ConsecutiveErrors,
            result.consecutive_error,
            limits.consecutive_error,
        ),
    ]
    .into_iter()
    .filter(|(_, counter, _, limit)| *counter != Counter::Failed || *limit >= 0)
    .map(|(phase, counter, value, limit)| Cause {
        phase,
        counter,
        value: value.unwrap_or(0),
        limit,
    })
    .rfind(|cause| cause.value > cause.limit)
}

/// The target that a metric has reached.
pub(super) fn reached(limits: &Limits, result: &MetricResult) -> Option<Cause> {
    let successes = result.consecutive_success.unwrap_or(0);
    let wanted = limits.consecutive_success;
    if wanted > 0 && successes >= wanted {
        return Some(Cause {
            phase: Phase::Successful,
            counter: Counter::ConsecutiveSuccesses,
            value: successes,
            limit: wanted,
        });
    }
    let count = limits.count?;
    let value = result.count.unwrap_or(0);
    if value < count {
        return None;
    }
    if wanted > 0 {
        // Through, and never successful often enough in a row.
        return Some(Cause {
            phase: if limits.failure >= 0 {
                Phase::Inconclusive
            } else {
                Phase::Failed
            },
            counter: Counter::ConsecutiveSuccesses,
            value: successes,
            limit: wanted,
        });
    }
    Some(Cause {
        phase: Phase::Successful,
        counter: Counter::Measurements,
        value,
        limit: count,
    })
}

/// The phase of a metric. `terminating`: the run is being ended, and the metric is not to be measured any more.
pub(super) fn phase(limits: &Limits, result: &MetricResult, terminating: bool) -> Phase {
    let known = Phase::parse(&result.phase);
    if known.completed() {
        return known;
    }
    let Some(last) = result.measurements.iter().flatten().last() else {
        return if terminating {
            Phase::Successful
        } else {
            Phase::Pending
        };
    };
    if !Phase::parse(&last.phase).completed() {
        return Phase::Running;
    }
    if let Some(cause) = exceeded(limits, result).or_else(|| reached(limits, result)) {
        return cause.phase;
    }
    if terminating {
        Phase::Successful
    } else {
        Phase::Running
    }
}
