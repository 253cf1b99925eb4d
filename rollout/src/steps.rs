//! The steps of a canary: which one is worked on, what it asks for, and when it is done.
//!
//! [`advance`] goes over as many steps as need no waiting. Each step is judged by what was *observed*, so a step whose
//! effect is part of the same plan is never passed in that plan.

use sluice_crds::duration;
use sluice_crds::rollout::steps::{SetCanaryScale, StepKind};
use sluice_crds::rollout::{CanaryStep, RolloutStatus};

use crate::draft::{Draft, EventSlot};
use crate::plan::EventType;
use crate::reason::Reason;
use crate::seen::Seen;
use crate::{analysis, experiment_step, managed_routes, pause, plugin, replicas, weight};

/// Index of the step that is worked on; the number of steps when all are done. A number that people wrote out of range
/// is held in range.
pub(crate) fn index(status: &RolloutStatus, steps: &[CanaryStep]) -> usize {
    let index = status.current_step_index.unwrap_or(0).max(0);
    usize::try_from(index)
        .unwrap_or(usize::MAX)
        .min(steps.len())
}

/// Sets the index; a canary without steps has none.
pub(crate) fn set_index(status: &mut RolloutStatus, steps: &[CanaryStep], index: usize) {
    let index = i32::try_from(index.min(steps.len())).unwrap_or(i32::MAX);
    status.current_step_index = (!steps.is_empty()).then_some(index);
}

/// The step that is worked on: of several keys, the one that takes time or moves traffic.
pub(crate) fn current<'a>(status: &RolloutStatus, steps: &'a [CanaryStep]) -> Option<StepKind<'a>> {
    let kinds = steps.get(index(status, steps))?.kinds();
    let leads = |kind: &&StepKind<'_>| {
        matches!(
            kind,
            StepKind::Pause(_)
                | StepKind::Analysis(_)
                | StepKind::Experiment(_)
                | StepKind::SetWeight(_)
        )
    };
    kinds.iter().find(leads).or_else(|| kinds.first()).copied()
}

/// The size that the nearest `setCanaryScale` at a step or before it gives the canary; `None` when that follows the
/// weight, and after the last step.
pub(crate) fn scale_at(steps: &[CanaryStep], index: usize) -> Option<&SetCanaryScale> {
    let until = steps.get(..=index)?;
    let scale = until
        .iter()
        .rev()
        .find_map(|step| step.set_canary_scale.as_ref())?;
    (scale.match_traffic_weight != Some(true)).then_some(scale)
}

/// Whether every step is done.
pub(crate) fn all_done(status: &RolloutStatus, steps: &[CanaryStep]) -> bool {
    index(status, steps) >= steps.len()
}

/// The weight that holds at a step: that of the nearest `setWeight` at it or before it, 0 without one, and everything
/// after the last step.
pub(crate) fn weight_at(steps: &[CanaryStep], index: usize, max: i32) -> i32 {
    if index >= steps.len() {
        max
    } else {
        last_weight(steps.get(..=index).unwrap_or_default(), max)
    }
}

/// The weight that held before a step.
pub(crate) fn weight_before(steps: &[CanaryStep], index: usize, max: i32) -> i32 {
    last_weight(steps.get(..index.min(steps.len())).unwrap_or_default(), max)
}

fn last_weight(steps: &[CanaryStep], max: i32) -> i32 {
    steps
        .iter()
        .rev()
        .find_map(|step| step.set_weight)
        .unwrap_or(0)
        .clamp(0, max)
}

/// Whether a step is one that is meant to take as long as it takes.
pub(crate) fn takes_its_time(step: Option<StepKind<'_>>) -> bool {
    matches!(
        step,
        Some(
            StepKind::Pause(_)
                | StepKind::Analysis(_)
                | StepKind::Experiment(_)
                | StepKind::Plugin(_)
        )
    )
}

/// How far a step is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Done: the next one begins.
    Done,
    /// Something has to happen first; the reasons say what.
    Waits,
}

/// Passes every step that is done; true when it passed one.
pub(crate) fn advance(seen: &Seen<'_>, draft: &mut Draft) -> bool {
    let steps = seen.steps();
    let start = index(&draft.status, steps);
    let mut at = start;
    while let Some(step) = steps.get(at)
        && may_advance(seen, draft, step)
    {
        let kinds = step.kinds();
        // Every key of the step must be done with; one without any is refused by validation.
        let done = |kind: &StepKind<'_>| progress(seen, draft, at, *kind) == Progress::Done;
        if kinds.is_empty() || !kinds.iter().all(done) {
            break;
        }
        let of = steps.len();
        let message = format!(
            "Rollout step {}/{of} completed ({})",
            at + 1,
            describe(step)
        );
        draft.event(
            EventSlot::Steps,
            EventType::Normal,
            "RolloutStepCompleted",
            message,
        );
        draft.reason(Reason::StepCompleted {
            step: number(at),
            of: number(of),
        });
        at += 1;
        set_index(&mut draft.status, steps, at);
    }
    at != start
}

