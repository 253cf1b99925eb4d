//! `status.phase` and `status.message`: one word and one sentence, the first that matches.

use sluice_crds::rollout::{BlueGreenStrategy, RolloutStatus};

use crate::conditions::{DEADLINE_EXCEEDED, INVALID_SPEC, PROGRESSING, ROLLOUT_ABORTED};
use crate::draft::Draft;
use crate::world::World;

/// Writes both. What holds the Rollout is said in place of, or behind, what it waits for; a Rollout that is held, such
/// as by a route that is not there, is not healthy, even if all of its pods are.
pub(crate) fn update(world: &World<'_>, draft: &mut Draft) {
    let (mut phase, mut message) = of(world, &draft.status);
    if let Some(hold) = &draft.hold {
        match phase {
            "Progressing" | "Healthy" => {
                phase = "Progressing";
                message.clone_from(hold);
            }
            "Paused" => message = format!("{message}; {hold}"),
            _ => {}
        }
    }
    draft.status.phase = Some(phase.to_owned());
    draft.status.message = Some(message).filter(|message| !message.is_empty());
}

fn of(world: &World<'_>, status: &RolloutStatus) -> (&'static str, String) {
    for condition in status.conditions.iter().flatten() {
        let degraded = match condition.kind.as_str() {
            INVALID_SPEC => true,
            PROGRESSING => {
                [ROLLOUT_ABORTED, DEADLINE_EXCEEDED].contains(&condition.reason.as_str())
            }
            _ => false,
        };
        if degraded {
            let reason = if condition.kind == INVALID_SPEC {
                INVALID_SPEC
            } else {
                &condition.reason
            };
            return ("Degraded", format!("{reason}: {}", condition.message));
        }
    }
    let spec = &world.rollout.spec;
    if spec.paused == Some(true) {
        return ("Paused", "manually paused".to_owned());
    }
    if let Some(pause) = status.pause_conditions.iter().flatten().next() {
        return ("Paused", pause.reason.clone());
    }
    if spec.restart_at.is_some() && spec.restart_at != status.restarted_at {
        return ("Progressing", "rollout is restarting".to_owned());
    }
    let number = |value: Option<i32>| value.unwrap_or(0);
    let (updated, available) = (
        number(status.updated_replicas),
        number(status.available_replicas),
    );
    let routed = spec
        .canary()
        .is_some_and(|canary| canary.traffic_routing.is_some());
    let progressing = if updated < spec.replicas() {
        "more replicas need to be updated"
    } else if available < updated {
        "updated replicas are still becoming available"
    } else if let Some(waits) = spec
        .blue_green()
        .and_then(|strategy| cutover(strategy, status))
    {
        waits
    } else if !routed && spec.blue_green().is_none() && number(status.replicas) > updated {
        "old replicas are pending termination"
    } else if status.stable_rs.is_none() || status.stable_rs != status.current_pod_hash {
        "waiting for all steps to complete"
    } else {
        return ("Healthy", String::new());
    };
    ("Progressing", progressing.to_owned())
}

/// What a blue-green waits for on its way over; `None` when it has arrived.
fn cutover(strategy: &BlueGreenStrategy, status: &RolloutStatus) -> Option<&'static str> {
    let active = status
        .blue_green
        .as_ref()
        .and_then(|state| state.active_selector.as_ref());
    if active.is_none() || active != status.current_pod_hash.as_ref() {
        return Some("active service cutover pending");
    }
    if status.stable_rs.as_ref() == active {
        return None;
    }
    Some(if strategy.post_promotion_analysis.is_some() {
        "waiting for analysis to complete"
    } else {
        "waiting for post-promotion verification to complete"
    })
}
