//! Health of a Rollout: the phase and the message that its controller wrote, once that has seen the spec; of the
//! controllers of old, which wrote no phase, what conditions and numbers tell.
//!
//! Code and sentence are those of Argo CD's own script, which `e2e/vectors/health` asks.

use serde_json::Value;
use sluice_crds::names;

use super::{Code, Health, message};
use crate::key::{list, number, text};

/// The value at a pointer; null is absent.
fn at<'a>(object: &'a Value, pointer: &str) -> Option<&'a Value> {
    object.pointer(pointer).filter(|value| !value.is_null())
}

/// A number that is written as a number or as text.
fn counted(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn progressing(message: &str) -> Health {
    Health::new(Code::Progressing, message)
}

pub(super) fn health(object: &Value) -> Health {
    if !spec_observed(object) || !workload_observed(object) {
        return progressing("Waiting for rollout spec update to be observed");
    }
    let said = text(object, "/status/message");
    match text(object, "/status/phase") {
        "" => by_conditions(object),
        "Paused" => Health::new(Code::Suspended, said),
        phase => Health::new(Code::from_name(phase), said),
    }
}

/// Whether the status belongs to the present spec.
///
/// Controllers before v0.10 wrote a hash of the spec, or nothing, for the generation. Such a hash can read as a number,
/// which is then larger than any generation; it cannot be compared and counts as observed.
fn spec_observed(object: &Value) -> bool {
    if at(object, "/status").is_none() {
        return false;
    }
    let generation = number(object, "/metadata/generation").unwrap_or(0);
    counted(at(object, "/status/observedGeneration")).is_none_or(|seen| seen >= generation)
}

/// Whether the status belongs to the present template of the workload that is referred to. Without a reference the
/// annotation means nothing, although it may be left over from one.
fn workload_observed(object: &Value) -> bool {
    let annotations = at(object, "/metadata/annotations");
    let (Some(_), Some(annotations)) = (at(object, "/spec/workloadRef"), annotations) else {
        return true;
    };
    let present = counted(annotations.get(names::WORKLOAD_GENERATION));
    present == counted(at(object, "/status/workloadObservedGeneration"))
}

/// For controllers that write no phase.
fn by_conditions(object: &Value) -> Health {
    if at(object, "/status/conditions").is_none() {
        return progressing("Waiting for rollout to finish: status has not been reconciled.");
    }
    for condition in list(object, "/status/conditions") {
        let failed = match text(condition, "/type") {
            "InvalidSpec" => true,
            "Progressing" => matches!(
                text(condition, "/reason"),
                "RolloutAborted" | "ProgressDeadlineExceeded"
            ),
            _ => false,
        };
        if failed {
            return Health::new(Code::Degraded, message(condition));
        }
    }
    let by_hand = at(object, "/spec/paused") == Some(&Value::Bool(true));
    if by_hand || !list(object, "/status/pauseConditions").is_empty() {
        return Health::new(Code::Suspended, "Rollout is paused");
    }
    let Some(current) = at(object, "/status/currentPodHash").and_then(Value::as_str) else {
        return progressing("Waiting for rollout to finish: status has not been reconciled.");
    };
    match waits_for(object, current) {
        Some(sentence) => progressing(sentence),
        None => Health::healthy(),
    }
}

/// What an update to the current revision still waits for.
fn waits_for(object: &Value, current: &str) -> Option<&'static str> {
    let count = |pointer: &str| number(object, pointer).unwrap_or(0);
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let updated = count("/status/updatedReplicas");
    if updated < wanted {
        return Some("Waiting for roll out to finish: More replicas need to be updated");
    }
    if count("/status/availableReplicas") < updated {
        return Some(
            "Waiting for roll out to finish: updated replicas are still becoming available",
        );
    }
    let stable = stable(object);
    if at(object, "/spec/strategy/blueGreen").is_some() {
        let active = at(object, "/status/blueGreen/activeSelector").and_then(Value::as_str);
        if active != Some(current) {
            return Some("active service cutover pending");
        }
        // Before v0.8 there was no stable revision to wait for.
        let waits = stable != Some("") && stable != Some(current);
        return waits.then_some("waiting for analysis to complete");
    }
    at(object, "/spec/strategy/canary")?;
    if count("/status/replicas") > updated {
        return Some("Waiting for roll out to finish: old replicas are pending termination");
    }
    let waits = stable == Some("") || stable != Some(current);
    waits.then_some("Waiting for rollout to finish steps")
}

/// The stable revision, which was in `status.canary` before v0.8: empty without that section, `None` when the section
/// does not say it.
fn stable(object: &Value) -> Option<&str> {
    match at(object, "/status/stableRS") {
        Some(stable) => stable.as_str(),
        None if at(object, "/status/canary").is_none() => Some(""),
        None => at(object, "/status/canary/stableRS").and_then(Value::as_str),
    }
}
