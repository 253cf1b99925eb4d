//! `spec.strategy.blueGreen`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::canary::RolloutAnalysis;
use super::{AntiAffinity, PodTemplateMetadata};
use crate::IntOrString;

/// Two environments and a switch of the active Service.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenStrategy {
    /// Service that carries production traffic. Required.
    pub active_service: Option<String>,
    /// Service that shows the new revision before the switch.
    pub preview_service: Option<String>,
    /// Size of the new ReplicaSet until the switch. Default: `spec.replicas`.
    pub preview_replica_count: Option<i32>,
    /// Switch without asking. Default true.
    pub auto_promotion_enabled: Option<bool>,
    /// Switch after this many seconds in the pause.
    pub auto_promotion_seconds: Option<i32>,
    /// Pods that may be missing during a restart; a number or a percentage. Default 25 %, rounded down.
    pub max_unavailable: Option<IntOrString>,
    /// Seconds that the old ReplicaSet stays after the switch. Default 30.
    pub scale_down_delay_seconds: Option<i32>,
    /// How many old ReplicaSets may wait for their delay at once. Default: no limit.
    pub scale_down_delay_revision_limit: Option<i32>,
    /// Seconds that the preview ReplicaSet stays after an abort; 0 keeps it. Default 30.
    pub abort_scale_down_delay_seconds: Option<i32>,
    /// Analysis before the switch.
    pub pre_promotion_analysis: Option<RolloutAnalysis>,
    /// Analysis after the switch.
    pub post_promotion_analysis: Option<RolloutAnalysis>,
    /// Keeps the two revisions off each other's nodes.
    pub anti_affinity: Option<AntiAffinity>,
    /// Metadata of the active pods.
    pub active_metadata: Option<PodTemplateMetadata>,
    /// Metadata of the preview pods.
    pub preview_metadata: Option<PodTemplateMetadata>,
}
