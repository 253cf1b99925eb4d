//! The phase of an Experiment: from its templates and its analyses, and when it has to end.
//!
//! * A template that failed, and an analysis that ended badly, end the Experiment at once with that phase.
//! * Otherwise it ends when its required analyses are successful; or, without such, when it has run for its duration.
//! * It is told to end: what is required and not done is then neither good nor bad.

use sluice_analysis::phase::Phase;
use sluice_crds::duration;
use sluice_crds::experiment::{ExperimentAnalysis, ExperimentStatus};

use super::decide::Seen;
use super::draft::{Draft, EventSlot, analysis_status, instant, template_status};
use crate::plan::EventType;
use crate::reason::Reason;
use crate::time;

const REQUIRED_DONE: &str = "Required AnalysisRuns completed";

/// The status of a template. The order is from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    Successful,
    Running,
    Progressing,
    Error,
    Failed,
}

impl Code {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Successful" => Self::Successful,
            "Running" => Self::Running,
            "Progressing" => Self::Progressing,
            "Error" => Self::Error,
            "Failed" => Self::Failed,
            _ => return None,
        })
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Successful => "Successful",
            Self::Running => "Running",
            Self::Progressing => "Progressing",
            Self::Error => "Error",
            Self::Failed => "Failed",
        }
    }

    /// Whether it never changes again.
    pub(super) fn completed(self) -> bool {
        matches!(self, Self::Successful | Self::Error | Self::Failed)
    }

    /// What it means for the Experiment.
    fn phase(self) -> Phase {
        match self {
            Self::Successful => Phase::Successful,
            Self::Running => Phase::Running,
            Self::Progressing => Phase::Pending,
            Self::Error => Phase::Error,
            Self::Failed => Phase::Failed,
        }
    }
}

/// Why an Experiment is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// `spec.terminate`.
    Told,
    /// Its phase is final.
    Over,
    /// A template failed, an analysis ended badly, or all that is required is done.
    Decided,
}

fn phase(status: &ExperimentStatus) -> Option<Phase> {
    let text = status.phase.as_deref().filter(|text| !text.is_empty())?;
    Some(Phase::parse(text))
}

/// Whether it is ordered to end, or has ended.
pub(super) fn told_to_end(seen: &Seen<'_>, status: &ExperimentStatus) -> bool {
    seen.spec.terminate == Some(true) || phase(status).is_some_and(Phase::completed)
}

/// Whether, and why, an Experiment is ending: nothing is made any more, and what runs is taken away.
pub(super) fn ending(seen: &Seen<'_>, status: &ExperimentStatus) -> Option<Ending> {
    if phase(status).is_some_and(Phase::completed) {
        return Some(Ending::Over);
    }
    if seen.spec.terminate == Some(true) {
        return Some(Ending::Told);
    }
    let failed = status
        .template_statuses
        .iter()
        .flatten()
        .filter_map(|status| Code::parse(status.status.as_deref()?))
        .any(|code| code >= Code::Error);
    let bad = analyses(seen).any(|analysis| run_phase(status, analysis).is_some_and(Phase::bad));
    (failed || bad || required_successful(seen, status)).then_some(Ending::Decided)
}

fn analyses<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a ExperimentAnalysis> + use<'a> {
    seen.spec.analyses.iter().flatten()
}

/// The phase of an analysis; `None` before its run is made.
fn run_phase(status: &ExperimentStatus, analysis: &ExperimentAnalysis) -> Option<Phase> {
    let known = analysis_status(status, &analysis.name)?;
    (!known.phase.is_empty()).then(|| Phase::parse(&known.phase))
}

fn required<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a ExperimentAnalysis> + use<'a> {
    analyses(seen).filter(|analysis| analysis.required_for_completion == Some(true))
}

/// Whether there are analyses that are required, and all of them are successful.
fn required_successful(seen: &Seen<'_>, status: &ExperimentStatus) -> bool {
    required(seen).next().is_some()
        && required(seen).all(|analysis| run_phase(status, analysis) == Some(Phase::Successful))
}

/// Whether the duration is over and nothing that is required is still being measured: pods stay as long as something
/// that has to be measured is.
pub(super) fn has_run_long_enough(seen: &Seen<'_>, status: &ExperimentStatus) -> bool {
    let waits =
        required(seen).any(|analysis| !run_phase(status, analysis).is_some_and(Phase::completed));
    !waits && end(seen, status).is_some_and(|end| end <= seen.now)
}

