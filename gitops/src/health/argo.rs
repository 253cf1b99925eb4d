//! Health of the kinds of `argoproj.io`.

use serde_json::Value;
use sluice_crds::names;

use super::{Code, Health, condition, message};
use crate::key::{annotation, number, text};

/// A number that is written as a number or as text.
fn generation(object: &Value, pointer: &str) -> Option<i64> {
    let value = object.pointer(pointer)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

pub(super) fn rollout(object: &Value) -> Health {
    const UNOBSERVED: &str = "Waiting for rollout spec update to be observed";
    // Very old controllers wrote a hash; that cannot be compared and counts as observed.
    let seen = generation(object, "/status/observedGeneration");
    let never = object.pointer("/status/observedGeneration").is_none();
    if never || seen.is_some_and(|seen| Some(seen) != number(object, "/metadata/generation")) {
        return Health::new(Code::Progressing, UNOBSERVED);
    }
    if let Some(workload) = annotation(object, names::WORKLOAD_GENERATION)
        && workload != text(object, "/status/workloadObservedGeneration")
    {
        return Health::new(
            Code::Progressing,
            "Waiting for rollout spec update to be observed for the reference workload",
        );
    }
    let said = text(object, "/status/message");
    match text(object, "/status/phase") {
        "" => by_conditions(object),
        "Paused" => Health::new(Code::Suspended, said),
        phase => Health::new(Code::from_name(phase), said),
    }
}

/// For controllers that write no phase.
fn by_conditions(object: &Value) -> Health {
    if let Some(invalid) = condition(object, "InvalidSpec") {
        return Health::new(Code::Degraded, message(invalid));
    }
    if let Some(progressing) = condition(object, "Progressing")
        && matches!(
            text(progressing, "/reason"),
            "RolloutAborted" | "ProgressDeadlineExceeded"
        )
    {
        return Health::new(Code::Degraded, message(progressing));
    }
    let waits = !crate::key::list(object, "/status/pauseConditions").is_empty()
        || object.pointer("/spec/paused") == Some(&Value::Bool(true));
    if waits {
        return Health::new(Code::Suspended, "Rollout is paused");
    }
    let count = |pointer: &str| number(object, pointer).unwrap_or(0);
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let (updated, all, available) = (
        count("/status/updatedReplicas"),
        count("/status/replicas"),
        count("/status/availableReplicas"),
    );
    if updated < wanted {
        return Health::new(
            Code::Progressing,
            "Waiting for roll out to finish: More replicas need to be updated",
        );
    }
    if available < updated {
        return Health::new(
            Code::Progressing,
            "Waiting for roll out to finish: updated replicas are still becoming available",
        );
    }
    if object.pointer("/spec/strategy/blueGreen").is_some() {
        let active = text(object, "/status/blueGreen/activeSelector");
        if active.is_empty() || active != text(object, "/status/currentPodHash") {
            return Health::new(
                Code::Progressing,
                "Waiting for rollout to finish: active service cutover pending",
            );
        }
        return Health::healthy();
    }
    if all > updated {
        return Health::new(
            Code::Progressing,
            "Waiting for roll out to finish: old replicas are pending termination",
        );
    }
    let stable = match text(object, "/status/stableRS") {
        "" => text(object, "/status/canary/stableRS"),
        stable => stable,
    };
    if stable.is_empty() || stable != text(object, "/status/currentPodHash") {
        return Health::new(Code::Progressing, "Waiting for rollout to finish steps");
    }
    Health::healthy()
}

/// AnalysisRuns and Experiments.
pub(super) fn run(object: &Value) -> Health {
    let said = text(object, "/status/message");
    match text(object, "/status/phase") {
        "Successful" => Health::new(Code::Healthy, said),
        "Failed" | "Error" => Health::new(Code::Degraded, said),
        "Inconclusive" => Health::new(Code::Unknown, said),
        "Pending" => Health::new(Code::Progressing, said),
        _ => Health::new(
            Code::Progressing,
            if said.is_empty() {
                "Waiting for the run to end"
            } else {
                said
            },
        ),
    }
}

pub(super) fn application(object: &Value) -> Health {
    match text(object, "/status/health/status") {
        "" => Health::new(
            Code::Progressing,
            "Waiting for the Application to be compared",
        ),
        code => Health::new(
            Code::from_name(code),
            text(object, "/status/health/message"),
        ),
    }
}

pub(super) fn workflow(object: &Value) -> Health {
    let code = match text(object, "/status/phase") {
        "" | "Pending" | "Running" => Code::Progressing,
        "Succeeded" => Code::Healthy,
        "Failed" | "Error" => Code::Degraded,
        _ => Code::Unknown,
    };
    Health::new(code, text(object, "/status/message"))
}
