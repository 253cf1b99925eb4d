//! `AnalysisTemplate`, `ClusterAnalysisTemplate` and `AnalysisRun`.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::metric::{Argument, DryRun, MeasurementRetention, Metric};
use crate::Time;
use crate::rollout::canary::AnalysisTemplateRef;
use crate::root_kind::{Column, always_written, root_kind};

macro_rules! template_kind {
    ($spec:ident, $kind:literal, $plural:literal, $short:literal, $doc:literal $(, $scope:meta)?) => {
        #[doc = $doc]
        #[skip_serializing_none]
        #[derive(CustomResource, JsonSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[kube(
            group = "argoproj.io",
            version = "v1alpha1",
            kind = $kind,
            plural = $plural,
            shortname = $short,
            derive = "PartialEq",
            derive = "Default",
            printcolumn(
                name = "Age",
                type_ = "date",
                description = "Time since resource was created",
                json_path = ".metadata.creationTimestamp"
            )
        )]
        $(#[kube($scope)])?
        #[serde(rename_all = "camelCase")]
        pub struct $spec {
            /// Metrics.
            pub metrics: Option<Vec<Metric>>,
            /// Arguments; one without a value must be given by whoever uses the template.
            pub args: Option<Vec<Argument>>,
            /// Metrics that never decide.
            pub dry_run: Option<Vec<DryRun>>,
            /// How many measurements are kept.
            pub measurement_retention: Option<Vec<MeasurementRetention>>,
            /// Templates whose metrics and arguments are added.
            pub templates: Option<Vec<AnalysisTemplateRef>>,
        }
    };
}

template_kind!(
    AnalysisTemplateSpec,
    "AnalysisTemplate",
    "analysistemplates",
    "at",
    "`spec` of an AnalysisTemplate.",
    namespaced
);
template_kind!(
    ClusterAnalysisTemplateSpec,
    "ClusterAnalysisTemplate",
    "clusteranalysistemplates",
    "cat",
    "`spec` of a ClusterAnalysisTemplate."
);

impl From<ClusterAnalysisTemplateSpec> for AnalysisTemplateSpec {
    fn from(spec: ClusterAnalysisTemplateSpec) -> Self {
        let ClusterAnalysisTemplateSpec {
            metrics,
            args,
            dry_run,
            measurement_retention,
            templates,
        } = spec;
        Self {
            metrics,
            args,
            dry_run,
            measurement_retention,
            templates,
        }
    }
}

root_kind!(
    /// A run of metrics, made from templates.
    ///
    /// Without a status subresource, as upstream: both controllers patch `status` on the main resource.
    AnalysisRun, "analysisrun", "analysisruns", &["ar"], STATUS_AND_AGE,
    {
        /// What is measured.
        spec "spec": AnalysisRunSpec,
        /// What was measured.
        status "status": Option<AnalysisRunStatus>,
    }
);
always_written!(AnalysisRunSpec);

impl AnalysisRun {
    /// A run with that name and nothing measured.
    #[must_use]
    pub fn new(name: &str, spec: AnalysisRunSpec) -> Self {
        Self {
            metadata: crate::ObjectMeta {
                name: Some(name.to_owned()),
                ..crate::ObjectMeta::default()
            },
            spec,
            status: None,
        }
    }
}

/// Columns of kinds that have a phase.
pub(crate) const STATUS_AND_AGE: &[Column] = &[
    Column {
        name: "Status",
        kind: "string",
        path: ".status.phase",
        priority: 0,
    },
    Column {
        name: "Age",
        kind: "date",
        path: ".metadata.creationTimestamp",
        priority: 0,
    },
];

/// `spec` of an AnalysisRun.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunSpec {
    /// Metrics, with templates already resolved.
    pub metrics: Option<Vec<Metric>>,
    /// Arguments with their values.
    pub args: Option<Vec<Argument>>,
    /// Order: stop measuring.
    pub terminate: Option<bool>,
    /// Metrics that never decide.
    pub dry_run: Option<Vec<DryRun>>,
    /// How many measurements are kept.
    pub measurement_retention: Option<Vec<MeasurementRetention>>,
    /// When the finished run is deleted.
    pub ttl_strategy: Option<TtlStrategy>,
}

/// When a finished run is deleted.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TtlStrategy {
    /// Seconds after it ended in any way.
    pub seconds_after_completion: Option<i32>,
    /// Seconds after it failed.
    pub seconds_after_failure: Option<i32>,
    /// Seconds after it succeeded.
    pub seconds_after_success: Option<i32>,
}

/// Labels and annotations of runs.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunMetadata {
    /// Labels to add.
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations to add.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// `status` of an AnalysisRun.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunStatus {
    /// `Pending`, `Running`, `Successful`, `Failed`, `Error` or `Inconclusive`; empty before the first look.
    #[serde(default)]
    pub phase: String,
    /// Why it is in that phase.
    pub message: Option<String>,
    /// One for each metric that has begun.
    pub metric_results: Option<Vec<MetricResult>>,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub completed_at: Option<Time>,
    /// Counts over metrics that decide.
    pub run_summary: Option<RunSummary>,
    /// Counts over metrics that do not.
    pub dry_run_summary: Option<RunSummary>,
}

/// Counts of metrics by how they ended.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Metrics.
    pub count: Option<i32>,
    /// Successful ones.
    pub successful: Option<i32>,
    /// Failed ones.
    pub failed: Option<i32>,
    /// Inconclusive ones.
    pub inconclusive: Option<i32>,
    /// Those that ended in error.
    pub error: Option<i32>,
}

/// State of one metric.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricResult {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// As in the run's status.
    #[serde(default)]
    pub phase: String,
    /// The newest measurements.
    pub measurements: Option<Vec<Measurement>>,
    /// Why it is in that phase.
    pub message: Option<String>,
    /// Measurements that were completed, errors not counted.
    pub count: Option<i32>,
    /// Successful ones.
    pub successful: Option<i32>,
    /// Failed ones.
    pub failed: Option<i32>,
    /// Inconclusive ones.
    pub inconclusive: Option<i32>,
    /// Errors.
    pub error: Option<i32>,
    /// Errors since the last other outcome.
    pub consecutive_error: Option<i32>,
    /// Successes since the last other outcome.
    pub consecutive_success: Option<i32>,
    /// Whether it does not decide.
    pub dry_run: Option<bool>,
    /// What the provider tells, such as the resolved query.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// One measurement.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// How it came out.
    #[serde(default)]
    pub phase: String,
    /// Why.
    pub message: Option<String>,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// What was measured, as text.
    pub value: Option<String>,
    /// What the provider tells.
    pub metadata: Option<BTreeMap<String, String>>,
    /// When to look again at one that is under way.
    pub resume_at: Option<Time>,
}
