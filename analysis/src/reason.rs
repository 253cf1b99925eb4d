//! Why: one value for each guard that was decided, each with its sentence.
//!
//! A sentence has the shape *value, operator, limit*:
//! `success-rate 80.00 % >= 95 % is false (measurement 3: failed 1 of 0 allowed)`. A metric that cannot be measured is
//! [`Reason::Holding`], which is not a failure: `holding: error-rate could not be measured, connection refused (2 of 4
//! errors in a row allowed)`.

use std::fmt;

use jiff::Timestamp;

use crate::phase::Phase;

/// One guard and how it was decided.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The run cannot be carried out as it is written.
    Invalid {
        /// What is wrong, with the name of the metric or rule.
        message: String,
    },
    /// A metric waits for its time.
    Waiting {
        /// The metric.
        metric: String,
        /// When it is measured.
        until: Timestamp,
        /// What it waits for.
        cause: Wait,
    },
    /// A metric is being measured now.
    InFlight {
        /// The metric.
        metric: String,
        /// Number of the measurement, from 1.
        number: u32,
    },
    /// The last measurement of a metric, and what its conditions said.
    Measured {
        /// The metric.
        metric: String,
        /// Number of the measurement, from 1.
        number: u32,
        /// How it came out.
        phase: Phase,
        /// The comparison that decided, when the condition is one.
        comparison: Option<Comparison>,
        /// What was measured, as text.
        value: String,
        /// Failed measurements so far.
        failed: i32,
        /// How many are allowed; negative for no limit.
        failure_limit: i32,
    },
    /// A metric cannot be measured at present. That is no verdict: the run goes on while the limit lasts.
    Holding {
        /// The metric.
        metric: String,
        /// Errors since the last answer.
        consecutive_errors: i32,
        /// How many in a row are allowed.
        limit: i32,
        /// The last error.
        last_error: String,
    },
    /// A metric has passed one of its limits and ended badly.
    LimitExceeded {
        /// The metric.
        metric: String,
        /// What was counted.
        counter: Counter,
        /// The count.
        value: i32,
        /// The limit.
        limit: i32,
        /// Phase of the metric.
        phase: Phase,
        /// Whether the metric only watches.
        dry_run: bool,
    },
    /// A metric has what it needs and ended.
    Reached {
        /// The metric.
        metric: String,
        /// What was counted.
        counter: Counter,
        /// The count.
        value: i32,
        /// What was needed.
        limit: i32,
        /// Phase of the metric.
        phase: Phase,
    },
    /// The run is being ended before its metrics are through.
    Terminating {
        /// The metric whose bad end is the cause; `None`: `spec.terminate`.
        by: Option<String>,
    },
    /// The run has ended.
    Finished {
        /// Its phase.
        phase: Phase,
        /// Its message.
        message: String,
    },
    /// A finished run stays until its time to live is over.
    Kept {
        /// When it is deleted.
        until: Timestamp,
    },
    /// A finished run has outlived its time to live.
    Expired {
        /// When it ended.
        completed_at: Timestamp,
        /// How long it was to stay, in seconds.
        seconds: i64,
    },
}

/// What a metric waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// `initialDelay`.
    InitialDelay,
    /// `interval`.
    Interval,
    /// The next attempt after an error, for a metric without an interval.
    Retry,
    /// The next look at a measurement under way.
    Resume,
}

/// A counter that has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Failed measurements, `failureLimit`.
    Failed,
    /// Inconclusive measurements, `inconclusiveLimit`.
    Inconclusive,
    /// Errors in a row, `consecutiveErrorLimit`.
    ConsecutiveErrors,
    /// Successes in a row, `consecutiveSuccessLimit`.
    ConsecutiveSuccesses,
    /// Measurements, `count`.
    Measurements,
}

impl Counter {
    /// The counter and its limit as upstream names them in messages.
    #[must_use]
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Failed => ("failed", "failureLimit"),
            Self::Inconclusive => ("inconclusive", "inconclusiveLimit"),
            Self::ConsecutiveErrors => ("consecutiveErrors", "consecutiveErrorLimit"),
            Self::ConsecutiveSuccesses => ("consecutiveSuccess", "consecutiveSuccessLimit"),
            Self::Measurements => ("count", "count"),
        }
    }
}

/// A comparison inside a condition, with the value that the left side had.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The measured side.
    pub value: f64,
    /// `<`, `<=`, `>`, `>=`, `==` or `!=`.
    pub operator: &'static str,
    /// The other side.
    pub limit: f64,
    /// Whether it is true.
    pub holds: bool,
    /// Whether both sides are shares of one, to be shown as percentages.
    pub share: bool,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.share {
            write!(
                f,
                "{:.2} % {} {} % is {}",
                self.value * 100.0,
                self.operator,
                // Rounded, since 0.07 * 100 is 7.000000000000001.
                (self.limit * 1e8).round() / 1e6,
                self.holds
            )
        } else {
            write!(
                f,
                "{} {} {} is {}",
                self.value, self.operator, self.limit, self.holds
            )
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { message } => f.write_str(message),
            Self::Waiting {
                metric,
                until,
                cause,
            } => {
                let cause = match cause {
                    Wait::InitialDelay => "initialDelay",
                    Wait::Interval => "interval",
                    Wait::Retry => "retry after an error",
                    Wait::Resume => "measurement under way",
                };
                write!(f, "{metric} is measured at {until} ({cause})")
            }
            Self::InFlight { metric, number } => {
                write!(f, "{metric} is being measured (measurement {number})")
            }
            Self::Measured {
                metric,
                number,
                phase,
                comparison,
                value,
                failed,
                failure_limit,
            } => {
                match comparison {
                    Some(comparison) => write!(f, "{metric} {comparison}")?,
                    None => write!(f, "{metric} {value} is {phase}")?,
                }
                write!(f, " (measurement {number}: failed {failed} of ")?;
                if *failure_limit < 0 {
                    f.write_str("any number allowed)")
                } else {
                    write!(f, "{failure_limit} allowed)")
                }
            }
            Self::Holding {
                metric,
                consecutive_errors,
                limit,
                last_error,
            } => write!(
                f,
                "holding: {metric} could not be measured, {last_error} ({consecutive_errors} of {limit} errors in a \
                 row allowed)"
            ),
            Self::LimitExceeded {
                metric,
                counter,
                value,
                limit,
                phase,
                dry_run,
            } => {
                let (counter, limit_name) = counter.names();
                write!(
                    f,
                    "{metric} {phase}: {counter} ({value}) > {limit_name} ({limit})"
                )?;
                if *dry_run {
                    f.write_str(", dry run: it does not decide")?;
                }
                Ok(())
            }
            Self::Reached {
                metric,
                counter,
                value,
                limit,
                phase,
            } => {
                let (counter, limit_name) = counter.names();
                write!(
                    f,
                    "{metric} {phase}: {counter} ({value}) >= {limit_name} ({limit})"
                )
            }
            Self::Terminating { by: None } => f.write_str("the run was told to terminate"),
            Self::Terminating { by: Some(metric) } => {
                write!(f, "the run ends because of metric {metric}")
            }
            Self::Finished { phase, message } if message.is_empty() => {
                write!(f, "the run is {phase}")
            }
            Self::Finished { phase, message } => write!(f, "the run is {phase}: {message}"),
            Self::Kept { until } => write!(f, "the finished run is kept until {until}"),
            Self::Expired {
                completed_at,
                seconds,
            } => write!(
                f,
                "the run ended at {completed_at} and was to be kept for {seconds} s"
            ),
        }
    }
}
