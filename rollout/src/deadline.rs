//! The progress deadline: how long an update may stand still.
//!
//! The clock is `lastUpdateTime` of the Progressing condition, which every bit of progress moves. It does not run in a
//! step that takes its time (a plugin without its pods does not), in a pause, or after an abort, and it does not run out
//! before the last old set was to be scaled down.

use jiff::Timestamp;
use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;
use sluice_crds::rollout::steps::StepKind;

use crate::conditions::{
    DEADLINE_EXCEEDED, PROGRESSING, ROLLOUT_ABORTED, ROLLOUT_PAUSED, SET_AVAILABLE,
};
use crate::draft::Draft;
use crate::reason::Reason;
use crate::seen::Seen;
use crate::{abort, blue_green, pause, replicas, steps, time};

/// The instant after which the update counts as stuck; `None` while the clock does not run. `status` is the status as
/// it will be.
pub(crate) fn at(seen: &Seen<'_>, status: &RolloutStatus) -> Option<Timestamp> {
    let before = seen.world.rollout.status.as_ref()?.condition(PROGRESSING)?;
    let rests = matches!(
        before.reason.as_str(),
        ROLLOUT_ABORTED | ROLLOUT_PAUSED | SET_AVAILABLE
    );
    let waits = status.aborted()
        || pause::paused(status)
        || seen.paused_by_hand()
        || (seen.blue_green.is_some() && blue_green::measures(status))
        || (seen.update().is_some() && takes_its_time(seen, status));
    if rests || waits {
        return None;
    }
    let since = before.last_update_time.as_ref().map(|time| time.0)?;
    let seconds = seen.world.rollout.spec.progress_deadline_seconds();
    // A set that stays beyond its time is waited for in vain.
    Some(time::plus_seconds(since, seconds).max(last_scale_down(seen)))
}

/// When the last of the old sets is to go; long ago when none waits.
fn last_scale_down(seen: &Seen<'_>) -> Timestamp {
    let waits = seen.sets.older.iter().filter_map(|set| {
        let until = set.annotations.get(names::SCALE_DOWN_DEADLINE)?;
        time::parse(until)
    });
    waits.max().unwrap_or(Timestamp::MIN)
}

/// Whether the present step is one that may stand still. A plugin that has no pods to look at is not: it waits for
/// progress like everything else.
fn takes_its_time(seen: &Seen<'_>, status: &RolloutStatus) -> bool {
    let step = steps::current(status, seen.steps());
    let needed = || replicas::enough(seen, replicas::wanted(seen, status).new);
    let short = || {
        seen.sets
            .new
            .is_some_and(|new| replicas::available(new) < needed())
    };
    steps::takes_its_time(step) && !(matches!(step, Some(StepKind::Plugin(_))) && short())
}

/// Whether the update is stuck now. Once it is, it stays so until there is progress.
pub(crate) fn exceeded(seen: &Seen<'_>, status: &RolloutStatus) -> bool {
    let before = seen
        .world
        .rollout
        .status
        .as_ref()
        .and_then(|status| status.condition(PROGRESSING));
    let already = before.is_some_and(|condition| condition.reason == DEADLINE_EXCEEDED);
    already || at(seen, status).is_some_and(|at| at < seen.now)
}

/// Whether anything moved since the status was written: pods came or went, or the update went on.
pub(crate) fn progressed(seen: &Seen<'_>, status: &RolloutStatus) -> bool {
    let empty = RolloutStatus::default();
    let before = seen.world.rollout.status.as_ref().unwrap_or(&empty);
    let number = |value: Option<i32>| value.unwrap_or(0);
    let old = |status: &RolloutStatus| {
        number(status.replicas).saturating_sub(number(status.updated_replicas))
    };
    before.updated_replicas != status.updated_replicas
        || old(status) < old(before)
        || number(status.ready_replicas) > number(before.ready_replicas)
        || number(status.available_replicas) > number(before.available_replicas)
        || before.stable_rs != status.stable_rs
        || before.current_step_index != status.current_step_index
        || before.current_step_hash != status.current_step_hash
        || selected(before) != selected(status)
}

/// What both Services of a blue-green select.
fn selected(status: &RolloutStatus) -> Option<(&Option<String>, &Option<String>)> {
    let state = status.blue_green.as_ref()?;
    Some((&state.active_selector, &state.preview_selector))
}

/// Gives the update up when the deadline is over and the spec says so.
pub(crate) fn enforce(seen: &Seen<'_>, draft: &mut Draft) {
    let Some((new, _)) = seen.update() else {
        return;
    };
    if draft.status.aborted() || !exceeded(seen, &draft.status) || progressed(seen, &draft.status) {
        return;
    }
    draft.reason(Reason::DeadlineExceeded {
        seconds: seen.world.rollout.spec.progress_deadline_seconds(),
    });
    if seen.world.rollout.spec.progress_deadline_abort == Some(true) {
        abort::give_up(
            seen,
            draft,
            format!("ReplicaSet \"{}\" has timed out progressing.", new.name),
        );
    }
}
