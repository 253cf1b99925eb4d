//! `status` of a Rollout.
//!
//! Some fields are written by people and tools as orders (`abort`, `promoteFull`, `pauseConditions`,
//! `currentStepIndex`), the rest by the controller.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use crate::Time;
use crate::split::{Split, WeightedService};

/// `status` of a Rollout.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Order: give the update up. Cleared by a retry or a new revision.
    pub abort: Option<bool>,
    /// When the update was given up.
    pub aborted_at: Option<Time>,
    /// Why the controller waits; a person removes them to go on.
    pub pause_conditions: Option<Vec<PauseCondition>>,
    /// True while the controller itself has paused; with no `pauseConditions` left it means that a person went on.
    pub controller_pause: Option<bool>,
    /// Pod-template hash of `spec.template` when it was last looked at.
    pub current_pod_hash: Option<String>,
    /// Hash of the steps when they were last looked at.
    pub current_step_hash: Option<String>,
    /// Index of the step that is being worked on; the number of steps when all are done.
    pub current_step_index: Option<i32>,
    /// Pods of all ReplicaSets.
    pub replicas: Option<i32>,
    /// Pods of the current revision.
    pub updated_replicas: Option<i32>,
    /// Ready pods.
    pub ready_replicas: Option<i32>,
    /// Available pods.
    pub available_replicas: Option<i32>,
    /// What the scale subresource reports as current.
    #[serde(rename = "HPAReplicas")]
    pub hpa_replicas: Option<i32>,
    /// Label selector that the scale subresource reports.
    pub selector: Option<String>,
    /// Added to the hash when two templates collide.
    pub collision_count: Option<i32>,
    /// `metadata.generation` that the status belongs to, as text.
    pub observed_generation: Option<String>,
    /// Generation of the referenced workload that the status belongs to, as text.
    pub workload_observed_generation: Option<String>,
    /// Conditions.
    pub conditions: Option<Vec<RolloutCondition>>,
    /// Pod-template hash of the last revision that was promoted.
    #[serde(rename = "stableRS")]
    pub stable_rs: Option<String>,
    /// The `restartAt` that is done.
    pub restarted_at: Option<Time>,
    /// Order: skip what is left of the steps.
    pub promote_full: Option<bool>,
    /// `Healthy`, `Progressing`, `Paused` or `Degraded`.
    pub phase: Option<String>,
    /// Why it is in that phase.
    pub message: Option<String>,
    /// Load balancer of the ALB router.
    #[schemars(schema_with = "crate::schema::any")]
    pub alb: Option<Value>,
    /// Load balancers, when there are several Ingresses.
    #[schemars(schema_with = "crate::schema::any")]
    pub albs: Option<Value>,
    /// State of a canary.
    pub canary: Option<CanaryStatus>,
    /// State of a blue-green.
    pub blue_green: Option<BlueGreenStatus>,
    /// How long the update took.
    pub duration: Option<DurationStatus>,
}

/// A reason to wait.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PauseCondition {
    /// `CanaryPauseStep`, `BlueGreenPause`, `InconclusiveAnalysisRun` or `InconclusiveExperiment`.
    #[serde(default)]
    pub reason: String,
    /// Since when.
    pub start_time: Option<Time>,
}

/// A condition.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutCondition {
    /// `Available`, `Progressing`, `Paused`, `Healthy`, `Completed`, `InvalidSpec` or `ReplicaFailure`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default)]
    pub status: String,
    /// When it was last confirmed.
    pub last_update_time: Option<Time>,
    /// When `status` last changed.
    pub last_transition_time: Option<Time>,
    /// One word.
    #[serde(default)]
    pub reason: String,
    /// One sentence.
    #[serde(default)]
    pub message: String,
}

