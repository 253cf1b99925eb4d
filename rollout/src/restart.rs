//! `spec.restartAt`: pods from before that instant are evicted, a few at a time, and their sets make new ones.
//!
//! * Stable pods first, then the new revision's, then those of other sets; within a set the oldest first.
//! * At most `maxUnavailable` pods are missing at a time, and at least one may be. Disruption budgets are honoured, since
//!   it is an eviction: one that is refused is tried again.
//! * Nothing is evicted by a plan that changes sizes: what is available is known again when that is done.
//! * When no pod is older, `status.restartedAt` says so.

use jiff::{SignedDuration, Timestamp};
use sluice_crds::names;
use sluice_crds::rollout::Rollout;

use crate::draft::{Draft, Slot};
use crate::plan::Effect;
use crate::reason::Reason;
use crate::replicas::{available, max_unavailable};
use crate::seen::Seen;
use crate::time;
use crate::world::{Pod, ReplicaSet};

/// Seconds until an eviction that was refused is tried again.
const AGAIN: i64 = 30;

/// The instant of a restart that is not done yet.
pub(crate) fn pending(rollout: &Rollout) -> Option<Timestamp> {
    let at = rollout.spec.restart_at.as_ref()?;
    let done = rollout.status.as_ref()?.restarted_at.as_ref();
    (done != Some(at)).then_some(at.0)
}

/// Evicts what may go now.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft) {
    if draft.status.restarted_at == seen.world.rollout.spec.restart_at {
        return;
    }
    let Some(at) = pending(seen.world.rollout) else {
        return;
    };
    if at > seen.now {
        draft.wake(at);
        return;
    }
    let old = old_pods(seen, at);
    if old.is_empty() {
        draft.status.restarted_at = Some(time::api(at));
        return;
    }
    draft.wake(time::plus(seen.now, SignedDuration::from_secs(AGAIN)));
    if draft.changes_anything(seen.world) {
        return;
    }
    let may_go = budget(seen);
    draft.reason(Reason::Restarting {
        left: i32::try_from(old.len()).unwrap_or(i32::MAX),
        at_once: may_go,
    });
    for pod in old.into_iter().take(usize::try_from(may_go).unwrap_or(0)) {
        draft.effect(
            Slot::Evict,
            Effect::EvictPod {
                name: pod.name.clone(),
                uid: pod.uid.clone(),
            },
        );
    }
}

/// Pods of a set that are not on their way out.
fn pods<'a>(seen: &Seen<'a>, set: &'a ReplicaSet) -> impl Iterator<Item = &'a Pod> {
    let pods = seen.world.pods.iter();
    pods.filter(|pod| pod.owner.as_deref() == Some(set.uid.as_str()) && !pod.deleting)
}

fn old_pods<'a>(seen: &Seen<'a>, at: Timestamp) -> Vec<&'a Pod> {
    let stable = seen.sets.stable;
    let others = seen
        .sets
        .all()
        .filter(|set| stable.is_none_or(|stable| stable.name != set.name));
    let mut old = Vec::new();
    for set in stable.into_iter().chain(others) {
        // A set that waits for its end makes no new pods.
        let ends = set.annotations.contains_key(names::SCALE_DOWN_DEADLINE);
        let mut of_set: Vec<&Pod> = pods(seen, set)
            .filter(|pod| pod.created < at && !ends)
            .collect();
        of_set.sort_by_key(|pod| (pod.created, &pod.name));
        old.extend(of_set);
    }
    old
}

/// How many pods may go now. A pod that is on its way out may still be counted by its set, so a set has no more available
/// pods than there are others.
pub(crate) fn budget(seen: &Seen<'_>) -> i32 {
    let (mut present, mut serving) = (0_i32, 0_i32);
    for set in seen.sets.all() {
        let left = i32::try_from(pods(seen, set).count()).unwrap_or(i32::MAX);
        present = present.saturating_add(set.replicas.max(0));
        serving = serving.saturating_add(available(set).min(left));
    }
    let least = seen
        .replicas
        .max(present)
        .saturating_sub(max_unavailable(seen).max(1));
    serving.saturating_sub(least).max(0)
}
