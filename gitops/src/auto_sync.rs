//! Automated sync: whether a sync is started without anybody asking, gate by gate.

use jiff::Timestamp;
use sluice_crds::application::operation::{
    Operation, OperationInitiator, SyncOperation, SyncOperationResource,
};
use sluice_crds::application::policy::{AutomatedSync, RetryStrategy};
use sluice_crds::application::status::OperationState;
use sluice_crds::application::{Application, ApplicationSource, Info};

use crate::backoff;
use crate::compare::{Comparison, SyncCode};
use crate::quarantine::Hold;
use crate::sync_plan::OperationPhase;

/// What the gates look at.
#[derive(Debug, Clone, Copy)]
pub struct Gates<'a> {
    /// The Application.
    pub app: &'a Application,
    /// How the head's rendering compares with the cluster.
    pub comparison: &'a Comparison,
    /// Commits of the head, one for each source.
    pub revisions: &'a [String],
    /// What quarantine holds of the head's rendering.
    pub hold: &'a Hold,
    /// Why no sync may run now, if so.
    pub window: Result<(), &'a str>,
    /// Now.
    pub now: Timestamp,
}

/// What the gates say.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Start this.
    Start(Box<Operation>),
    /// Nothing is to be done; why.
    Nothing(Closed),
    /// Something is to be done, later.
    Later(Timestamp),
    /// It cannot go on by itself: the message of a `SyncError` condition.
    Refused(String),
}

/// The gate that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// Sync is not automated.
    NotAutomated,
    /// A sync is running.
    Busy,
    /// The Application is being deleted.
    Deleting,
    /// Everything is as Git says, or that cannot be told.
    NotOutOfSync,
    /// Only deletions are left, and they are not automated.
    OnlyPruning,
    /// This revision was applied, and changes in the cluster are not undone.
    NoSelfHeal,
    /// The rendering is quarantined.
    Quarantined,
    /// A sync window forbids it.
    Window(String),
}

/// Goes through the gates.
#[must_use]
pub fn decide(gates: &Gates<'_>) -> Verdict {
    let app = gates.app;
    let Some(automated) = automated(app) else {
        return Verdict::Nothing(Closed::NotAutomated);
    };
    if app.operation.is_some() {
        return Verdict::Nothing(Closed::Busy);
    }
    if app.metadata.deletion_timestamp.is_some() {
        return Verdict::Nothing(Closed::Deleting);
    }
    if gates.comparison.sync != SyncCode::OutOfSync {
        return Verdict::Nothing(Closed::NotOutOfSync);
    }
    let resources = &gates.comparison.resources;
    let mut out_of_sync = resources
        .iter()
        .filter(|state| state.sync != SyncCode::Synced);
    if !automated.prune() && out_of_sync.all(|state| state.requires_pruning) {
        return Verdict::Nothing(Closed::OnlyPruning);
    }
    let last = app
        .status
        .as_ref()
        .and_then(|status| status.operation_state.as_ref());
    let sources = app.spec.sources();
    let tried = last.filter(|last| {
        is_attempt_of(last, sources, gates.revisions)
            // The same rendering from another commit is no other attempt.
            || gates.hold.revisions.iter().any(|revision| {
                is_attempt_of(last, sources, std::slice::from_ref(revision))
            })
    });
    if gates.hold.rendering && tried.is_none() {
        return Verdict::Nothing(Closed::Quarantined);
    }
    let mut operation = operation(app, gates.revisions, automated.prune());
    if let Some(last) = tried {
        if OperationPhase::from_name(&last.phase) != Some(OperationPhase::Succeeded) {
            if gates.hold.rendering {
                return Verdict::Nothing(Closed::Quarantined);
            }
            return Verdict::Refused(format!(
                "Failed last sync attempt to [{}]: {}",
                gates.revisions.join(","),
                last.message.as_deref().unwrap_or("")
            ));
        }
        if !automated.self_heal() {
            return Verdict::Nothing(Closed::NoSelfHeal);
        }
        let partial: Vec<SyncOperationResource> = resources
            .iter()
            .filter(|state| {
                state.sync != SyncCode::Synced && !gates.hold.objects.contains(&state.key)
            })
            .map(|state| SyncOperationResource {
                group: Some(state.key.kind.group.clone()).filter(|group| !group.is_empty()),
                kind: state.key.kind.kind.clone(),
                name: state.key.name.clone(),
                namespace: None,
            })
            .collect();
        if partial.is_empty() {
            return Verdict::Nothing(Closed::Quarantined);
        }
        match next_heal(last, gates.now) {
            Err(at) => return Verdict::Later(at),
            Ok(attempt) => {
                if let Some(sync) = operation.sync.as_mut() {
                    sync.resources = Some(partial);
                    sync.auto_heal_attempts_count = Some(attempt);
                }
            }
        }
    }
    if automated.prune()
        && !automated.allow_empty()
        && !resources.is_empty()
        && resources.iter().all(|state| state.requires_pruning)
    {
        return Verdict::Refused(format!(
            "Skipping sync attempt to [{}]: auto-sync will wipe out all resources",
            gates.revisions.join(",")
        ));
    }
    match gates.window {
        Ok(()) => Verdict::Start(Box::new(operation)),
        Err(why) => Verdict::Nothing(Closed::Window(why.to_owned())),
    }
}