/// `status.canary`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// The run of the current step.
    pub current_step_analysis_run_status: Option<AnalysisRunReference>,
    /// The run beside the steps.
    pub current_background_analysis_run_status: Option<AnalysisRunReference>,
    /// The experiment of the current step.
    pub current_experiment: Option<String>,
    /// What the routers were told.
    pub weights: Option<TrafficWeights>,
    /// `ping` or `pong`: which Service is stable.
    pub stable_ping_pong: Option<String>,
    /// State of plugin steps.
    #[schemars(schema_with = "crate::schema::any")]
    pub step_plugin_statuses: Option<Value>,
}

/// A run and how it stands.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunReference {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its phase.
    pub status: Option<String>,
    /// Its message.
    pub message: Option<String>,
}

/// Weights that the routers were told.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficWeights {
    /// The canary side.
    #[serde(default)]
    pub canary: WeightDestination,
    /// The stable side.
    #[serde(default)]
    pub stable: WeightDestination,
    /// Experiment templates.
    pub additional: Option<Vec<WeightDestination>>,
    /// Whether the router confirmed them; absent when it cannot.
    pub verified: Option<bool>,
}

/// One destination and its weight.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightDestination {
    /// A part of `maxTrafficWeight`.
    #[serde(default)]
    pub weight: i32,
    /// Service.
    pub service_name: Option<String>,
    /// Revision.
    pub pod_template_hash: Option<String>,
}

/// `status.blueGreen`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenStatus {
    /// Hash that the preview Service selects.
    pub preview_selector: Option<String>,
    /// Hash that the active Service selects.
    pub active_selector: Option<String>,
    /// The preview ReplicaSet may grow to full size.
    pub scale_up_preview_check_point: Option<bool>,
    /// Analysis before the switch.
    pub pre_promotion_analysis_run_status: Option<AnalysisRunReference>,
    /// Analysis after the switch.
    pub post_promotion_analysis_run_status: Option<AnalysisRunReference>,
}

/// `status.duration`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DurationStatus {
    /// When the update began.
    pub rollout_started_at: Option<Time>,
    /// When the present manual pause began.
    pub manual_pause_started_at: Option<Time>,
    /// Seconds in manual pauses so far.
    pub total_manual_pause_duration_seconds: Option<i64>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// `Promoted`, `FastPromoted`, `Aborted`, `Superseded`, `RolledBack` or `FastRolledBack`.
    pub completion_status: Option<String>,
}

impl RolloutStatus {
    /// The condition of one type.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&RolloutCondition> {
        self.conditions
            .iter()
            .flatten()
            .find(|condition| condition.kind == kind)
    }

    /// Whether an abort was ordered or decided.
    #[must_use]
    pub fn aborted(&self) -> bool {
        self.abort == Some(true)
    }

    /// Whether full promotion was ordered.
    #[must_use]
    pub fn promoting_fully(&self) -> bool {
        self.promote_full == Some(true)
    }

    /// Names of the Services of experiments that the routers were told to send requests to.
    #[must_use]
    pub fn routed_experiments(&self) -> BTreeSet<String> {
        let weights = self.canary.as_ref().and_then(|it| it.weights.as_ref());
        let additional = weights.and_then(|weights| weights.additional.as_ref());
        let destinations = additional.into_iter().flatten();
        destinations
            .filter(|destination| destination.weight > 0)
            .filter_map(|destination| destination.service_name.clone())
            .collect()
    }
}

impl TrafficWeights {
    /// The weights of a [`Split`], as the status shows them.
    #[must_use]
    pub fn of(split: &Split) -> Self {
        let destination = |weight, service: &str, hash: &Option<String>| WeightDestination {
            weight,
            service_name: Some(service.to_owned()).filter(|name| !name.is_empty()),
            pod_template_hash: hash.clone(),
        };
        let additional = |further: &WeightedService| WeightDestination {
            weight: further.weight,
            service_name: Some(further.service.clone()),
            pod_template_hash: Some(further.hash.clone()),
        };
        Self {
            canary: destination(split.canary, &split.canary_service, &split.canary_hash),
            stable: destination(split.stable(), &split.stable_service, &split.stable_hash),
            additional: Some(split.additional.iter().map(additional).collect::<Vec<_>>())
                .filter(|list| !list.is_empty()),
            verified: None,
        }
    }
}
