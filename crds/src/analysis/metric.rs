//! Metrics and arguments, shared by templates and runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::provider::MetricProvider;
use crate::IntOrString;
use crate::rollout::canary::FieldRef;

/// One metric: what to ask, how often, and what the answers mean.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Its name, unique in the run.
    #[serde(default)]
    pub name: String,
    /// Go duration between measurements. Absent: measured once.
    pub interval: Option<String>,
    /// Go duration before the first measurement.
    pub initial_delay: Option<String>,
    /// Number of measurements. Absent or 0: one without an interval, without end with one.
    pub count: Option<IntOrString>,
    /// Condition under which a measurement is successful.
    pub success_condition: Option<String>,
    /// Condition under which a measurement is failed; wins over success.
    pub failure_condition: Option<String>,
    /// Failed measurements that are allowed. Default 0; -1 for no limit.
    pub failure_limit: Option<IntOrString>,
    /// Inconclusive measurements that are allowed. Default 0.
    pub inconclusive_limit: Option<IntOrString>,
    /// Errors in a row that are allowed. Default 4.
    pub consecutive_error_limit: Option<IntOrString>,
    /// Successes in a row that end the metric. Default 0: off.
    pub consecutive_success_limit: Option<IntOrString>,
    /// Who is asked.
    #[serde(default)]
    pub provider: MetricProvider,
}

/// An argument of a template or a run.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// Where the value comes from.
    pub value_from: Option<ValueFrom>,
}

/// Source of an argument's value.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValueFrom {
    /// A key of a Secret in the run's namespace; never shown.
    pub secret_key_ref: Option<SecretKeyRef>,
    /// A field of the owner.
    pub field_ref: Option<FieldRef>,
}

/// A key of a Secret.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[serde(default)]
    pub name: String,
    /// Its key.
    #[serde(default)]
    pub key: String,
}

/// Metrics that are measured and never decide.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// Regular expression over metric names.
    #[serde(default)]
    pub metric_name: String,
}

/// How many measurements are kept.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementRetention {
    /// Regular expression over metric names.
    #[serde(default)]
    pub metric_name: String,
    /// Number of measurements. Default without a rule: 10.
    #[serde(default)]
    pub limit: i32,
}
