//! The beginning of an update: another template, or other steps.
//!
//! The status forgets pauses, aborts and orders of the update before. A template that is stable already, or that is
//! within the rollback window, skips the steps.

use sluice_crds::rollout::RolloutStatus;

use crate::draft::{Draft, EventSlot};
use crate::plan::EventType;
use crate::seen::Seen;
use crate::{blue_green, duration, pause, steps};

/// What is new since the status was written last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The pod template.
    pub(crate) template: bool,
    /// The steps.
    pub(crate) steps: bool,
    /// What tells the steps apart from others; `None` for a blue-green, which has none: a change to it or from it is a
    /// change of steps.
    steps_hash: Option<String>,
}

/// Whether the template is another one than the status remembers.
pub(crate) fn of_template(seen: &Seen<'_>) -> bool {
    let status = seen.world.rollout.status.as_ref();
    let template = status.and_then(|status| status.current_pod_hash.as_ref());
    template != Some(&seen.sets.hash)
}

/// Compares the spec with what the status remembers.
pub(crate) fn changes(seen: &Seen<'_>) -> Changes {
    let status = seen.world.rollout.status.as_ref();
    let steps = status.and_then(|status| status.current_step_hash.as_ref());
    let was_blue_green = status.is_some_and(|status| status.blue_green.is_some());
    let steps_hash = seen.hashes.steps.clone();
    Changes {
        template: of_template(seen),
        // Steps that nothing is remembered of, as in a status that another controller wrote or that was restored in
        // part, have not changed: an abort must not be forgotten for that.
        steps: (steps.is_some() || was_blue_green) && steps != steps_hash.as_ref(),
        steps_hash,
    }
}

/// Starts from the first step when the template or the steps changed.
pub(crate) fn begin(seen: &Seen<'_>, changes: &Changes, draft: &mut Draft) {
    if let Some(stable) = seen.sets.stable.and_then(|stable| stable.hash()) {
        // Found again when the status was lost.
        draft.status.stable_rs = Some(stable.to_owned());
    }
    let status = &mut draft.status;
    status.current_step_hash.clone_from(&changes.steps_hash);
    if !changes.template && !changes.steps {
        return;
    }
    status.current_pod_hash = Some(seen.sets.hash.clone());
    status.abort = None;
    status.promote_full = None;
    if changes.template {
        // The pods of a new revision are new.
        status.restarted_at = seen.world.rollout.spec.restart_at.clone();
    }
    pause::clear(status);
    blue_green::forget_gate(status);
    if changes.template {
        status.aborted_at = None;
        let message = format!("Rollout updated to revision {}", seen.sets.revision());
        draft.event(
            EventSlot::Updated,
            EventType::Normal,
            "RolloutUpdated",
            message,
        );
        duration::begin(seen, &mut draft.status);
    }
    let (steps, revision) = (seen.steps(), seen.sets.revision());
    let skip = if seen.is_stable() {
        Some("Rollback to stable ReplicaSets")
    } else if is_rollback_within_window(seen) {
        Some("Rollback within the window")
    } else {
        None
    };
    steps::set_index(
        &mut draft.status,
        steps,
        if skip.is_some() { steps.len() } else { 0 },
    );
    // Nothing is skipped where nothing was under way.
    let has_steps = seen.blue_green.is_none();
    let was_known = seen.world.rollout.status.as_ref().is_some_and(has_history);
    if let Some(message) = skip.filter(|_| changes.template && was_known && has_steps) {
        draft.event(
            EventSlot::Skipped,
            EventType::Normal,
            "SkipSteps",
            format!("{message} (revision {revision})"),
        );
    }
}

fn has_history(status: &RolloutStatus) -> bool {
    status.current_pod_hash.is_some()
}

/// Whether the new revision is an old one, near enough to the stable one that `rollbackWindow` lets it skip the steps:
/// made before the stable set, with fewer than `revisions` sets made strictly between the two.
pub(crate) fn is_rollback_within_window(seen: &Seen<'_>) -> bool {
    let window = seen
        .world
        .rollout
        .spec
        .rollback_window
        .as_ref()
        .and_then(|window| window.revisions);
    let (Some(window), Some((new, stable))) = (window, seen.update()) else {
        return false;
    };
    if new.created >= stable.created {
        return false;
    }
    let between = seen
        .sets
        .all()
        .filter(|set| set.created > new.created && set.created < stable.created);
    i32::try_from(between.count()).unwrap_or(i32::MAX) < window
}
