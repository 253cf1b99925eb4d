//! Sizes of the sets of a blue-green.
//!
//! * stable: `spec.replicas`, until another revision is stable.
//! * new: `previewReplicaCount` until the gate is passed, `spec.replicas` from then on.
//! * given up: stays `abortScaleDownDelaySeconds` after the active Service has left it (0: for good), then goes.
//! * others: stay `scaleDownDelaySeconds`, at most `scaleDownDelayRevisionLimit` of them; those that were stable keep up
//!   with `spec.replicas`, so that a way back finds a whole set.
//!
//! Nothing shrinks below what the active Service needs of it.

use sluice_crds::names;
use sluice_crds::rollout::BlueGreenStrategy;

use crate::draft::Draft;
use crate::reason::Reason;
use crate::replicas::older::{self, Begin};
use crate::replicas::scale;
use crate::seen::{MOST_PODS, Seen};
use crate::world::ReplicaSet;

/// Seconds that an old set stays unless the spec says otherwise.
const DELAY: i32 = 30;
/// Seconds that the preview stays after an abort unless the spec says otherwise.
const ABORT_DELAY: i32 = 30;

/// Size of the new set until the gate is passed.
pub(crate) fn preview_size(seen: &Seen<'_>, strategy: &BlueGreenStrategy) -> i32 {
    strategy
        .preview_replica_count
        .map_or(seen.replicas, |count| count.clamp(0, MOST_PODS))
}

/// Scales.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft) {
    let Some(strategy) = seen.blue_green else {
        return;
    };
    keep_marks(seen, draft);
    if seen.scaling_rests(&draft.status) {
        return;
    }
    if let Some(stable) = seen.sets.stable {
        scale(seen, draft, stable, seen.replicas);
    }
    match (seen.update(), seen.sets.new) {
        (Some((new, _)), _) if draft.status.aborted() => after_abort(seen, draft, strategy, new),
        (Some((new, _)), _) => {
            let full = super::switched(seen)
                || super::gate_passed(&draft.status)
                || super::fast(seen, &draft.status).is_some();
            let to = if full {
                seen.replicas
            } else {
                preview_size(seen, strategy)
            };
            scale(seen, draft, new, to);
        }
        (None, Some(new)) => scale(seen, draft, new, seen.replicas),
        (None, None) => {}
    }
    others(seen, draft, strategy);
}

/// That a set was stable, and that a set with a role does not wait for its end. A set that is gone back to keeps its
/// deadline until it is stable: that is what tells such a way back from any other update.
fn keep_marks(seen: &Seen<'_>, draft: &mut Draft) {
    if let Some(stable) = seen.sets.stable {
        let edit = draft.set(stable);
        edit.annotate(names::WAS_STABLE, "true".to_owned());
        edit.remove_annotation(names::SCALE_DOWN_DEADLINE);
    }
    if let Some((new, _)) = seen.update()
        && !draft.status.aborted()
        && !super::was_stable(new)
    {
        draft.set(new).remove_annotation(names::SCALE_DOWN_DEADLINE);
    }
}

/// The preview of an update that was given up.
fn after_abort(seen: &Seen<'_>, draft: &mut Draft, strategy: &BlueGreenStrategy, new: &ReplicaSet) {
    let begin = if super::was_stable(new) {
        // It was gone back to, and is bad now.
        draft.set(new).remove_annotation(names::WAS_STABLE);
        Begin::Anew
    } else {
        Begin::Once
    };
    let seconds = strategy
        .abort_scale_down_delay_seconds
        .unwrap_or(ABORT_DELAY);
    if seen.pods_needed(new) > 0 || seen.is_left_behind(new) {
        // The delay begins when the active Service has left it.
        draft.set(new).remove_annotation(names::SCALE_DOWN_DEADLINE);
        held(draft, new);
    } else if seconds == 0 {
        draft.set(new).remove_annotation(names::SCALE_DOWN_DEADLINE);
    } else if new.replicas > 0 {
        older::go(seen, draft, new, Some(seconds), begin);
    }
}

fn others(seen: &Seen<'_>, draft: &mut Draft, strategy: &BlueGreenStrategy) {
    if seen.sets.stable.is_none() {
        // Nothing is known to be good yet, so whatever runs is kept until the new revision is promoted.
        return;
    }
    let limit = strategy.scale_down_delay_revision_limit.unwrap_or(i32::MAX);
    let delay = strategy.scale_down_delay_seconds.unwrap_or(DELAY);
    let mut waiting = 0;
    for set in seen.sets.older.iter().copied() {
        if set.replicas == 0 {
            draft.set(set).remove_annotation(names::SCALE_DOWN_DEADLINE);
            continue;
        }
        let shown = seen.behind(seen.preview_service());
        let shown = shown.is_some_and(|shown| shown.name == set.name);
        if seen.pods_needed(set) > 0 || seen.is_left_behind(set) || shown {
            held(draft, set);
            continue;
        }
        let waits = older::go(
            seen,
            draft,
            set,
            (waiting < limit).then_some(delay),
            Begin::Once,
        );
        waiting += 1;
        if waits && super::was_stable(set) {
            scale(seen, draft, set, seen.replicas);
        }
    }
}

fn held(draft: &mut Draft, set: &ReplicaSet) {
    draft.reason(Reason::HeldForSafety {
        invariant: "pods go only after the traffic has left them",
        detail: format!("{}: a Service that gets traffic selects it", set.name),
    });
}
