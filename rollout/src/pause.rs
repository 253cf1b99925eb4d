//! Pauses: the `pause` step, the wait for a person after an inconclusive analysis, and what "somebody went on" means.
//!
//! A pause of the controller's own is a `pauseCondition` in the status together with `controllerPause: true`. A person
//! goes on by removing the conditions; with `controllerPause` still true that is told apart from never having paused.

use sluice_crds::duration;
use sluice_crds::rollout::RolloutStatus;
use sluice_crds::rollout::status::PauseCondition;
use sluice_crds::rollout::steps::{Pause, StepKind};

use crate::draft::Draft;
use crate::reason::Reason;
use crate::seen::Seen;
use crate::steps::{self, Progress};
use crate::time;

/// Pause reason of a `pause` step.
pub(crate) const STEP: &str = "CanaryPauseStep";
/// Pause reason of an analysis that came out neither good nor bad.
pub(crate) const INCONCLUSIVE: &str = "InconclusiveAnalysisRun";

fn condition<'a>(status: &'a RolloutStatus, reason: &str) -> Option<&'a PauseCondition> {
    status
        .pause_conditions
        .iter()
        .flatten()
        .find(|condition| condition.reason == reason)
}

/// Whether the status holds any pause.
pub(crate) fn paused(status: &RolloutStatus) -> bool {
    status
        .pause_conditions
        .as_ref()
        .is_some_and(|conditions| !conditions.is_empty())
}

/// Whether the status holds a pause of one reason.
pub(crate) fn has(status: &RolloutStatus, reason: &str) -> bool {
    condition(status, reason).is_some()
}

/// Since when a pause of one reason lasts.
pub(crate) fn since(status: &RolloutStatus, reason: &str) -> Option<jiff::Timestamp> {
    let start = condition(status, reason)?.start_time.as_ref()?;
    Some(start.0)
}

/// Whether an inconclusive analysis waits for a person.
pub(crate) fn waits_on_inconclusive(status: &RolloutStatus) -> bool {
    condition(status, INCONCLUSIVE).is_some()
}

/// Whether a person removed the pauses that the controller had set.
pub(crate) fn resumed(status: &RolloutStatus) -> bool {
    status.controller_pause == Some(true) && !paused(status)
}

/// Adds a pause that begins now.
pub(crate) fn add(seen: &Seen<'_>, draft: &mut Draft, reason: &str) {
    if condition(&draft.status, reason).is_none() {
        let start_time = Some(time::api(seen.now));
        let condition = PauseCondition {
            reason: reason.to_owned(),
            start_time,
        };
        draft
            .status
            .pause_conditions
            .get_or_insert_default()
            .push(condition);
    }
    draft.status.controller_pause = Some(true);
}

/// Removes a pause; `controllerPause` goes with the last one.
pub(crate) fn remove(status: &mut RolloutStatus, reason: &str) {
    if !has(status, reason) {
        return;
    }
    if let Some(conditions) = &mut status.pause_conditions {
        conditions.retain(|condition| condition.reason != reason);
    }
    if !paused(status) {
        clear(status);
    }
}

/// Removes all pauses.
pub(crate) fn clear(status: &mut RolloutStatus) {
    status.pause_conditions = None;
    status.controller_pause = None;
}

/// The `pause` step at `index`.
pub(crate) fn step(seen: &Seen<'_>, draft: &mut Draft, index: usize, step: &Pause) -> Progress {
    let Some(condition) = condition(&draft.status, STEP) else {
        if resumed(&draft.status) {
            clear(&mut draft.status);
            return Progress::Done;
        }
        add(seen, draft, STEP);
        return self::step(seen, draft, index, step);
    };
    let since = condition
        .start_time
        .as_ref()
        .map_or(seen.now, |start| start.0);
    let duration = step.duration.as_ref().map(duration::parse_int_or_string);
    let Some(Ok(duration)) = duration else {
        draft.reason(Reason::PausedForPerson {
            reason: STEP.to_owned(),
        });
        return Progress::Waits;
    };
    let until = time::plus(since, duration);
    if until <= seen.now {
        remove(&mut draft.status, STEP);
        return Progress::Done;
    }
    draft.wake(until);
    draft.reason(Reason::PausedUntil {
        step: steps::number(index),
        until,
    });
    Progress::Waits
}

/// Drops what is left of a pause when the step that it belongs to is no longer worked on, or nothing is: a person
/// skipped it, the update ended, or somebody went on from a pause that has no step.
pub(crate) fn tidy(seen: &Seen<'_>, draft: &mut Draft) {
    let at_pause = matches!(
        steps::current(&draft.status, seen.steps()),
        Some(StepKind::Pause(_))
    );
    // Of a blue-green that this Rollout was before.
    remove(&mut draft.status, crate::blue_green::PAUSE);
    let running = seen.update().is_some() && !draft.status.aborted();
    if !running {
        clear(&mut draft.status);
    } else if !at_pause {
        remove(&mut draft.status, STEP);
        // While spec.paused nothing of this is looked at, so the trace of "somebody went on" is kept until then.
        if resumed(&draft.status) && !seen.paused_by_hand() {
            draft.status.controller_pause = None;
        }
    }
    if waits_on_inconclusive(&draft.status) {
        draft.reason(Reason::PausedForPerson {
            reason: INCONCLUSIVE.to_owned(),
        });
    }
}
