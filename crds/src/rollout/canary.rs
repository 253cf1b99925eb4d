//! `spec.strategy.canary`, and the analysis that strategies start.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::steps::CanaryStep;
use super::traffic_routing::TrafficRouting;
use super::{AntiAffinity, PodTemplateMetadata};
use crate::IntOrString;
use crate::analysis::{AnalysisRunMetadata, DryRun, MeasurementRetention};

/// A growing share of pods or of traffic.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStrategy {
    /// Service that selects the canary pods; required with most routers.
    pub canary_service: Option<String>,
    /// Service that selects the stable pods; required with most routers.
    pub stable_service: Option<String>,
    /// The steps; absent or empty means a plain rolling update.
    pub steps: Option<Vec<CanaryStep>>,
    /// The routers that split the traffic.
    pub traffic_routing: Option<TrafficRouting>,
    /// Pods above `spec.replicas`; number or percentage, rounded up. Default 25 %. Without traffic routing only.
    pub max_surge: Option<IntOrString>,
    /// Pods that may be missing; number or percentage, rounded down. Default 25 %.
    pub max_unavailable: Option<IntOrString>,
    /// Analysis that runs beside the steps.
    pub analysis: Option<BackgroundAnalysis>,
    /// Metadata of the canary pods.
    pub canary_metadata: Option<PodTemplateMetadata>,
    /// Metadata of the stable pods.
    pub stable_metadata: Option<PodTemplateMetadata>,
    /// Keeps the two revisions off each other's nodes.
    pub anti_affinity: Option<AntiAffinity>,
    /// Seconds that the old ReplicaSet stays after promotion. Default 30. With traffic routing only.
    pub scale_down_delay_seconds: Option<i32>,
    /// How many old ReplicaSets may wait for their delay at once. Default: no limit.
    pub scale_down_delay_revision_limit: Option<i32>,
    /// Seconds that the canary ReplicaSet stays after an abort; 0 keeps it. Default 30. With traffic routing only.
    pub abort_scale_down_delay_seconds: Option<i32>,
    /// Shrink the stable ReplicaSet as traffic leaves it. Default false. With traffic routing only.
    pub dynamic_stable_scale: Option<bool>,
    /// Lower bound of non-zero ReplicaSets, capped at `spec.replicas`. With traffic routing only.
    pub min_pods_per_replica_set: Option<i32>,
    /// Two Services that swap the stable role at each promotion.
    pub ping_pong: Option<PingPong>,
    /// Lets a step count as reached below full availability.
    pub replica_progress_threshold: Option<ReplicaProgressThreshold>,
}

impl CanaryStrategy {
    /// The steps, empty when there are none.
    #[must_use]
    pub fn steps(&self) -> &[CanaryStep] {
        self.steps.as_deref().unwrap_or_default()
    }

    /// `trafficRouting.maxTrafficWeight`, or its default 100.
    #[must_use]
    pub fn max_weight(&self) -> i32 {
        self.traffic_routing
            .as_ref()
            .and_then(|routing| routing.max_traffic_weight)
            .unwrap_or(100)
    }
}

/// `pingPong`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PingPong {
    /// One Service.
    pub ping_service: Option<String>,
    /// The other.
    pub pong_service: Option<String>,
}

/// `replicaProgressThreshold`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaProgressThreshold {
    /// `Percent` or `Pods`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The threshold, in that unit.
    pub value: Option<i32>,
}

/// Analysis that a step or a promotion waits for.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutAnalysis {
    /// Templates whose metrics are measured, in one run.
    pub templates: Option<Vec<AnalysisTemplateRef>>,
    /// Arguments given to them.
    pub args: Option<Vec<AnalysisRunArgument>>,
    /// Metrics that are measured and never decide.
    pub dry_run: Option<Vec<DryRun>>,
    /// How many measurements are kept.
    pub measurement_retention: Option<Vec<MeasurementRetention>>,
    /// Labels and annotations of the run.
    pub analysis_run_metadata: Option<AnalysisRunMetadata>,
}

/// Analysis that runs beside the steps of a canary.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackgroundAnalysis {
    /// What is measured.
    #[serde(flatten)]
    pub analysis: RolloutAnalysis,
    /// Index of the step at which it starts. Default 0.
    pub starting_step: Option<i32>,
}

/// Reference to an AnalysisTemplate or ClusterAnalysisTemplate.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplateRef {
    /// Its name.
    pub template_name: Option<String>,
    /// True for a ClusterAnalysisTemplate.
    pub cluster_scope: Option<bool>,
}

/// An argument of an analysis in a Rollout.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunArgument {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// Where the value comes from.
    pub value_from: Option<ArgumentValueFrom>,
}

/// Source of an argument's value in a Rollout.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArgumentValueFrom {
    /// `Stable` or `Latest`: the pod-template hash of that side.
    pub pod_template_hash_value: Option<String>,
    /// A field of the Rollout.
    pub field_ref: Option<FieldRef>,
}

/// A field of the object that owns the reference.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldRef {
    /// Path, as in `metadata.labels['app']` or `status.alb.canaryTargetGroup.name`.
    #[serde(default)]
    pub field_path: String,
}
