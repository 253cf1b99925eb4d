//! The conditions of an Experiment, in the words that other tools read: `Progressing` and `InvalidExperimentSpec`.

use sluice_analysis::phase::Phase;
use sluice_crds::experiment::{ExperimentCondition, ExperimentStatus};

use super::decide::Seen;
use super::draft::{Draft, EventSlot, instant};
use crate::plan::EventType;
use crate::reason::Reason;
use crate::time;
use crate::validation::FieldError;

const PROGRESSING: &str = "Progressing";
const INVALID: &str = "InvalidExperimentSpec";

fn known<'a>(status: &'a ExperimentStatus, kind: &str) -> Option<&'a ExperimentCondition> {
    status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == kind)
}

fn remove(status: &mut ExperimentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != kind);
        if conditions.is_empty() {
            status.conditions = None;
        }
    }
}

/// Sets a condition. One whose status and reason stay the same is left as it is, unless it is to be refreshed.
fn set(
    seen: &Seen<'_>,
    status: &mut ExperimentStatus,
    (kind, value, reason): (&str, &str, &str),
    message: String,
    refresh: bool,
) -> bool {
    let before = known(status, kind).cloned();
    let same = |before: &ExperimentCondition| {
        before.status == value && before.reason.as_deref() == Some(reason)
    };
    if before.as_ref().is_some_and(same) && !refresh {
        return false;
    }
    let since = before
        .filter(|before| before.status == value)
        .and_then(|before| before.last_transition_time);
    remove(status, kind);
    status
        .conditions
        .get_or_insert_default()
        .push(ExperimentCondition {
            type_: kind.to_owned(),
            status: value.to_owned(),
            last_update_time: Some(time::api(seen.now)),
            last_transition_time: since.or_else(|| Some(time::api(seen.now))),
            reason: Some(reason.to_owned()),
            message: Some(message),
        });
    true
}

/// Says what is wrong with the spec, or takes that back.
pub(super) fn valid(seen: &Seen<'_>, problem: Option<&FieldError>, draft: &mut Draft) {
    let Some(problem) = problem else {
        remove(&mut draft.status, INVALID);
        return;
    };
    draft.reason(Reason::InvalidSpec {
        field: problem.field.clone(),
        message: problem.message.clone(),
    });
    let other = known(&draft.status, INVALID)
        .is_some_and(|known| known.message.as_deref() != Some(problem.message.as_str()));
    let changed = set(
        seen,
        &mut draft.status,
        (INVALID, "True", "InvalidSpec"),
        problem.message.clone(),
        other,
    );
    if changed {
        draft.event(
            EventSlot::Experiment,
            EventType::Warning,
            "InvalidSpec",
            problem.to_string(),
        );
    }
}

/// `Progressing`: ended well, moving, or running. An Experiment that ended otherwise keeps the last one, as upstream.
pub(super) fn progress(seen: &Seen<'_>, draft: &mut Draft) {
    let name = seen.name;
    let phase = draft.status.phase.as_deref().map(Phase::parse);
    let (value, message, refresh) = if phase == Some(Phase::Successful) {
        let message = format!("Experiment \"{name}\" has successfully ran and completed.");
        (("False", "ExperimentCompleted"), message, false)
    } else if moved(seen, &draft.status) {
        let message = format!("Experiment \"{name}\" is progressing.");
        (("True", "ReplicaSetUpdated"), message, true)
    } else if instant(draft.status.available_at.as_ref()).is_some()
        && phase.is_some_and(|phase| !phase.completed())
    {
        let message = format!("Experiment \"{name}\" is running.");
        (("True", "NewReplicaSetAvailable"), message, false)
    } else {
        return;
    };
    set(
        seen,
        &mut draft.status,
        (PROGRESSING, value.0, value.1),
        message,
        refresh,
    );
}

/// Whether the pods of any template changed in number or state since the status was written.
fn moved(seen: &Seen<'_>, status: &ExperimentStatus) -> bool {
    let before = seen.world.experiment.status.as_ref();
    status.template_statuses.iter().flatten().any(|now| {
        let before = before.and_then(|before| super::draft::template_status(before, &now.name));
        before.is_none_or(|before| {
            (before.replicas, before.updated_replicas) != (now.replicas, now.updated_replicas)
                || (before.ready_replicas, before.available_replicas)
                    != (now.ready_replicas, now.available_replicas)
        })
    })
}