/// The settings of automated sync, when it is on.
#[must_use]
pub fn automated(app: &Application) -> Option<&AutomatedSync> {
    let policy = app.spec.sync_policy.as_ref()?;
    policy
        .automated
        .as_ref()
        .filter(|automated| automated.is_enabled())
}

/// Whether an operation was an attempt to bring these sources at these commits about.
#[must_use]
pub fn is_attempt_of(
    last: &OperationState,
    sources: &[ApplicationSource],
    revisions: &[String],
) -> bool {
    let Some(result) = &last.sync_result else {
        return OperationPhase::from_name(&last.phase).is_some_and(OperationPhase::is_completed);
    };
    let same_revision = match result.revisions.as_deref() {
        Some(synced) if !synced.is_empty() => synced == revisions,
        _ => matches!(revisions, [revision] if *revision == result.revision),
    };
    let same_source = match (result.sources.as_deref(), &result.source) {
        (Some(synced), _) if !synced.is_empty() => synced == sources,
        (_, Some(synced)) => matches!(sources, [source] if source == synced),
        _ => false,
    };
    same_revision && same_source
}

/// The number of the next self-heal, or when it may start.
///
/// # Errors
/// The time before which it must not start.
pub fn next_heal(last: &OperationState, now: Timestamp) -> Result<i64, Timestamp> {
    let before = last
        .operation
        .sync
        .as_ref()
        .and_then(|sync| sync.auto_heal_attempts_count)
        .unwrap_or(0)
        .max(0);
    if before > 0
        && let Some(finished) = &last.finished_at
    {
        let wait = backoff::SELF_HEAL.wait(before - 1);
        let at = finished.0.saturating_add(wait).unwrap_or(Timestamp::MAX);
        if now < at {
            return Err(at);
        }
    }
    Ok(before.saturating_add(1))
}

/// An automated sync to these commits.
#[must_use]
pub fn operation(app: &Application, revisions: &[String], prune: bool) -> Operation {
    let policy = app.spec.sync_policy.as_ref();
    let many = app.spec.has_multiple_sources();
    Operation {
        sync: Some(SyncOperation {
            revision: revisions.first().filter(|_| !many).cloned(),
            revisions: many.then(|| revisions.to_vec()),
            prune: prune.then_some(true),
            sync_options: policy.and_then(|policy| policy.sync_options.clone()),
            ..SyncOperation::default()
        }),
        initiated_by: Some(OperationInitiator {
            automated: Some(true),
            username: None,
        }),
        retry: Some(retry(app)),
        info: None,
    }
}

fn retry(app: &Application) -> RetryStrategy {
    app.spec
        .sync_policy
        .as_ref()
        .and_then(|policy| policy.retry.clone())
        .unwrap_or_else(backoff::automated_default)
}

/// An automated sync to a last good commit, for a Rollout that is gone while the head is quarantined.
#[must_use]
pub fn last_good_operation(
    app: &Application,
    sources: &[ApplicationSource],
    revisions: &[String],
    attempt: i64,
) -> Operation {
    let mut operation = operation(app, revisions, false);
    if let Some(sync) = operation.sync.as_mut() {
        match sources {
            [source] if !app.spec.has_multiple_sources() => sync.source = Some(source.clone()),
            sources => sync.sources = Some(sources.to_vec()),
        }
        sync.auto_heal_attempts_count = Some(attempt);
    }
    operation.info = Some(vec![Info {
        name: "Reason".to_owned(),
        value: "the head is quarantined and its Rollout is gone: the last good revision is applied"
            .to_owned(),
    }]);
    operation
}
