//! The gate before the switch: pods of the preview, the pre-promotion analysis, and a pause if one is asked for.
//!
//! * `autoPromotionEnabled: false`: a person goes on. `autoPromotionSeconds`: the pause ends by itself.
//! * Passing it is a write of the status and nothing else; what follows is decided when it is seen there.
//! * Nothing of it matters for a way back to a revision that was stable and still runs, or after a full promotion.

use sluice_crds::rollout::{BlueGreenStrategy, RolloutStatus};

use super::PAUSE;
use crate::draft::Draft;
use crate::reason::Reason;
use crate::replicas::available;
use crate::seen::Seen;
use crate::{analysis, pause, time};

/// Works on the gate; true when it was passed in this very decision.
pub(crate) fn advance(seen: &Seen<'_>, draft: &mut Draft) -> bool {
    let passed = seen
        .blue_green
        .is_some_and(|strategy| may_pass(seen, strategy, draft));
    if passed {
        let state = draft.status.blue_green.get_or_insert_default();
        state.scale_up_preview_check_point = Some(true);
        pause::clear(&mut draft.status);
    }
    if pause::waits_on_inconclusive(&draft.status) {
        draft.reason(Reason::PausedForPerson {
            reason: pause::INCONCLUSIVE.to_owned(),
        });
    }
    passed
}

fn may_pass(seen: &Seen<'_>, strategy: &BlueGreenStrategy, draft: &mut Draft) -> bool {
    let Some((new, _)) = seen.update().filter(|_| !draft.status.aborted()) else {
        super::forget_gate(&mut draft.status);
        pause::clear(&mut draft.status);
        return false;
    };
    // Of a canary that this Rollout was before.
    pause::remove(&mut draft.status, pause::STEP);
    if super::switched(seen) || super::gate_passed(&draft.status) {
        end_pause(seen, &mut draft.status);
        return false;
    }
    if seen.paused_by_hand() {
        return false;
    }
    if super::fast(seen, &draft.status).is_some() {
        return true;
    }
    // Whoever went on has seen enough; the switch waits for pods all the same.
    let went_on = pause::resumed(&draft.status);
    if went_on && analysis::passed(seen, draft, analysis::Kind::PrePromotion) {
        return true;
    }
    let needed = super::replicas::preview_size(seen, strategy);
    if available(new) < needed {
        draft.reason(Reason::PodsNotAvailable {
            replica_set: new.name.clone(),
            available: available(new),
            needed,
        });
        end_pause(seen, &mut draft.status);
        return false;
    }
    if !analysis::passed(seen, draft, analysis::Kind::PrePromotion) {
        end_pause(seen, &mut draft.status);
        return false;
    }
    !pause::waits_on_inconclusive(&draft.status) && !waits(seen, strategy, draft)
}

/// Whether the pause holds; begins it when it is asked for.
fn waits(seen: &Seen<'_>, strategy: &BlueGreenStrategy, draft: &mut Draft) -> bool {
    let by_hand = strategy.auto_promotion_enabled == Some(false);
    let seconds = strategy.auto_promotion_seconds.unwrap_or(0);
    if !by_hand && seconds <= 0 {
        return false;
    }
    pause::add(seen, draft, PAUSE);
    if by_hand {
        draft.reason(Reason::PausedForPerson {
            reason: PAUSE.to_owned(),
        });
        return true;
    }
    let since = pause::since(&draft.status, PAUSE).unwrap_or(seen.now);
    let until = time::plus_seconds(since, seconds);
    if until <= seen.now {
        return false;
    }
    draft.wake(until);
    draft.reason(Reason::PausedUntil { step: 0, until });
    true
}

/// Drops what is left of the pause, and of "somebody went on", where there is nothing to wait for.
fn end_pause(seen: &Seen<'_>, status: &mut RolloutStatus) {
    pause::remove(status, PAUSE);
    if pause::resumed(status) && !seen.paused_by_hand() {
        pause::clear(status);
    }
}
