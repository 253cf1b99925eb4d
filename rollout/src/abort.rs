//! Giving an update up: by a person (`status.abort`), by an analysis, by the progress deadline; and the orders that go
//! with it — retry, and full promotion of an update that was given up.
//!
//! An abort that is new wins over a full promotion; a full promotion ordered after the abort was carried out wins over
//! it. Whether it was carried out is told by the Progressing condition. `abortedAt` stays after a retry: it names the
//! attempt that the analyses belong to.

use crate::conditions::{PROGRESSING, ROLLOUT_ABORTED};
use crate::draft::Draft;
use crate::reason::Reason;
use crate::seen::Seen;
use crate::{pause, promote, steps, time};

/// Reads the orders in the status and makes them consistent.
pub(crate) fn orders(seen: &Seen<'_>, draft: &mut Draft) {
    if seen.update().is_none() {
        // The first revision, or the stable one: there is nothing to give up and nothing to promote.
        if seen.is_stable() {
            promote::clear_orders(seen, draft);
        } else if seen.sets.new.is_some() {
            draft.status.abort = None;
            draft.status.promote_full = None;
        }
        return;
    }
    let carried_out = draft
        .status
        .condition(PROGRESSING)
        .is_some_and(|condition| condition.reason == ROLLOUT_ABORTED);
    if draft.status.aborted() && draft.status.promoting_fully() {
        if carried_out {
            draft.status.abort = None;
        } else {
            draft.status.promote_full = None;
        }
    }
    if draft.status.aborted() && !carried_out {
        give_up(seen, draft, String::new());
    } else if draft.status.aborted() {
        rest(seen, draft);
    } else if draft.status.promoting_fully() {
        pause::clear(&mut draft.status);
        steps::set_index(&mut draft.status, seen.steps(), seen.steps().len());
    }
}

/// Gives the update up now. An empty cause is a person's.
pub(crate) fn give_up(seen: &Seen<'_>, draft: &mut Draft, cause: String) {
    let previous = draft
        .status
        .aborted_at
        .as_ref()
        .map(|at| time::plus_seconds(at.0, 1));
    let at = previous.map_or(seen.now, |previous| previous.max(seen.now));
    draft.status.abort = Some(true);
    draft.status.aborted_at = Some(time::api(at));
    draft.status.promote_full = None;
    let because = if cause.is_empty() {
        "ordered by a person".to_owned()
    } else {
        cause.clone()
    };
    draft.reason(Reason::Aborted { because });
    draft.abort_cause = Some(cause);
    rest(seen, draft);
}

/// An update that was given up stands at its beginning, and does not wait for anything.
fn rest(seen: &Seen<'_>, draft: &mut Draft) {
    pause::clear(&mut draft.status);
    steps::set_index(&mut draft.status, seen.steps(), 0);
}
