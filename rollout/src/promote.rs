//! Promotion: the new revision becomes the stable one.
//!
//! It needs every pod of the new revision available and, after the steps, every router showing all traffic on it. What
//! follows from it (Services, weight back to 0, the old set's end) is decided with the new roles.

use crate::draft::{Draft, EventSlot};
use crate::plan::EventType;
use crate::reason::Reason;
use crate::replicas::available;
use crate::seen::Seen;
use crate::{duration, pause, steps, update};

/// Promotes when it is time, and returns the facts with the roles as they then are.
pub(crate) fn reconcile<'a>(seen: Seen<'a>, draft: &mut Draft) -> Seen<'a> {
    if seen.is_stable() {
        stand_at_the_end(&seen, draft);
        return seen;
    }
    let Some(because) = due(&seen, draft) else {
        return seen;
    };
    draft.reason(Reason::Promoted {
        because: because.clone(),
    });
    let (hash, revision) = (&seen.sets.hash, seen.sets.revision());
    let message = format!("Rollout completed update to revision {revision} ({hash}): {because}");
    draft.event(
        EventSlot::Completed,
        EventType::Normal,
        "RolloutCompleted",
        message,
    );
    duration::finish(
        &seen,
        &mut draft.status,
        duration::Outcome::of_promotion(&because),
    );
    draft.status.stable_rs = Some(hash.clone());
    stand_at_the_end(&seen, draft);
    draft.status.abort = None;
    draft.status.aborted_at = None;
    draft.status.promote_full = None;
    seen.promoted()
}

fn stand_at_the_end(seen: &Seen<'_>, draft: &mut Draft) {
    draft.status.stable_rs = Some(seen.sets.hash.clone());
    pause::clear(&mut draft.status);
    steps::set_index(&mut draft.status, seen.steps(), seen.steps().len());
}

/// Why the new revision is to be promoted now; `None` while it is not.
fn due(seen: &Seen<'_>, draft: &mut Draft) -> Option<String> {
    let new = seen.sets.new?;
    let aborted = draft.status.aborted() && seen.update().is_some();
    if aborted || seen.paused_by_hand() || pause::waits_on_inconclusive(&draft.status) {
        return None;
    }
    let first = seen.sets.stable.is_none();
    let fully = draft.status.promoting_fully();
    let done = steps::all_done(&draft.status, seen.steps());
    if !(first || fully || done) || (draft.metrics_out && !fully) {
        return None;
    }
    if available(new) < seen.replicas {
        draft.reason(Reason::PodsNotAvailable {
            replica_set: new.name.clone(),
            available: available(new),
            needed: seen.replicas,
        });
        return None;
    }
    if let Some(route) = seen.route.as_ref().filter(|_| !first && seen.replicas > 0) {
        // A full promotion moves the traffic with the Services, so it needs no weight, only routers in order.
        let arrived = if fully {
            route.problem().is_none()
        } else {
            crate::weight::settled(seen, draft)
        };
        if !arrived {
            return None;
        }
    }
    Some(if first {
        "Initial deploy".to_owned()
    } else if fully {
        "Full promotion requested".to_owned()
    } else if update::is_rollback_within_window(seen) {
        "Rollback within window".to_owned()
    } else {
        format!("Completed all {} canary steps", seen.steps().len())
    })
}
