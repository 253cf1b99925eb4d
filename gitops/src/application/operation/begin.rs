//! The beginning of a sync: written down before anything is applied; a failed try waits and begins again.

use sluice_crds::application::operation::{Operation, SyncOperation};
use sluice_crds::application::status::{OperationState, RevisionHistory, SyncOperationResult};

use super::Frame;
use super::carry_out::wait;
use super::settle::complete;
use crate::application::Setting;
use crate::application::plan::{AppPlan, AppReason, OperationChange};
use crate::application::status::time;
use crate::application::world::{Head, RenderRequest, Rendering, revisions, sources};
use crate::backoff;
use crate::options::SyncOptions;
use crate::quarantine::{self, Hold, Record};
use crate::sync_plan::OperationPhase;

/// The running state of the order, or starts it. `None` when the start was only just written down, or refused.
pub(super) fn resume(
    setting: &Setting<'_>,
    plan: &mut AppPlan,
) -> Option<(OperationState, Operation, SyncOperation)> {
    let order = setting.app.operation.clone()?;
    let running = setting
        .app
        .status
        .as_ref()
        .and_then(|status| status.operation_state.as_ref())
        .filter(|state| state.operation == order)
        .filter(|state| !OperationPhase::from_name(&state.phase).is_none_or(|p| p.is_completed()));
    let refusal = match &order.sync {
        None => Some("Invalid operation request: no operation specified"),
        Some(sync) if sync.manifests.as_ref().is_some_and(|list| !list.is_empty()) => {
            Some("operation.sync.manifests is not supported: push the manifests to Git")
        }
        Some(_) => None,
    };
    match (running, refusal) {
        (Some(state), None) => {
            let sync = order.sync.clone().unwrap_or_default();
            Some((state.clone(), order, sync))
        }
        (_, Some(message)) => {
            plan.status.operation_state = Some(started(setting, &order));
            let frame = frame(setting, &order, &SyncOperation::default(), None, false);
            complete(plan, &frame, OperationPhase::Error, message, setting.now);
            None
        }
        (None, None) => {
            plan.status.operation_state = Some(started(setting, &order));
            plan.wake(setting.now);
            None
        }
    }
}

pub(super) fn started(setting: &Setting<'_>, order: &Operation) -> OperationState {
    OperationState {
        operation: order.clone(),
        phase: OperationPhase::Running.as_str().to_owned(),
        message: Some("waiting to start".to_owned()),
        started_at: Some(time(setting.now)),
        ..OperationState::default()
    }
}

pub(super) fn is_automated(order: &Operation) -> bool {
    order
        .initiated_by
        .as_ref()
        .is_some_and(|by| by.automated == Some(true))
}

pub(super) fn is_partial(sync: &SyncOperation) -> bool {
    sync.resources.as_ref().is_some_and(|list| !list.is_empty())
}

/// Options of the order, else of the Application.
pub(super) fn options(setting: &Setting<'_>, sync: &SyncOperation) -> SyncOptions {
    match sync.sync_options.as_deref() {
        Some(written) if !written.is_empty() => {
            SyncOptions::parse(written.iter().map(String::as_str)).0
        }
        _ => setting.options.clone(),
    }
}

/// A failed try waits, or begins again. Returns whether this decision ends here.
pub(super) fn waits_for_retry(
    setting: &Setting<'_>,
    plan: &mut AppPlan,
    state: &mut OperationState,
    order: &Operation,
    head: &Rendering,
    records: &[Record],
) -> bool {
    let Some(finished) = state.finished_at.clone() else {
        return false;
    };
    let sync = order.sync.clone().unwrap_or_default();
    let retry = order.retry.clone().unwrap_or_default();
    let count = state.retry_count.unwrap_or(0);
    let wait = backoff::retry_wait(&retry, count - 1);
    let at = finished.0.saturating_add(wait).unwrap_or(setting.now);
    let terminating = state.phase == OperationPhase::Terminating.as_str();
    let tried = state
        .sync_result
        .as_ref()
        .map(|result| revisions(Some(&result.revision), result.revisions.as_deref()));
    let newer = tried.is_some_and(|tried| tried != head.revisions);
    let superseded = is_automated(order)
        && sync.source.is_none()
        && sync.sources.is_none()
        && newer
        && quarantine::hold(records, &head.targets) == Hold::default();
    if terminating || superseded {
        plan.status.operation_state = Some(state.clone());
        let frame = frame(setting, order, &sync, None, false);
        let message = if terminating {
            "Operation terminated".to_owned()
        } else {
            format!("superseded by revision {}", head.revision())
        };
        complete(plan, &frame, OperationPhase::Failed, &message, setting.now);
        if let Some(ended) = plan.state() {
            *state = ended.clone();
        }
        return true;
    }
    if setting.now < at {
        plan.reasons.push(AppReason::SyncWaits {
            message: format!("retry #{count} at {at}"),
        });
        plan.wake(at);
        return true;
    }
    let refresh = retry.refresh == Some(true);
    state.finished_at = None;
    state.sync_result = None;
    state.message = Some(format!(
        "Retrying operation{}. Attempt #{count}",
        if refresh {
            " with latest revisions"
        } else {
            ""
        }
    ));
    if refresh {
        let mut order = order.clone();
        if let Some(sync) = order.sync.as_mut() {
            sync.revision = None;
            sync.revisions = None;
        }
        state.operation = order.clone();
        plan.operation = OperationChange::Set(Box::new(order));
    }
    plan.wake(setting.now);
    true
}

