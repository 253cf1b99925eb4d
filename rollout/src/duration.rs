//! `status.duration`: when the update began and ended, how, and how long people kept it waiting.

use sluice_crds::rollout::RolloutStatus;
use sluice_crds::rollout::status::DurationStatus;
use sluice_crds::rollout::steps::StepKind;

use crate::draft::Draft;
use crate::seen::Seen;
use crate::{blue_green, pause, steps, time};

/// How an update ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Promoted,
    FastPromoted,
    RolledBack,
    FastRolledBack,
    Aborted,
}

impl Outcome {
    /// The outcome that a reason of promotion tells.
    pub(crate) fn of_promotion(because: &str) -> Self {
        match because {
            "Full promotion requested" => Outcome::FastPromoted,
            "Rollback within window" => Outcome::RolledBack,
            blue_green::FAST_ROLLBACK => Outcome::FastRolledBack,
            _ => Outcome::Promoted,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Outcome::Promoted => "Promoted",
            Outcome::FastPromoted => "FastPromoted",
            Outcome::RolledBack => "RolledBack",
            Outcome::FastRolledBack => "FastRolledBack",
            Outcome::Aborted => "Aborted",
        }
    }
}

/// A new revision begins.
pub(crate) fn begin(seen: &Seen<'_>, status: &mut RolloutStatus) {
    status.duration = Some(DurationStatus {
        rollout_started_at: Some(time::api(seen.now)),
        ..DurationStatus::default()
    });
    if seen.is_stable() {
        finish(seen, status, Outcome::FastRolledBack);
    }
}

/// The update ended.
pub(crate) fn finish(seen: &Seen<'_>, status: &mut RolloutStatus, outcome: Outcome) {
    end_manual_pause(seen, status);
    let duration = status.duration.get_or_insert_default();
    duration.finished_at = Some(time::api(seen.now));
    duration.completion_status = Some(outcome.text().to_owned());
}

/// Follows aborts, retries and manual pauses.
pub(crate) fn follow(seen: &Seen<'_>, draft: &mut Draft) {
    if draft.abort_cause.is_some() {
        finish(seen, &mut draft.status, Outcome::Aborted);
    }
    if seen.update().is_none() || draft.status.aborted() {
        return;
    }
    let Some(duration) = &mut draft.status.duration else {
        return;
    };
    if duration.completion_status.as_deref() == Some(Outcome::Aborted.text()) {
        // A retry.
        duration.completion_status = None;
        duration.finished_at = None;
    }
    let step = steps::current(&draft.status, seen.steps());
    let untimed = matches!(step, Some(StepKind::Pause(pause)) if pause.duration.is_none());
    let by_person = pause::waits_on_inconclusive(&draft.status) || seen.paused_by_hand();
    let by_person = by_person || blue_green::waits_for_person(seen, &draft.status);
    if (untimed && pause::paused(&draft.status)) || by_person {
        if let Some(duration) = &mut draft.status.duration {
            duration
                .manual_pause_started_at
                .get_or_insert(time::api(seen.now));
        }
    } else {
        end_manual_pause(seen, &mut draft.status);
    }
}

fn end_manual_pause(seen: &Seen<'_>, status: &mut RolloutStatus) {
    let Some(duration) = &mut status.duration else {
        return;
    };
    if let Some(since) = duration.manual_pause_started_at.take() {
        let seconds = seen
            .now
            .as_second()
            .saturating_sub(since.0.as_second())
            .max(0);
        let total = duration.total_manual_pause_duration_seconds.unwrap_or(0);
        duration.total_manual_pause_duration_seconds = Some(total.saturating_add(seconds));
    }
}
