//! `Rollout`: a workload whose new revisions arrive a little at a time.
//!
//! One file for each part of the API: [`blue_green`], [`canary`], [`steps`], [`traffic_routing`], [`status`].

pub mod blue_green;
pub mod canary;
mod references;
pub mod status;
pub mod steps;
pub mod traffic_routing;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::pod_template::PodTemplate;
use crate::{IntOrString, LabelSelector, Time};
pub use blue_green::BlueGreenStrategy;
pub use canary::CanaryStrategy;
pub use status::RolloutStatus;
pub use steps::CanaryStep;
pub use traffic_routing::TrafficRouting;

/// `spec` of a Rollout.
#[expect(clippy::duplicated_attributes, reason = "several columns are integers")]
#[skip_serializing_none]
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "Rollout",
    plural = "rollouts",
    shortname = "ro",
    namespaced,
    status = "RolloutStatus",
    derive = "PartialEq",
    derive = "Default",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.HPAReplicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        description = "Number of desired pods",
        json_path = ".spec.replicas"
    ),
    printcolumn(
        name = "Current",
        type_ = "integer",
        description = "Total number of non-terminated pods targeted by this rollout",
        json_path = ".status.replicas"
    ),
    printcolumn(
        name = "Up-to-date",
        type_ = "integer",
        description = "Total number of non-terminated pods targeted by this rollout that have the desired template spec",
        json_path = ".status.updatedReplicas"
    ),
    printcolumn(
        name = "Available",
        type_ = "integer",
        description = "Total number of available pods (ready for at least minReadySeconds) targeted by this rollout",
        json_path = ".status.availableReplicas"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "Time since resource was created",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSpec {
    /// Desired number of pods. Default 1; the controller writes the default back, since autoscalers read it.
    pub replicas: Option<i32>,
    /// Label selector of the pods; required without `workloadRef`, immutable, must match the template's labels.
    pub selector: Option<LabelSelector>,
    /// Pod template; mutually exclusive with `workloadRef`.
    pub template: Option<PodTemplate>,
    /// An existing workload whose template (and selector) is used instead of `template`.
    pub workload_ref: Option<WorkloadRef>,
    /// Seconds that a pod must be ready to count as available. Default 0.
    pub min_ready_seconds: Option<i32>,
    /// How new revisions arrive; exactly one of `canary` and `blueGreen`.
    pub strategy: Option<RolloutStrategy>,
    /// Number of old ReplicaSets to keep for undo. Default 10.
    pub revision_history_limit: Option<i32>,
    /// Pauses the Rollout by hand: no scaling, traffic is still reconciled.
    pub paused: Option<bool>,
    /// Seconds without progress after which the Rollout is `Degraded`. Default 600.
    pub progress_deadline_seconds: Option<i32>,
    /// Abort, instead of only reporting, when the progress deadline is exceeded. Default false.
    pub progress_deadline_abort: Option<bool>,
    /// Pods created before this instant are replaced, by eviction.
    pub restart_at: Option<Time>,
    /// How many analysis runs and experiments are kept.
    pub analysis: Option<AnalysisHistoryLimits>,
    /// Going back to a revision this near skips the steps.
    pub rollback_window: Option<RollbackWindow>,
}

impl RolloutSpec {
    /// `replicas`, or its default 1; never negative.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(1).max(0)
    }

    /// `revisionHistoryLimit`, or its default 10.
    #[must_use]
    pub fn revision_history_limit(&self) -> i32 {
        self.revision_history_limit.unwrap_or(10)
    }

    /// `progressDeadlineSeconds`, or its default 600.
    #[must_use]
    pub fn progress_deadline_seconds(&self) -> i32 {
        self.progress_deadline_seconds.unwrap_or(600)
    }

    /// `minReadySeconds`, or its default 0.
    #[must_use]
    pub fn min_ready_seconds(&self) -> i32 {
        self.min_ready_seconds.unwrap_or(0)
    }

    /// The canary strategy, when that is the one in use.
    #[must_use]
    pub fn canary(&self) -> Option<&CanaryStrategy> {
        self.strategy.as_ref()?.canary.as_ref()
    }

    /// The blue-green strategy, when that is the one in use.
    #[must_use]
    pub fn blue_green(&self) -> Option<&BlueGreenStrategy> {
        self.strategy.as_ref()?.blue_green.as_ref()
    }
}

/// `spec.workloadRef`: where the pod template comes from.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadRef {
    /// `apps/v1` for Deployment and ReplicaSet, `v1` for PodTemplate.
    pub api_version: Option<String>,
    /// `Deployment`, `ReplicaSet` or `PodTemplate`.
    pub kind: Option<String>,
    /// Name of the workload, in the Rollout's namespace.
    pub name: Option<String>,
    /// Whether the Deployment is scaled down after the Rollout took over: `never` (default), `onsuccess`, `progressively`.
    pub scale_down: Option<String>,
}

/// `spec.strategy`; exactly one field is set.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStrategy {
    /// Two environments and a switch.
    pub blue_green: Option<BlueGreenStrategy>,
    /// A growing share.
    pub canary: Option<CanaryStrategy>,
}

/// `spec.analysis`: how many finished runs are kept.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisHistoryLimits {
    /// Successful runs and experiments to keep. Default 5.
    pub successful_run_history_limit: Option<i32>,
    /// Failed, errored and inconclusive ones to keep. Default 5.
    pub unsuccessful_run_history_limit: Option<i32>,
}

/// `spec.rollbackWindow`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindow {
    /// Going back over fewer than this many revisions skips the steps.
    pub revisions: Option<i32>,
}

/// Labels and annotations that a role (canary, stable, active, preview) gives to a ReplicaSet and its live pods.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplateMetadata {
    /// Labels to add.
    pub labels: Option<std::collections::BTreeMap<String, String>>,
    /// Annotations to add.
    pub annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// `antiAffinity`: keeps the pods of two revisions off each other's nodes.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AntiAffinity {
    /// A preference with a weight of 1 to 100.
    pub preferred_during_scheduling_ignored_during_execution: Option<PreferredAntiAffinity>,
    /// A requirement.
    pub required_during_scheduling_ignored_during_execution: Option<RequiredAntiAffinity>,
}

/// The preference of [`AntiAffinity`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreferredAntiAffinity {
    /// 1 to 100.
    #[serde(default)]
    pub weight: i32,
}

/// The requirement of [`AntiAffinity`]; it has no settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequiredAntiAffinity {}

/// A whole number or a percentage, with what an absent or unreadable value means where it is used.
pub type Amount = IntOrString;
