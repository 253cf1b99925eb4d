//! The decision in one sentence: what is waited for, or why it ended; with value, operator and limit where there are any.
//!
//! It comes from the engine itself: the view is decided here as the controller decides it.

use jiff::{SignedDuration, Timestamp};
use sluice_rollout::{Plan, Reason};

use super::age::{moment, short};
use super::snapshot::Snapshot;
use super::status;

/// The sentence.
pub(crate) fn sentence(snapshot: &Snapshot, plan: Option<&Plan>, now: Timestamp) -> String {
    let rollout = &snapshot.rollout;
    let state = rollout.status.clone().unwrap_or_default();
    let (phase, message) = status::of(rollout);
    let reasons: Vec<String> = plan
        .into_iter()
        .flat_map(|plan| &plan.reasons)
        .filter(|reason| !matches!(reason, Reason::Settled))
        .map(|reason| reason_text(reason, now))
        .collect();
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
