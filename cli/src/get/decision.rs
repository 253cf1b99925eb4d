//! The decision in one sentence: what is waited for, or why it ended; with value, operator and limit where there are any.
//!
//! It comes from the engine itself: the view is decided here as the controller decides it.

use jiff::{SignedDuration, Timestamp};
use sluice_rollout::{Plan, Reason};

use super::age::{moment, short};
use super::experiment::{ExperimentView, view};
use super::snapshot::Snapshot;
use super::status;

/// The sentence about a Rollout.
pub(crate) fn sentence(snapshot: &Snapshot, plan: Option<&Plan>, now: Timestamp) -> String {
    let rollout = &snapshot.rollout;
    let state = rollout.status.clone().unwrap_or_default();
    let (phase, message) = status::of(rollout);
    let reasons = plan.map_or_else(Vec::new, |plan| texts(&plan.reasons, now));
    if state.aborted() {
        let cause = state
            .condition("Progressing")
            .map(|condition| condition.message.clone());
        let mut out = format!(
            "aborted, all traffic to the stable revision: {}",
            cause.unwrap_or(message)
        );
        for reason in reasons {
            out += &format!("; {reason}");
        }
        return out;
    }
    if !reasons.is_empty() {
        return reasons.join("; ");
    }
    match (phase.as_str(), message.as_str()) {
        ("Healthy", _) => "done: the current revision is the stable one".to_owned(),
        (phase, "") => phase.to_lowercase(),
        (phase, message) => format!("{}: {message}", phase.to_lowercase()),
    }
}

/// The sentence about an Experiment.
pub(crate) fn of_experiment(view: &ExperimentView, now: Timestamp) -> String {
    let plan = view.plan(now);
    let reasons = plan.map_or_else(Vec::new, |plan| texts(&plan.reasons, now));
    let state = view.state();
    let phase = state.phase.to_lowercase();
    let mut parts = Vec::new();
    if view::is_over(&view.experiment) || reasons.is_empty() {
        parts.push(match state.message.as_str() {
            "" => phase,
            message => format!("{phase}: {message}"),
        });
    }
    parts.extend(reasons);
    parts.join("; ")
}

fn texts(reasons: &[Reason], now: Timestamp) -> Vec<String> {
    let said = reasons
        .iter()
        .filter(|reason| !matches!(reason, Reason::Settled));
    said.map(|reason| reason_text(reason, now)).collect()
}

fn reason_text(reason: &Reason, now: Timestamp) -> String {
    match reason {
        Reason::PausedUntil { step, until } => {
            let left = until.duration_since(now).max(SignedDuration::ZERO);
            format!(
                "paused at step {} for another {}, until {}",
                step + 1,
                short(left),
                moment(*until, now)
            )
        }
        Reason::PausedForPerson { reason } => {
            format!("paused ({reason}) until somebody promotes or aborts")
        }
        Reason::ExperimentRuns { until } => {
            let left = until.duration_since(now).max(SignedDuration::ZERO);
            let until = moment(*until, now);
            format!(
                "the experiment runs for another {}, until {until}",
                short(left)
            )
        }
        Reason::ScaleDownDelayed { replica_set, until } => {
            let left = until.duration_since(now).max(SignedDuration::ZERO);
            format!("{replica_set} is kept for another {}", short(left))
        }
        other => {
            // Reasons are sentences; here they are parts of one.
            let text = other.to_string();
            let mut letters = text.chars();
            match letters.next() {
                Some(first) => first.to_lowercase().chain(letters).collect(),
                None => text,
            }
        }
    }
}
