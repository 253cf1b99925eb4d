//! What comes next in an update if nothing goes wrong, and when it can be done at the earliest.

use jiff::{SignedDuration, Timestamp};
use sluice_crds::duration;
use sluice_crds::rollout::Rollout;
use sluice_crds::rollout::steps::{CanaryStep, StepKind};

use super::weights;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// End of the timed pause that is under way.
    pub pause_ends: Option<Timestamp>,
    /// The step after the current one, in words.
    pub then: String,
    /// The end.
    pub end: End,
}

/// When an update is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Not before: all timed pauses that are left have to pass.
    NotBefore(Timestamp),
    /// It will wait for a person at the step with this number, counted from 1.
    Person(usize),
    /// No pause is left; it depends on pods and analyses alone.
    Open,
}

/// Looks ahead; `None` when no update is under way.
pub(crate) fn of(rollout: &Rollout, now: Timestamp) -> Option<Forecast> {
    let status = rollout.status.as_ref()?;
    let under_way = status.stable_rs.is_some() && status.stable_rs != status.current_pod_hash;
    if !under_way || status.aborted() {
        return None;
    }
    let steps = rollout.spec.canary()?.steps();
    let current = weights::current_step(rollout)?;
    let pause_ends = pause_end(rollout);
    let mut at = pause_ends.unwrap_or(now).max(now);
    let mut waits = pause_ends.is_some();
    let mut person = None;
    for (index, step) in steps.iter().enumerate().skip(current) {
        let Some(StepKind::Pause(pause)) = step.kind() else {
            continue;
        };
        if index == current && pause_ends.is_some() {
            continue;
        }
        match pause.duration.as_ref().map(duration::parse_int_or_string) {
            Some(Ok(length)) => {
                at = at.checked_add(length).unwrap_or(at);
                waits = true;
            }
            _ => person = person.or(Some(index + 1)),
        }
    }
    let end = match person {
        Some(step) => End::Person(step),
        None if waits => End::NotBefore(at),
        None => End::Open,
    };
    let then = steps
        .get(current + 1)
        .map_or_else(|| "the promotion".to_owned(), step_text);
    Some(Forecast {
        pause_ends,
        then,
        end,
    })
}

/// When the timed pause at the current step ends.
pub(crate) fn pause_end(rollout: &Rollout) -> Option<Timestamp> {
    let status = rollout.status.as_ref()?;
    let index = weights::current_step(rollout)?;
    let Some(StepKind::Pause(pause)) = rollout.spec.canary()?.steps().get(index)?.kind() else {
        return None;
    };
    let mut conditions = status.pause_conditions.iter().flatten();
    let condition = conditions.find(|condition| condition.reason == "CanaryPauseStep")?;
    let began = condition.start_time.as_ref()?.0;
    let length: SignedDuration = duration::parse_int_or_string(pause.duration.as_ref()?).ok()?;
    began.checked_add(length).ok()
}

/// A step in words.
pub(crate) fn step_text(step: &CanaryStep) -> String {
    match step.kind() {
        Some(StepKind::SetWeight(weight)) => format!("setWeight {weight}"),
        Some(StepKind::Pause(pause)) => {
            match pause.duration.as_ref().map(duration::parse_int_or_string) {
                None => "pause until somebody promotes".to_owned(),
                Some(Ok(length)) => format!("pause {}", super::age::short(length)),
                Some(Err(error)) => format!("pause ({error})"),
            }
        }
        Some(StepKind::Analysis(analysis)) => {
            let templates = analysis.templates.iter().flatten();
            let names: Vec<&str> = templates
                .filter_map(|one| one.template_name.as_deref())
                .collect();
            format!("analysis {}", names.join(", "))
        }
        Some(other) => other.key().to_owned(),
        None => "a step that cannot be read".to_owned(),
    }
}
