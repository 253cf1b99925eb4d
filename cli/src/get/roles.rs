//! What a ReplicaSet is to its Rollout, in the words of the API.

use sluice_crds::names;
use sluice_crds::rollout::Rollout;
use sluice_rollout::ReplicaSet;

use crate::paint::Tone;

/// `stable`, `canary`, `active`, `preview`, `ping`, `pong`: those that apply, in the order in which they are shown.
pub(crate) fn of(rollout: &Rollout, set: &ReplicaSet) -> Vec<&'static str> {
    let status = rollout.status.clone().unwrap_or_default();
    let Some(hash) = set.hash() else {
        return Vec::new();
    };
    let is = |known: &Option<String>| known.as_deref() == Some(hash);
    let stable = is(&status.stable_rs);
    let mut roles = Vec::new();
    if stable {
        roles.push("stable");
    }
    if let Some(canary) = rollout.spec.canary() {
        let new = !stable && is(&status.current_pod_hash);
        if new {
            roles.push("canary");
        }
        if canary.ping_pong.is_some() && (stable || new) {
            let which = status.canary.and_then(|canary| canary.stable_ping_pong);
            let stable_is_ping = which.as_deref() == Some("ping");
            roles.push(if stable == stable_is_ping {
                "ping"
            } else {
                "pong"
            });
        }
    }
    if let Some(blue_green) = status
        .blue_green
        .filter(|_| rollout.spec.blue_green().is_some())
    {
        if is(&blue_green.active_selector) {
            roles.push("active");
        } else if is(&blue_green.preview_selector) {
            roles.push("preview");
        }
    }
    roles
}

/// What a ReplicaSet is to its Experiment: the name of its template, behind the icon of experiments.
pub(crate) fn template_tag(set: &ReplicaSet) -> Option<String> {
    let template = set.annotations.get(names::EXPERIMENT_TEMPLATE)?;
    Some(format!("Σ:{template}"))
}

/// The colour of a role.
pub(crate) fn tone(role: &str) -> Tone {
    match role {
        "stable" | "active" => Tone::Good,
        "canary" => Tone::New,
        _ => Tone::Busy,
    }
}