fn progress(seen: &Seen<'_>, draft: &mut Draft, at: usize, kind: StepKind<'_>) -> Progress {
    match kind {
        StepKind::SetWeight(_) => set_weight(seen, draft),
        StepKind::Pause(step) => pause::step(seen, draft, at, step),
        StepKind::Analysis(_) => analysis::step(seen, draft, at),
        StepKind::Experiment(_) => experiment_step::step(seen, draft, at),
        StepKind::Plugin(step) => plugin::step(seen, draft, at, step),
        StepKind::SetCanaryScale(_) if replicas::settled(seen, draft) => Progress::Done,
        StepKind::SetHeaderRoute(_) | StepKind::SetMirrorRoute(_) => {
            managed_routes::step(seen, draft, at)
        }
        StepKind::SetCanaryScale(_) => Progress::Waits,
    }
}

/// Whether steps are worked on at all.
fn may_advance(seen: &Seen<'_>, draft: &Draft, step: &CanaryStep) -> bool {
    let status = &draft.status;
    // Without measurements nobody knows whether to go on, except a person who says so at a pause.
    let blind = draft.metrics_out && !(step.pause.is_some() && pause::resumed(status));
    seen.update().is_some()
        && !status.aborted()
        && !status.promoting_fully()
        && !seen.paused_by_hand()
        && !pause::waits_on_inconclusive(status)
        && !blind
}

/// `setWeight`: the sets have their sizes and every router shows the weight.
fn set_weight(seen: &Seen<'_>, draft: &mut Draft) -> Progress {
    let settled = replicas::settled(seen, draft) & weight::settled(seen, draft);
    if settled {
        Progress::Done
    } else {
        Progress::Waits
    }
}

pub(crate) fn number(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

/// A step in one line.
pub(crate) fn describe(step: &CanaryStep) -> String {
    let kinds = step.kinds();
    let lines = kinds.iter().map(|kind| match kind {
        StepKind::SetWeight(weight) => format!("setWeight: {weight}"),
        StepKind::Pause(pause) => match &pause.duration {
            Some(text) => match duration::parse_int_or_string(text) {
                Ok(duration) => format!("pause: {}", duration::format(duration)),
                Err(_) => "pause".to_owned(),
            },
            None => "pause".to_owned(),
        },
        StepKind::SetCanaryScale(scale) => match (scale.replicas, scale.weight) {
            _ if scale.match_traffic_weight == Some(true) => {
                "setCanaryScale: matchTrafficWeight".to_owned()
            }
            (Some(replicas), _) => format!("setCanaryScale: {replicas} pods"),
            (None, Some(weight)) => format!("setCanaryScale: {weight} %"),
            (None, None) => "setCanaryScale".to_owned(),
        },
        StepKind::Plugin(step) => format!("plugin: {}", step.name),
        kind => kind.key().to_owned(),
    });
    lines.collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<CanaryStep> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_weight_of_a_step_is_the_nearest_one_at_or_before_it() {
        let steps = steps(
            r#"[{"pause":{}},{"setWeight":10},{"pause":{}},{"setWeight":50},{"analysis":{}}]"#,
        );
        for (index, at, before) in [
            (0, 0, 0),
            (1, 10, 0),
            (2, 10, 10),
            (3, 50, 10),
            (4, 50, 50),
            (5, 100, 50),
            (9, 100, 50),
        ] {
            assert_eq!(weight_at(&steps, index, 100), at, "at {index}");
            assert_eq!(weight_before(&steps, index, 100), before, "before {index}");
        }
    }

    #[test]
    fn without_steps_the_weight_is_everything() {
        assert_eq!(weight_at(&[], 0, 100), 100);
        assert!(all_done(&RolloutStatus::default(), &[]));
    }

    #[test]
    fn an_index_that_people_wrote_is_held_in_range() {
        let steps = steps(r#"[{"setWeight":10},{"setWeight":20}]"#);
        for (written, index_) in [
            (None, 0),
            (Some(-3), 0),
            (Some(1), 1),
            (Some(2), 2),
            (Some(7), 2),
        ] {
            let status = RolloutStatus {
                current_step_index: written,
                ..Default::default()
            };
            assert_eq!(index(&status, &steps), index_);
        }
    }

    #[test]
    fn steps_are_told_in_one_line() {
        let steps = steps(
            r#"[{"setWeight":10},{"pause":{}},{"pause":{"duration":180}},{"pause":{"duration":"3s"}},{"analysis":{}}]"#,
        );
        let lines: Vec<String> = steps.iter().map(describe).collect();
        assert_eq!(
            lines,
            [
                "setWeight: 10",
                "pause",
                "pause: 3m0s",
                "pause: 3s",
                "analysis"
            ]
        );
    }
}
