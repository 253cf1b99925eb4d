//! What the preview and the active Service select.
//!
//! The preview Service follows the new revision from its creation on. The active Service goes
//! * to the new revision, once the gate is passed and all of its pods are available;
//! * to the stable revision, when the update is given up, undone, or overtaken by a third one after the switch.

use sluice_crds::names;

use crate::draft::Draft;
use crate::reason::Reason;
use crate::replicas::{available, max_unavailable};
use crate::seen::Seen;
use crate::services::{point, select};

/// Points both Services where they belong.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft) {
    let (preview, active) = (seen.preview_service(), seen.active_service());
    if let (Some(preview), Some(new)) = (preview, seen.sets.new)
        && active.is_none_or(|active| active.name != preview.name)
    {
        select(draft, preview, new);
    }
    let (Some(active), Some((new, _))) = (active, seen.update()) else {
        return return_to_stable(seen, draft);
    };
    let status = &draft.status;
    if status.aborted() {
        return return_to_stable(seen, draft);
    }
    if super::switched(seen) {
        return;
    }
    let allowed = super::gate_passed(status) && !seen.paused_by_hand();
    let whole = new.replicas >= seen.replicas && available(new) >= seen.replicas;
    let serves = available(new) > 0 || seen.reachable(Some(active)) == 0;
    if allowed && whole && serves {
        select(draft, active, new);
    } else {
        if allowed {
            draft.reason(Reason::PodsNotAvailable {
                replica_set: new.name.clone(),
                available: available(new),
                needed: seen.replicas,
            });
        }
        return_to_stable(seen, draft);
    }
}

/// Points the active Service at the stable revision, as soon as that can take over.
pub(crate) fn return_to_stable(seen: &Seen<'_>, draft: &mut Draft) {
    let (Some(active), Some(stable)) = (seen.active_service(), seen.sets.stable) else {
        return;
    };
    let leaves = seen.reachable(Some(active));
    let needed = if active.annotations.contains_key(names::MANAGED_BY_ROLLOUTS) {
        // As many as it leaves, less those that may be missing.
        leaves.min(seen.replicas - max_unavailable(seen))
    } else {
        stable.replicas
    };
    // Where no pods are wanted there is nothing to wait for.
    let least = i32::from(seen.replicas > 0 || leaves > 0);
    point(draft, active, stable, needed.max(least));
}
