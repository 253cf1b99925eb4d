//! `Experiment`: ReplicaSets that run beside each other for a while, and the analyses that judge them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::analysis::{
    AnalysisRunMetadata, Argument, DryRun, MeasurementRetention, STATUS_AND_AGE,
};
use crate::pod_template::PodTemplate;
use crate::root_kind::{always_written, root_kind};
use crate::{LabelSelector, Time};

root_kind!(
    /// ReplicaSets that run beside each other, and their analyses.
    ///
    /// Without a status subresource, as upstream: both controllers patch `status` on the main resource.
    Experiment, "experiment", "experiments", &["exp"], STATUS_AND_AGE,
    {
        /// What runs.
        spec "spec": ExperimentSpec,
        /// How it goes.
        status "status": Option<ExperimentStatus>,
    }
);
always_written!(ExperimentSpec);

impl Experiment {
    /// An experiment with that name that has not begun.
    #[must_use]
    pub fn new(name: &str, spec: ExperimentSpec) -> Self {
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

/// `spec` of an Experiment.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentSpec {
    /// The ReplicaSets, at least one.
    pub templates: Option<Vec<ExperimentTemplate>>,
    /// Go duration, counted from the moment when every template is available. Absent: until it is terminated or its
    /// required analyses end.
    pub duration: Option<String>,
    /// Seconds without progress after which a template fails. Default 600.
    pub progress_deadline_seconds: Option<i32>,
    /// Order: stop, and scale the ReplicaSets down.
    pub terminate: Option<bool>,
    /// Analyses, each in a run of its own.
    pub analyses: Option<Vec<ExperimentAnalysis>>,
    /// Seconds that the ReplicaSets stay when the experiment has ended. Default 30.
    pub scale_down_delay_seconds: Option<i32>,
    /// Metrics that never decide.
    pub dry_run: Option<Vec<DryRun>>,
    /// How many measurements are kept.
    pub measurement_retention: Option<Vec<MeasurementRetention>>,
    /// Labels and annotations of the runs.
    pub analysis_run_metadata: Option<AnalysisRunMetadata>,
}

impl ExperimentSpec {
    /// `progressDeadlineSeconds`, or its default 600.
    #[must_use]
    pub fn progress_deadline_seconds(&self) -> i32 {
        self.progress_deadline_seconds.unwrap_or(600)
    }

    /// `scaleDownDelaySeconds`, or its default 30.
    #[must_use]
    pub fn scale_down_delay_seconds(&self) -> i32 {
        self.scale_down_delay_seconds.unwrap_or(30)
    }
}

/// One ReplicaSet of an Experiment.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentTemplate {
    /// Its name, unique in the experiment; the ReplicaSet is `<experiment>-<name>`.
    #[serde(default)]
    pub name: String,
    /// Number of pods. Default 1.
    pub replicas: Option<i32>,
    /// Seconds that a pod must be ready to count as available. Default 0.
    pub min_ready_seconds: Option<i32>,
    /// Selector of its pods; must match the template's labels and no other template's.
    pub selector: Option<LabelSelector>,
    /// Pod template, lossless.
    pub template: Option<PodTemplate>,
    /// The Service that is made for it.
    pub service: Option<ExperimentTemplateService>,
}

/// `service` of a template; an empty object asks for a Service with the ReplicaSet's name.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentTemplateService {
    /// Name of the Service. Default: the name of the ReplicaSet.
    pub name: Option<String>,
}

/// One analysis of an Experiment.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentAnalysis {
    /// Its name, unique in the experiment; the run is `<experiment>-<name>`.
    #[serde(default)]
    pub name: String,
    /// Template that it runs.
    #[serde(default)]
    pub template_name: String,
    /// True for a ClusterAnalysisTemplate.
    pub cluster_scope: Option<bool>,
    /// Arguments; besides plain values they may use `{{templates.<name>.podTemplateHash}}`,
    /// `{{templates.<name>.replicaset.name}}`, `{{experiment.availableAt}}` and `{{experiment.finishedAt}}`.
    pub args: Option<Vec<Argument>>,
    /// The experiment is complete only when all such analyses are.
    pub required_for_completion: Option<bool>,
}

/// `status` of an Experiment.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStatus {
    /// `Pending`, `Running`, `Successful`, `Failed`, `Error` or `Inconclusive`; absent before the first look.
    pub phase: Option<String>,
    /// Why it is in that phase.
    pub message: Option<String>,
    /// One for each template.
    pub template_statuses: Option<Vec<ExperimentTemplateStatus>>,
    /// When every template was available; the duration counts from here.
    pub available_at: Option<Time>,
    /// `Progressing`, `InvalidExperimentSpec` and others.
    pub conditions: Option<Vec<ExperimentCondition>>,
    /// One for each analysis that has begun.
    pub analysis_runs: Option<Vec<ExperimentAnalysisRunStatus>>,
}

/// State of one template.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentTemplateStatus {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Pods.
    #[serde(default)]
    pub replicas: i32,
    /// Pods with the wanted template.
    #[serde(default)]
    pub updated_replicas: i32,
    /// Ready pods.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Available pods.
    #[serde(default)]
    pub available_replicas: i32,
    /// Hash collisions that were avoided.
    pub collision_count: Option<i32>,
    /// `Progressing`, `Running`, `Successful`, `Failed` or `Error`.
    pub status: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// When it last made progress.
    pub last_transition_time: Option<Time>,
    /// Name of its Service.
    pub service_name: Option<String>,
    /// Its pod-template hash.
    pub pod_template_hash: Option<String>,
}

/// A condition of an Experiment.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentCondition {
    /// `Progressing`, `InvalidExperimentSpec` and others.
    #[serde(rename = "type", default)]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default)]
    pub status: String,
    /// When it was last written.
    pub last_update_time: Option<Time>,
    /// When its status last changed.
    pub last_transition_time: Option<Time>,
    /// Why, in one word.
    pub reason: Option<String>,
    /// Why, in a sentence.
    pub message: Option<String>,
}

/// State of one analysis.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentAnalysisRunStatus {
    /// Name of the analysis.
    #[serde(default)]
    pub name: String,
    /// Name of the AnalysisRun.
    #[serde(default)]
    pub analysis_run: String,
    /// Phase of the run.
    #[serde(default)]
    pub phase: String,
    /// Message of the run.
    pub message: Option<String>,
}
