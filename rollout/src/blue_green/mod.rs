//! Blue-green: the new revision grows beside the active one, and the active Service is switched over at once.
//!
//! In: [`Seen`] with a blue-green strategy. Out: effects and status in the draft. The way of an update:
//!
//! ```text
//! preview Service → new │ new grows (previewReplicaCount) │ pre-promotion analysis │ pause │ gate passed │
//! new grows to full size │ active Service → new │ post-promotion analysis │ new becomes stable │ old one waits, goes
//! ```
//!
//! * [`gate`]: whether the switch is allowed. That it was is a latch in the status (`scaleUpPreviewCheckPoint`), written
//!   before anything is done about it.
//! * [`services`]: what both Services select. The active one leaves pods only for pods that can take over, and goes back
//!   to the stable revision whenever the update is given up or overtaken.
//! * [`replicas`]: sizes. The stable set stays whole until the new revision is stable itself.
//!
//! A set that was stable and still runs is gone back to at once, without gate and analysis ([`fast`]).

pub(crate) mod gate;
pub(crate) mod replicas;
pub(crate) mod services;

use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;

use crate::draft::Draft;
use crate::reason::Reason;
use crate::replicas::available;
use crate::seen::Seen;
use crate::world::ReplicaSet;
use crate::{analysis, pause, update};

/// Pause reason of the wait before the switch.
pub(crate) const PAUSE: &str = "BlueGreenPause";
/// Why a set that was stable before and still runs is promoted.
pub(crate) const FAST_ROLLBACK: &str = "Fast rollback";

/// What the Services select, as it is seen, in the status; a canary has none of it.
pub(crate) fn observe(seen: &Seen<'_>, status: &mut RolloutStatus) {
    if seen.blue_green.is_none() {
        status.blue_green = None;
        return;
    }
    status.canary = None;
    let selected = |service: Option<&crate::world::Service>| {
        service
            .and_then(crate::world::Service::hash)
            .map(str::to_owned)
    };
    let state = status.blue_green.get_or_insert_default();
    state.active_selector = selected(seen.active_service());
    state.preview_selector = selected(seen.preview_service());
}

/// The set behind the active Service.
pub(crate) fn active<'a>(seen: &Seen<'a>) -> Option<&'a ReplicaSet> {
    seen.behind(seen.active_service())
}

/// Whether the active Service selects the new revision.
pub(crate) fn switched(seen: &Seen<'_>) -> bool {
    seen.active_service()
        .is_some_and(|active| active.hash() == Some(seen.sets.hash.as_str()))
}

/// Whether the gate was passed, as the status remembers it.
pub(crate) fn gate_passed(status: &RolloutStatus) -> bool {
    let state = status.blue_green.as_ref();
    state.is_some_and(|state| state.scale_up_preview_check_point == Some(true))
}

/// Forgets that the gate was passed: the update is another one, is given up, or is over.
pub(crate) fn forget_gate(status: &mut RolloutStatus) {
    if let Some(state) = &mut status.blue_green {
        state.scale_up_preview_check_point = None;
    }
}

/// Why neither the gate nor analyses matter for this update; `None` when they do.
pub(crate) fn fast(seen: &Seen<'_>, status: &RolloutStatus) -> Option<&'static str> {
    let (new, _) = seen.update()?;
    seen.blue_green?;
    if status.promoting_fully() {
        Some("Full promotion requested")
    } else if was_stable(new) && new.annotations.contains_key(names::SCALE_DOWN_DEADLINE) {
        Some(FAST_ROLLBACK)
    } else if update::is_rollback_within_window(seen) {
        Some("Rollback within window")
    } else {
        None
    }
}

/// Whether a set was stable, and its revision was not given up since.
pub(crate) fn was_stable(set: &ReplicaSet) -> bool {
    set.annotations.contains_key(names::WAS_STABLE)
}

/// Whether the update waits for a person.
pub(crate) fn waits_for_person(seen: &Seen<'_>, status: &RolloutStatus) -> bool {
    let by_hand = seen
        .blue_green
        .is_some_and(|strategy| strategy.auto_promotion_enabled == Some(false));
    by_hand && pause::has(status, PAUSE)
}

/// Whether an analysis that takes as long as it takes is under way.
pub(crate) fn measures(status: &RolloutStatus) -> bool {
    let state = status.blue_green.as_ref();
    let runs = state.map(|state| {
        [
            &state.pre_promotion_analysis_run_status,
            &state.post_promotion_analysis_run_status,
        ]
    });
    runs.into_iter()
        .flatten()
        .flatten()
        .any(|run| ["", "Pending", "Running"].contains(&run.status.as_deref().unwrap_or_default()))
}

/// Why the new revision is to become the stable one now; `None` while it is not.
pub(crate) fn promotion(seen: &Seen<'_>, draft: &mut Draft) -> Option<String> {
    let (new, _) = seen.update()?;
    if !switched(seen) {
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
    if let Some(why) = fast(seen, &draft.status) {
        return Some(why.to_owned());
    }
    (!draft.metrics_out && analysis::passed(seen, draft, analysis::Kind::PostPromotion))
        .then(|| "Completed blue-green update".to_owned())
}
