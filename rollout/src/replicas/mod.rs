//! Sizes of the ReplicaSets.
//!
//! [`basic`] without traffic routing: pods are the traffic, so both sides move within maxSurge and maxUnavailable.
//! [`traffic_routed`] with it: stable stays whole, the canary has the pods that its weight needs, and nothing shrinks
//! below what the routers send it now. [`older`]: revisions that are neither new nor stable.

mod basic;
pub(crate) mod older;
mod traffic_routed;

use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;

use crate::draft::Draft;
use crate::reason::Reason;
use crate::seen::Seen;
use crate::world::ReplicaSet;

/// `maxUnavailable` in pods, rounded down; 1 when nothing of a canary could move otherwise.
pub(crate) fn max_unavailable(seen: &Seen<'_>) -> i32 {
    match seen.blue_green {
        Some(strategy) => basic::rounded_down(strategy.max_unavailable.as_ref(), seen.replicas),
        None => basic::max_unavailable(seen.canary, seen.replicas),
    }
}

/// Sizes of the two sets of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) new: i32,
    pub(crate) stable: i32,
}

/// Available pods, without those that a scale-down that is under way takes away.
pub(crate) fn available(set: &ReplicaSet) -> i32 {
    set.available.min(set.replicas).max(0)
}

/// The sizes that the present step asks for in the end.
pub(crate) fn wanted(seen: &Seen<'_>, status: &RolloutStatus) -> Sizes {
    match &seen.route {
        Some(route) => traffic_routed::wanted(seen, status, route),
        None => basic::wanted(seen, status),
    }
}

/// Available pods with which a set of a canary counts as whole: `replicaProgressThreshold`, otherwise all of them.
pub(crate) fn enough(seen: &Seen<'_>, pods: i32) -> i32 {
    let Some(threshold) = &seen.canary.replica_progress_threshold else {
        return pods;
    };
    let value = threshold.value.unwrap_or(0).max(1);
    let least = match threshold.kind.as_deref() {
        Some("Percent") => crate::seen::share_of(pods, value, 100),
        Some("Pods") => value,
        _ => pods,
    };
    least.min(pods)
}

/// Whether the sets have the sizes that the present step asks for, and the new one its available pods.
pub(crate) fn settled(seen: &Seen<'_>, draft: &mut Draft) -> bool {
    let Some((new, stable)) = seen.update() else {
        return false;
    };
    let wanted = wanted(seen, &draft.status);
    let mut settled = true;
    let mut wait = |set: &ReplicaSet, available: i32, needed: i32| {
        settled = false;
        draft.reason(Reason::PodsNotAvailable {
            replica_set: set.name.clone(),
            available,
            needed,
        });
    };
    let needed = enough(seen, wanted.new);
    if new.replicas != wanted.new || available(new) < needed {
        wait(new, available(new), needed);
    }
    if stable.replicas != wanted.stable {
        wait(stable, available(stable), wanted.stable);
    }
    if seen.route.is_none() {
        for set in seen.sets.older.iter().filter(|set| set.available > 0) {
            wait(set, set.available, 0);
        }
    }
    settled
}

/// Scales.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft) {
    if seen.scaling_rests(&draft.status) {
        return;
    }
    clear_deadlines(seen, draft);
    match &seen.route {
        Some(route) => {
            traffic_routed::reconcile(seen, draft, route);
            older::reconcile_routed(seen, draft, route);
        }
        None => {
            basic::reconcile(seen, draft);
            older::reconcile_basic(seen, draft);
        }
    }
}

/// Scales, but never below what the traffic needs that goes there now.
pub(crate) fn scale(seen: &Seen<'_>, draft: &mut Draft, set: &ReplicaSet, to: i32) {
    let needed = seen.pods_needed(set).min(set.replicas);
    if to < needed {
        let detail = format!(
            "{}: {to} pods wanted, {needed} needed for the traffic that it gets",
            set.name
        );
        let invariant = "pods go only after the traffic has left them";
        draft.reason(Reason::HeldForSafety { invariant, detail });
    }
    draft.set(set).to = Some(to.max(needed));
}

/// A set that has a role again is not waiting to be taken away any more.
fn clear_deadlines(seen: &Seen<'_>, draft: &mut Draft) {
    let stable = seen.sets.stable;
    let aborted = draft.status.aborted() && seen.update().is_some();
    let new = seen.sets.new.filter(|_| !aborted || seen.route.is_none());
    for set in stable.into_iter().chain(new) {
        if set.annotations.contains_key(names::SCALE_DOWN_DEADLINE) {
            draft.set(set).remove_annotation(names::SCALE_DOWN_DEADLINE);
        }
    }
}
