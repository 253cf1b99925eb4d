//! Promotion: the new revision becomes the stable one.
//!
//! It needs every pod of the new revision available and, after the steps, every router showing all traffic on it. A
//! promotion is a write of the status and nothing else; what follows from it (Services, weight back to 0, the old set's
//! end) is decided when it is seen there, so that a crash cannot leave half of it behind.

use crate::draft::{Draft, EventSlot};
use crate::plan::EventType;
use crate::reason::Reason;
use crate::replicas::{available, enough};
use crate::seen::{PING, PONG, Seen};
use crate::{blue_green, duration, pause, steps, update};

/// Promotes when it is time.
pub(crate) fn when_due(seen: &Seen<'_>, draft: &mut Draft) {
    if seen.is_stable() {
        return;
    }
    let Some(because) = due(seen, draft) else {
        return;
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
        seen,
        &mut draft.status,
        duration::Outcome::of_promotion(&because),
    );
    draft.status.stable_rs = Some(hash.clone());
    if seen.canary.ping_pong.is_some() {
        // The canary's Service becomes the stable one in the same write: nothing has to be moved back.
        let next = if seen.ping_is_stable() { PONG } else { PING };
        let canary = draft.status.canary.get_or_insert_default();
        canary.stable_ping_pong = Some(next.to_owned());
    }
    clear_orders(seen, draft);
}

/// There is nothing to give up, to promote or to wait for: the template is that of the stable revision, or about to be.
pub(crate) fn clear_orders(seen: &Seen<'_>, draft: &mut Draft) {
    draft.status.abort = None;
    draft.status.aborted_at = None;
    draft.status.promote_full = None;
    pause::clear(&mut draft.status);
    blue_green::forget_gate(&mut draft.status);
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
    if seen.blue_green.is_some() && !first {
        return blue_green::promotion(seen, draft);
    }
    let fully = draft.status.promoting_fully();
    let done = steps::all_done(&draft.status, seen.steps());
    if !(first || fully || done) || draft.metrics_out {
        return None;
    }
    let needed = enough(seen, seen.replicas);
    if new.replicas < seen.replicas || available(new) < needed {
        draft.reason(Reason::PodsNotAvailable {
            replica_set: new.name.clone(),
            available: available(new),
            needed,
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
