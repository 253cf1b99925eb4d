//! What a Rollout in one phase or another looks like, as the API shows it.

use serde_json::{Value, json};

pub(super) use super::super::canary::paused;
pub(super) use super::super::watch::healthy;
use super::super::watch::observed;
use crate::demo::stage::{number, text};

/// Held by `spec.paused`.
pub(super) fn held(rollout: &Value) -> bool {
    observed(rollout)
        && text(rollout, "/status/phase") == "Paused"
        && text(rollout, "/status/message") == "manually paused"
}

/// Two pods are all that there is, and they are available.
pub(super) fn two_pods(rollout: &Value) -> bool {
    number(rollout, "/status/replicas") == 2 && number(rollout, "/status/availableReplicas") == 2
}

/// No pod at all, for the spec that it has now.
pub(super) fn no_pods(rollout: &Value) -> bool {
    observed(rollout) && number(rollout, "/status/replicas") == 0
}

/// In the middle of an update: one new pod that is not ready beside the old ones.
pub(super) fn one_updated(rollout: &Value) -> bool {
    observed(rollout)
        && number(rollout, "/status/updatedReplicas") == 1
        && number(rollout, "/status/replicas") == 3
        && text(rollout, "/status/phase") == "Progressing"
}

/// Aborted, and only stable pods are left.
pub(super) fn went_back(rollout: &Value) -> bool {
    degraded(rollout) && number(rollout, "/status/updatedReplicas") == 0 && two_pods(rollout)
}

/// Aborted, and the routes send nothing to the canary.
pub(super) fn went_back_routed(rollout: &Value) -> bool {
    degraded(rollout) && weight(rollout) == json!(0)
}

fn degraded(rollout: &Value) -> bool {
    observed(rollout)
        && text(rollout, "/status/phase") == "Degraded"
        && rollout.pointer("/status/abort") == Some(&json!(true))
}

/// In the pause of a step, at its weight.
pub(super) fn routed_pause(rollout: &Value) -> bool {
    paused(rollout) && [json!(20), json!(50)].contains(&weight(rollout))
}

fn weight(rollout: &Value) -> Value {
    let weight = rollout.pointer("/status/canary/weights/canary/weight");
    weight.cloned().unwrap_or_default()
}

/// A background analysis is running.
pub(super) fn measures_in_background(rollout: &Value) -> bool {
    text(
        rollout,
        "/status/canary/currentBackgroundAnalysisRunStatus/status",
    ) == "Running"
}

/// The analysis of a step is running.
pub(super) fn measures_in_step(rollout: &Value) -> bool {
    text(
        rollout,
        "/status/canary/currentStepAnalysisRunStatus/status",
    ) == "Running"
}

/// Paused by an analysis that does not know.
pub(super) fn inconclusive(rollout: &Value) -> bool {
    paused(rollout)
        && text(rollout, "/status/pauseConditions/0/reason") == "InconclusiveAnalysisRun"
}

/// An experiment is under way.
pub(super) fn experiments(rollout: &Value) -> bool {
    observed(rollout) && !text(rollout, "/status/canary/currentExperiment").is_empty()
}

/// A blue-green whose new revision waits for somebody to switch to it, measured already.
pub(super) fn waits_for_promotion(rollout: &Value) -> bool {
    paused(rollout)
        && text(
            rollout,
            "/status/blueGreen/prePromotionAnalysisRunStatus/status",
        ) == "Successful"
}

/// A blue-green that is switched and measured afterwards.
pub(super) fn measures_after_promotion(rollout: &Value) -> bool {
    text(
        rollout,
        "/status/blueGreen/postPromotionAnalysisRunStatus/status",
    ) == "Running"
}