/// The rendering that is synced to. `None` when it has to be fetched, or waited for.
pub(super) fn rendering<'a>(
    setting: &Setting<'a>,
    plan: &mut AppPlan,
    state: &mut OperationState,
    sync: &SyncOperation,
    head: &'a Rendering,
) -> Option<Result<&'a Rendering, String>> {
    let mut wanted_sources = sources(sync.source.as_ref(), sync.sources.as_deref());
    if wanted_sources.is_empty() {
        wanted_sources = setting.app.spec.sources().to_vec();
    }
    let pinned = state
        .sync_result
        .as_ref()
        .map(|result| revisions(Some(&result.revision), result.revisions.as_deref()));
    let wanted = pinned
        .filter(|list| !list.is_empty())
        .unwrap_or_else(|| revisions(sync.revision.as_deref(), sync.revisions.as_deref()));
    if let Head::Failed { message, .. } = setting.world.head
        && wanted.is_empty()
    {
        plan.status.operation_state = Some(state.clone());
        let message = format!("waiting for Git to say which revision is the newest: {message}");
        wait(plan, &message, setting.now, 5);
        return None;
    }
    if wanted_sources == head.sources && (wanted.is_empty() || wanted == head.revisions) {
        return Some(Ok(head));
    }
    let request = RenderRequest {
        sources: wanted_sources,
        revisions: wanted,
    };
    match setting.world.rendering(&request) {
        Some(Ok(rendering)) => Some(Ok(rendering)),
        Some(Err(message)) => Some(Err(message.clone())),
        None => {
            plan.needs.push(request);
            None
        }
    }
}

/// Writes down what is synced to.
pub(super) fn begin_result(
    setting: &Setting<'_>,
    state: &mut OperationState,
    rendering: &Rendering,
) {
    if state.sync_result.is_some() {
        return;
    }
    let many = rendering.sources.len() > 1 || setting.app.spec.has_multiple_sources();
    state.sync_result = Some(SyncOperationResult {
        resources: None,
        revision: rendering
            .revisions
            .first()
            .filter(|_| !many)
            .cloned()
            .unwrap_or_default(),
        source: rendering.sources.first().filter(|_| !many).cloned(),
        sources: many.then(|| rendering.sources.clone()),
        revisions: many.then(|| rendering.revisions.clone()),
        managed_namespace_metadata: setting
            .app
            .spec
            .sync_policy
            .as_ref()
            .and_then(|policy| policy.managed_namespace_metadata.clone()),
    });
}

pub(super) fn frame(
    setting: &Setting<'_>,
    order: &Operation,
    sync: &SyncOperation,
    rendering: Option<&Rendering>,
    may_retry: bool,
) -> Frame {
    let many = setting.app.spec.has_multiple_sources();
    let history = rendering.map(|rendering| RevisionHistory {
        revision: rendering.revisions.first().filter(|_| !many).cloned(),
        revisions: many.then(|| rendering.revisions.clone()),
        source: rendering.sources.first().filter(|_| !many).cloned(),
        sources: many.then(|| rendering.sources.clone()),
        initiated_by: order.initiated_by.clone(),
        ..RevisionHistory::default()
    });
    Frame {
        order: order.clone(),
        revision: rendering.map(Rendering::revision).unwrap_or_default(),
        is_partial: is_partial(sync),
        is_dry_run: sync.dry_run == Some(true),
        may_retry,
        history_limit: setting.app.spec.revision_history_limit(),
        history,
    }
}
