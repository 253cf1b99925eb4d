//! What a decision about an AnalysisRun consists of, and what comes back from the providers.
//!
//! Order for whoever carries a [`RunPlan`] out: `cancel`, then `status`, then `measure`, then `delete`. Each prefix is
//! safe: a cancelled measurement that is not yet in the status is cancelled again, and a status that is written
//! without its requests gives the same requests at the next decision.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sluice_crds::analysis::{AnalysisRunStatus, Argument, Measurement, Metric, SecretKeyRef};

use crate::args::{self, ArgError};
use crate::expression::Value;
use crate::phase::Phase;
use crate::reason::Reason;
use crate::secret::SecretValues;

/// A decision about one AnalysisRun.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// The complete new status. Write it when it differs from the one that was read.
    pub status: AnalysisRunStatus,
    /// Metrics to measure now; each is in flight until its outcome is absorbed.
    pub measure: Vec<MeasureRequest>,
    /// Measurements whose outcome no longer matters.
    pub cancel: Vec<CancelRequest>,
    /// The run has outlived its `ttlStrategy`: delete it (with its uid as a precondition).
    pub delete: bool,
    /// Events to record on the run.
    pub events: Vec<Event>,
    /// When to decide again if nothing happens before; `None`: nothing depends on the time.
    pub wake_at: Option<Timestamp>,
    /// Each guard that was decided, in the order of the metrics.
    pub reasons: Vec<Reason>,
}

/// A metric to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasureRequest {
    /// The metric, with every argument in place whose value is not secret.
    pub metric: Metric,
    /// Number of this measurement of the metric, from 1, errors counted.
    pub number: u32,
    /// The measurement that is under way and is to be looked at again (a Job); `None` for a new one.
    pub resume: Option<Measurement>,
    /// Arguments whose values the caller reads from Secrets in the run's namespace.
    pub secrets: Vec<SecretArgument>,
}

impl MeasureRequest {
    /// Puts the secret values in place. The result is for the provider only: it must not be logged or stored.
    ///
    /// # Errors
    /// When a value is missing.
    pub fn resolve(&self, secrets: &SecretValues) -> Result<Metric, ArgError> {
        let resolved: Vec<Argument> = self
            .secrets
            .iter()
            .filter_map(|secret| {
                Some(Argument {
                    name: secret.argument.clone(),
                    value: Some(secrets.reveal(&secret.argument)?.to_owned()),
                    value_from: None,
                })
            })
            .collect();
        args::resolve_metric(&self.metric, &resolved)
    }
}

/// An argument whose value is in a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretArgument {
    /// Name of the argument.
    pub argument: String,
    /// Where its value is.
    pub key: SecretKeyRef,
}

/// A measurement that is not needed any more.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelRequest {
    /// Name of the metric.
    pub metric: String,
    /// The measurement under way whose remote part (a Job) is to be ended; `None` when only a request is in flight.
    pub measurement: Option<Measurement>,
}

/// What a measurement gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// An answer, still to be judged by the conditions of the metric.
    Value {
        /// What `result` is in the conditions.
        value: Value,
        /// The same as text, for `measurements[].value`.
        display: String,
        /// For `measurements[].metadata`.
        metadata: BTreeMap<String, String>,
    },
    /// No answer: the provider is down, refuses, or answers nonsense. It says nothing about the release.
    Error {
        /// What happened, in words for the person who wrote the template; free of secrets.
        message: String,
        /// Whether trying again may help without anybody changing anything (timeout, refused connection, 5xx).
        transient: bool,
    },
    /// Under way: look again.
    Resume {
        /// When; `None`: when something is heard from it, or at the next decision.
        resume_at: Option<Timestamp>,
        /// What identifies it (name of the Job).
        metadata: BTreeMap<String, String>,
    },
    /// The provider judges by itself (Job, Kayenta).
    Finished {
        /// A completed phase; anything else counts as an error.
        phase: Phase,
        /// For `measurements[].value`.
        value: Option<String>,
        /// Why.
        message: Option<String>,
        /// For `measurements[].metadata`.
        metadata: BTreeMap<String, String>,
    },
}

/// What is known about a measurement besides its outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// When the provider was asked. Default: when the outcome is absorbed.
    pub started_at: Option<Timestamp>,
    /// Secret values that the metric used: conditions may use them, and messages must not show them.
    pub secrets: Option<&'a SecretValues>,
}

/// An Event on the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whether it tells of something bad.
    pub kind: EventKind,
    /// Reason in one word, as upstream: `MetricFailed`, `AnalysisRunSuccessful`.
    pub reason: String,
    /// The sentence.
    pub message: String,
}

/// Type of an [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// As expected.
    Normal,
    /// Worth a look.
    Warning,
}

impl EventKind {
    /// The text of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}
