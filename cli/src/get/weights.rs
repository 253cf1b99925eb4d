//! The traffic: what the steps ask for, what the routers were told, what they show.

use serde_json::Value;
use sluice_crds::rollout::Rollout;
use sluice_crds::rollout::steps::StepKind;
use sluice_crds::split::{self, ObservedSplit, SplitRoute};

use super::snapshot::Snapshot;

/// The index of the step that is being worked on; `None` when there are no steps, or all are done.
pub(crate) fn current_step(rollout: &Rollout) -> Option<usize> {
    let steps = rollout.spec.canary()?.steps().len();
    let index = rollout
        .status
        .as_ref()
        .and_then(|status| status.current_step_index)
        .unwrap_or(0);
    usize::try_from(index).ok().filter(|index| *index < steps)
}

/// The weight that the steps ask for now.
pub(crate) fn set(rollout: &Rollout) -> i32 {
    let Some(canary) = rollout.spec.canary() else {
        return 0;
    };
    if rollout
        .status
        .as_ref()
        .is_some_and(|status| status.aborted())
    {
        return 0;
    }
    let Some(index) = current_step(rollout) else {
        return canary.max_weight();
    };
    let so_far = canary.steps().iter().take(index + 1).rev();
    so_far
        .filter_map(|step| match step.kind() {
            Some(StepKind::SetWeight(weight)) => Some(weight),
            _ => None,
        })
        .next()
        .unwrap_or(0)
}

/// The weight that the routers were told last; `None` without traffic routing.
pub(crate) fn told(rollout: &Rollout) -> Option<i32> {
    let weights = rollout.status.as_ref()?.canary.as_ref()?.weights.as_ref()?;
    Some(weights.canary.weight)
}

/// The Services of experiment templates that the routers were told last, each with its weight.
pub(crate) fn told_beside(rollout: &Rollout) -> Vec<(String, i32)> {
    let canary = rollout.status.as_ref().and_then(|it| it.canary.as_ref());
    let weights = canary.and_then(|canary| canary.weights.as_ref());
    let destinations = weights.and_then(|weights| weights.additional.as_ref());
    destinations
        .into_iter()
        .flatten()
        .filter_map(|it| Some((it.service_name.clone()?, it.weight)))
        .collect()
}

/// The header and mirror routes that the steps ask for now; none without an update under way.
pub(crate) fn routes(rollout: &Rollout) -> Vec<SplitRoute> {
    let status = rollout.status.clone().unwrap_or_default();
    let over = status.stable_rs.is_none() || status.stable_rs == status.current_pod_hash;
    if over || status.aborted() || status.promoting_fully() {
        return Vec::new();
    }
    let Some(canary) = rollout.spec.canary() else {
        return Vec::new();
    };
    let steps = canary.steps();
    split::routes_after(canary, current_step(rollout).unwrap_or(steps.len()))
}

/// What each router object shows.
pub(crate) fn shown(snapshot: &Snapshot) -> Vec<ObservedSplit> {
    let lookup = |object: &sluice_traffic::ObjectRef| -> Option<&Value> {
        snapshot.routes.iter().find(|route| object.names(route))
    };
    let max = snapshot
        .rollout
        .spec
        .canary()
        .map_or(100, |canary| canary.max_weight());
    sluice_traffic::observe(&snapshot.rollout, &lookup, max)
}

/// The share of the canary as it is: what the routers show, or were told if they cannot be read; without routers the
/// share of available pods.
pub(crate) fn actual(snapshot: &Snapshot) -> i32 {
    let rollout = &snapshot.rollout;
    let Some(canary) = rollout.spec.canary() else {
        return 0;
    };
    if current_step(rollout).is_none() {
        return canary.max_weight();
    }
    let status = rollout.status.clone().unwrap_or_default();
    if canary.traffic_routing.is_some() {
        let shown = shown(snapshot)
            .into_iter()
            .filter_map(|shown| shown.canary.ok())
            .max();
        return shown
            .or_else(|| told(rollout))
            .unwrap_or_else(|| set(rollout));
    }
    let new: i32 = snapshot
        .owned
        .replica_sets()
        .filter(|set| {
            set.hash() == status.current_pod_hash.as_deref()
                && status.current_pod_hash != status.stable_rs
        })
        .map(|set| set.available)
        .sum();
    let all = status.available_replicas.unwrap_or(0);
    (new * canary.max_weight()).checked_div(all).unwrap_or(0)
}
