//! Sets that are neither new nor stable: earlier revisions, and updates that were overtaken by another one.
//!
//! Without traffic routing they are drained first, within maxUnavailable: unhealthy pods, then newest revision first.
//! With it, a set goes as soon as no route and no Service leads to it, or no pods are wanted at all; after a promotion it
//! waits `scaleDownDelaySeconds` for a quick way back, kept as a deadline in an annotation.

use sluice_crds::names;

use super::{available, max_unavailable, scale};
use crate::draft::Draft;
use crate::reason::Reason;
use crate::seen::{Route, Seen};
use crate::time;
use crate::world::ReplicaSet;

/// Seconds that the old set stays after a promotion unless the spec says otherwise.
const DELAY: i32 = 30;

/// Drains within the budget of unavailable pods.
pub(super) fn reconcile_basic(seen: &Seen<'_>, draft: &mut Draft) {
    let total: i32 = seen.sets.all().map(available).fold(0, i32::saturating_add);
    let budget = total.saturating_sub(seen.replicas - max_unavailable(seen));
    let sizes: Vec<(i32, i32)> = seen
        .sets
        .older
        .iter()
        .map(|set| (set.replicas, available(set)))
        .collect();
    for (set, to) in seen.sets.older.iter().zip(drain(&sizes, budget)) {
        let edit = draft.set(set);
        edit.to = Some(to);
        if set.annotations.contains_key(names::SCALE_DOWN_DEADLINE) {
            edit.remove_annotation(names::SCALE_DOWN_DEADLINE);
        }
    }
}

/// New sizes for `(pods, available)` of each set in turn, taking at most `budget` available pods away.
fn drain(sets: &[(i32, i32)], budget: i32) -> Vec<i32> {
    let mut budget = budget.max(0);
    let drained = sets.iter().map(|(_, available)| {
        let taken = budget.min(*available);
        budget -= taken;
        available - taken
    });
    drained.collect()
}

/// Lets go of sets that no traffic reaches.
pub(super) fn reconcile_routed(seen: &Seen<'_>, draft: &mut Draft, route: &Route) {
    if seen.sets.stable.is_none() {
        // Nothing is known to be good yet, so whatever runs is kept until the new revision is promoted.
        return;
    }
    let limit = seen
        .canary
        .scale_down_delay_revision_limit
        .unwrap_or(i32::MAX);
    let mut waiting = 0;
    for set in seen.sets.older.iter().copied() {
        let waits = set.annotations.contains_key(names::SCALE_DOWN_DEADLINE);
        if set.replicas == 0 {
            if waits {
                draft.set(set).remove_annotation(names::SCALE_DOWN_DEADLINE);
            }
            continue;
        }
        if is_reached(seen, set, route) {
            let invariant = "pods go only after the traffic has left them";
            let detail = format!("{}: a Service that gets traffic selects it", set.name);
            draft.reason(Reason::HeldForSafety { invariant, detail });
            continue;
        }
        // Overtaken in the middle of an update: there is nothing to go back to.
        let overtaken = !seen.is_stable() && !waits;
        let dynamic = seen.canary.dynamic_stable_scale == Some(true);
        let delay = seen.canary.scale_down_delay_seconds.unwrap_or(DELAY);
        let delay = (!overtaken && !dynamic && waiting < limit).then_some(delay);
        waiting += 1;
        go(seen, draft, set, delay, Begin::Once);
    }
}

/// Whether requests may still come to a set that anybody wants answered: a Rollout without pods has none, and its Services
/// would wait for pods in vain.
fn is_reached(seen: &Seen<'_>, set: &ReplicaSet, route: &Route) -> bool {
    if seen.replicas == 0 {
        return false;
    }
    let is = |other: Option<&ReplicaSet>| other.is_some_and(|other| other.name == set.name);
    is(seen.behind(seen.stable_service()))
        || seen.is_left_behind(set)
        || (is(seen.behind(seen.canary_service())) && !route.is_quiet())
        // After a promotion the routes come to rest first.
        || (seen.is_stable() && !route.is_quiet())
}

/// When a deadline begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Once: one that is there already counts.
    Once,
    /// Now, even if there is one.
    Anew,
}

/// Scales a set to nothing: now, or when its deadline is over, which begins here. True while it waits.
pub(crate) fn go(
    seen: &Seen<'_>,
    draft: &mut Draft,
    set: &ReplicaSet,
    delay: Option<i32>,
    begin: Begin,
) -> bool {
    let deadline = set
        .annotations
        .get(names::SCALE_DOWN_DEADLINE)
        .and_then(|text| time::parse(text))
        .filter(|_| begin == Begin::Once);
    if let Some(seconds) = delay.filter(|seconds| *seconds > 0) {
        let until = deadline.unwrap_or_else(|| time::plus_seconds(seen.now, seconds));
        if until > seen.now {
            draft
                .set(set)
                .annotate(names::SCALE_DOWN_DEADLINE, time::text(until));
            draft.reason(Reason::ScaleDownDelayed {
                replica_set: set.name.clone(),
                until,
            });
            draft.wake(until);
            return true;
        }
    }
    scale(seen, draft, set, 0);
    draft.set(set).remove_annotation(names::SCALE_DOWN_DEADLINE);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unhealthy_pods_go_first_then_the_newest_revision_within_the_budget() {
        for (sets, budget, left) in [
            (vec![(3, 3), (2, 2)], 0, vec![3, 2]),
            (vec![(3, 1), (2, 2)], 0, vec![1, 2]),
            (vec![(3, 3), (2, 2)], 4, vec![0, 1]),
            (vec![(3, 1), (2, 2)], 9, vec![0, 0]),
            (vec![(3, 3)], -2, vec![3]),
        ] {
            assert_eq!(drain(&sets, budget), left, "{sets:?} with {budget}");
        }
    }
}