/// When the duration is over; `None` without one, and before every template was available.
fn end(seen: &Seen<'_>, status: &ExperimentStatus) -> Option<jiff::Timestamp> {
    let text = seen
        .spec
        .duration
        .as_deref()
        .filter(|text| !text.is_empty())?;
    let available = instant(status.available_at.as_ref())?;
    Some(time::plus(available, duration::parse(text).ok()?))
}

/// Gives the Experiment its phase, its message and the moment from which its duration counts.
pub(super) fn update(seen: &Seen<'_>, draft: &mut Draft) {
    let before = phase(&draft.status);
    if before.is_some_and(Phase::completed) {
        return;
    }
    let (next, message) = match before {
        None => (Phase::Pending, None),
        Some(_) => next(seen, draft),
    };
    draft.status.message = message;
    draft.status.phase = Some(next.as_str().to_owned());
    if next == Phase::Running
        && let Some(end) = end(seen, &draft.status)
        && end > seen.now
    {
        draft.wake(end);
        draft.reason(Reason::ExperimentRuns { until: end });
    }
    if before == Some(next) {
        return;
    }
    let (kind, reason) = match next {
        Phase::Pending => (EventType::Normal, "ExperimentPending"),
        Phase::Running => (EventType::Normal, "ExperimentRunning"),
        Phase::Successful => (EventType::Normal, "ExperimentSuccessful"),
        Phase::Failed => (EventType::Warning, "ExperimentFailed"),
        Phase::Error => (EventType::Warning, "ExperimentError"),
        Phase::Inconclusive => (EventType::Warning, "ExperimentInconclusive"),
    };
    let from = before.map_or("", Phase::as_str);
    let message = format!("Experiment transitioned from {from} -> {next}");
    draft.event(EventSlot::Experiment, kind, reason, message);
}

fn next(seen: &Seen<'_>, draft: &mut Draft) -> (Phase, Option<String>) {
    let (templates, why) = worst_template(seen, &draft.status);
    if templates == Code::Running && draft.status.available_at.is_none() {
        draft.status.available_at = Some(time::api(seen.now));
    }
    let status = &draft.status;
    let (runs, because) = worst_run(seen, status);
    if templates >= Code::Error {
        return (templates.phase(), why);
    }
    if runs.is_some_and(Phase::bad) {
        return (runs.unwrap_or(Phase::Error), because);
    }
    if required_successful(seen, status) {
        return (Phase::Successful, Some(REQUIRED_DONE.to_owned()));
    }
    if templates != Code::Successful {
        return (templates.phase(), why);
    }
    // Its time is over, or it was told to end. What is required and was begun is waited for.
    let open = required(seen)
        .any(|analysis| run_phase(status, analysis).is_some_and(|phase| !phase.completed()));
    if open {
        return (Phase::Running, None);
    }
    match required(seen).find(|analysis| run_phase(status, analysis).is_none()) {
        Some(analysis) => {
            let message = format!(
                "Experiment ended before its required analysis '{}' was made",
                analysis.name
            );
            (Phase::Inconclusive, Some(message))
        }
        None => (Phase::Successful, why),
    }
}

fn worst_template(seen: &Seen<'_>, status: &ExperimentStatus) -> (Code, Option<String>) {
    let mut worst = (Code::Successful, None);
    for template in seen.spec.templates.iter().flatten() {
        let known = template_status(status, &template.name);
        let code = known
            .and_then(|known| Code::parse(known.status.as_deref()?))
            .unwrap_or(Code::Progressing);
        if code > worst.0 {
            worst = (code, known.and_then(|known| known.message.clone()));
        }
    }
    worst
}

/// The worst of the analyses that were begun, with its message.
fn worst_run(seen: &Seen<'_>, status: &ExperimentStatus) -> (Option<Phase>, Option<String>) {
    let mut worst: (Option<Phase>, Option<String>) = (None, None);
    for analysis in analyses(seen) {
        let phase = run_phase(status, analysis);
        if phase > worst.0 {
            let message =
                analysis_status(status, &analysis.name).and_then(|known| known.message.clone());
            worst = (phase, message);
        }
    }
    worst
}
