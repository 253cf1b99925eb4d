//! A run that has ended: it changes no more, and goes when its time to live is over.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use sluice_crds::analysis::{AnalysisRun, AnalysisRunSpec, AnalysisRunStatus};

use super::{cancel_all, empty_plan, explain, prepare};
use crate::phase::Phase;
use crate::plan::RunPlan;
use crate::reason::Reason;

/// The plan for a finished run.
pub(super) fn plan(
    run: &AnalysisRun,
    status: AnalysisRunStatus,
    in_flight: &BTreeSet<String>,
    now: Timestamp,
) -> RunPlan {
    let mut plan = empty_plan(status);
    cancel_all(&mut plan, in_flight);
    plan.reasons = match prepare::prepare(&run.spec) {
        Ok(prepared) => explain::reasons(&plan.status, &prepared, now),
        Err(_) => vec![explain::finished(&plan.status)],
    };
    let kept = kept(&run.spec, &plan.status, now);
    plan.delete = kept.expired && run.metadata.deletion_timestamp.is_none();
    plan.wake_at = kept.wake_at;
    plan.reasons.extend(kept.reason);
    plan
}

/// Whether a finished run has outlived its time, or when it will have.
pub(super) struct Kept {
    pub(super) expired: bool,
    pub(super) wake_at: Option<Timestamp>,
    pub(super) reason: Option<Reason>,
}

/// Applies `ttlStrategy`: what is said for the way in which the run ended comes before what is said for any end.
/// Without a completion time nothing expires.
pub(super) fn kept(spec: &AnalysisRunSpec, status: &AnalysisRunStatus, now: Timestamp) -> Kept {
    let forever = Kept {
        expired: false,
        wake_at: None,
        reason: None,
    };
    let Some(ttl) = &spec.ttl_strategy else {
        return forever;
    };
    let special = match Phase::parse(&status.phase) {
        Phase::Successful => ttl.seconds_after_success,
        Phase::Failed => ttl.seconds_after_failure,
        _ => None,
    };
    let (Some(seconds), Some(completed_at)) = (
        special.or(ttl.seconds_after_completion),
        &status.completed_at,
    ) else {
        return forever;
    };
    let seconds = i64::from(seconds.max(0));
    let until = completed_at
        .0
        .checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX);
    if now >= until {
        Kept {
            expired: true,
            wake_at: None,
            reason: Some(Reason::Expired {
                completed_at: completed_at.0,
                seconds,
            }),
        }
    } else {
        Kept {
            expired: false,
            wake_at: Some(until),
            reason: Some(Reason::Kept { until }),
        }
    }
}
