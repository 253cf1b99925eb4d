//! One sync, from the order to its end: `status.operationState`.
//!
//! States: Running → Succeeded, Failed or Error; Running with `finishedAt` set waits for a retry; Terminating ends as
//! Failed. The start is written down before anything is applied, so that a controller that dies goes on with the same
//! sync and does not run its hooks twice.

use jiff::Timestamp;
use sluice_crds::application::operation::{Operation, SyncOperation};
use sluice_crds::application::status::{
    OperationState, ResourceResult, RevisionHistory, SyncOperationResult,
};

use super::plan::{AppEffect, AppPlan, AppReason, Apply, EventNote, OperationChange, Outcome};
use super::status::{images_of, time};
use super::world::{Head, RenderRequest, Rendering, revisions, sources};
use super::{Conditions, Setting, in_a_while};
use crate::backoff;
use crate::compare::{Comparison, PredictionError};
use crate::health::HOOK_FINALIZER;
use crate::hook::Phase;
use crate::key::{Key, list, text};
use crate::managed_fields;
use crate::options::SyncOptions;
use crate::project;
use crate::quarantine::{self, Hold, Record};
use crate::sync_plan::step::result_of;
use crate::sync_plan::task::run_id;
use crate::sync_plan::{
    Action, OperationPhase, PlanInput, Progress, Step, Task, Work, finish, next, plan as make_plan,
};

/// What the effects of a plan belong to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Started {
    tasks: Vec<Task>,
    actions: Vec<Action>,
    /// How the sync ends once the effects are done.
    ending: Option<(OperationPhase, String)>,
    frame: Frame,
}

/// What is the same during one sync.
#[derive(Debug, Clone, PartialEq)]
struct Frame {
    order: Operation,
    revision: String,
    is_partial: bool,
    is_dry_run: bool,
    may_retry: bool,
    history_limit: usize,
    history: Option<RevisionHistory>,
}

/// Goes on with the sync that was ordered, or starts it.
pub(super) fn drive(
    setting: &Setting<'_>,
    plan: &mut AppPlan,
    head: &Rendering,
    comparison: &Comparison,
    records: &[Record],
) {
    let Some((mut state, order, sync)) = resume(setting, plan) else {
        return;
    };
    if waits_for_retry(setting, plan, &mut state, &order, head, records) {
        plan.status.operation_state = Some(state);
        return;
    }
    let terminating = state.phase == OperationPhase::Terminating.as_str();
    let Some(found) = rendering(setting, plan, &mut state, &sync, head) else {
        return;
    };
    let rendering = match found {
        Ok(rendering) => rendering,
        Err(message) => {
            plan.status.operation_state = Some(state);
            let frame = frame(setting, &order, &sync, None, true);
            complete(plan, &frame, OperationPhase::Error, &message, setting.now);
            return;
        }
    };
    let automated = is_automated(&order);
    let hold = quarantine::hold(records, &rendering.targets);
    let frame = frame(
        setting,
        &order,
        &sync,
        Some(rendering),
        !(automated && hold.rendering),
    );
    begin_result(setting, &mut state, rendering);
    plan.status.operation_state = Some(state.clone());

    let options = options(setting, &sync);
    let own_comparison;
    let comparison = if std::ptr::eq(rendering, head) && options == setting.options {
        comparison
    } else {
        own_comparison = setting.compare(rendering, &options);
        &own_comparison
    };
    let results = state
        .sync_result
        .as_ref()
        .and_then(|result| result.resources.clone());
    let results = results.unwrap_or_default();
    let started_at = state
        .started_at
        .as_ref()
        .map_or(setting.now, |started| started.0);
    if !terminating && stopped(setting, plan, &frame, &hold, &results, started_at) {
        return;
    }
    let nothing_held = std::collections::BTreeSet::new();
    let retry = state.retry_count.unwrap_or(0);
    let tasks = make_plan(&PlanInput {
        targets: &rendering.targets,
        comparison,
        live: setting.world.live,
        placement: setting.world.placement,
        options: &options,
        operation: &sync,
        rules: &setting.rules,
        revision: &rendering.revision(),
        started_at,
        retry,
        held: if automated {
            &hold.objects
        } else {
            &nothing_held
        },
        results: &results,
    });
    if results.is_empty() && !terminating {
        if let Some(message) = unavailable(&tasks.tasks, rendering) {
            wait(plan, &message, setting.now, 5);
            return;
        }
        let refused = refused(setting, &tasks, comparison, rendering, &options);
        if let Some((message, results)) = refused {
            record(plan, results);
            complete(plan, &frame, OperationPhase::Failed, &message, setting.now);
            return;
        }
    }
    if frame.is_dry_run {
        let actions = (0..tasks.tasks.len()).map(Action::Apply).collect();
        act(setting, plan, tasks.tasks, actions, frame, None);
        return;
    }
    let outcome = next(&Progress {
        tasks: &tasks.tasks,
        results: &results,
        live: &setting.world.live.objects,
        run_id: &run_id(started_at, retry),
        prune: sync.prune == Some(true),
        deletion_approved: is_approved(setting, started_at),
        terminating,
    });
    record(plan, outcome.results);
    match outcome.step {
        Step::Act { actions } => act(setting, plan, tasks.tasks, actions, frame, None),
        Step::Wait { message } => {
            if is_superseded(&frame, &sync, rendering, head, records, plan) {
                let message = format!("superseded by revision {}", head.revision());
                let frame = Frame {
                    may_retry: false,
                    ..frame
                };
                complete(plan, &frame, OperationPhase::Failed, &message, setting.now);
            } else {
                wait(plan, &message, setting.now, 30);
            }
        }
        Step::Done {
            phase,
            message,
            cleanup,
        } if cleanup.is_empty() => {
            let frame = Frame {
                may_retry: frame.may_retry && !terminating,
                ..frame
            };
            complete(plan, &frame, phase, &message, setting.now);
        }
        Step::Done {
            phase,
            message,
            cleanup,
        } => {
            let frame = Frame {
                may_retry: frame.may_retry && !terminating,
                ..frame
            };
            act(
                setting,
                plan,
                tasks.tasks,
                cleanup,
                frame,
                Some((phase, message)),
            );
        }
    }
}

/// The running state of the order, or starts it. `None` when the start was only just written down, or refused.
fn resume(
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

fn started(setting: &Setting<'_>, order: &Operation) -> OperationState {
    OperationState {
        operation: order.clone(),
        phase: OperationPhase::Running.as_str().to_owned(),
        message: Some("waiting to start".to_owned()),
        started_at: Some(time(setting.now)),
        ..OperationState::default()
    }
}

fn is_automated(order: &Operation) -> bool {
    order
        .initiated_by
        .as_ref()
        .is_some_and(|by| by.automated == Some(true))
}

fn is_partial(sync: &SyncOperation) -> bool {
    sync.resources.as_ref().is_some_and(|list| !list.is_empty())
}

/// Options of the order, else of the Application.
fn options(setting: &Setting<'_>, sync: &SyncOperation) -> SyncOptions {
    match sync.sync_options.as_deref() {
        Some(written) if !written.is_empty() => {
            SyncOptions::parse(written.iter().map(String::as_str)).0
        }
        _ => setting.options.clone(),
    }
}

/// A failed try waits, or begins again. Returns whether this decision ends here.
fn waits_for_retry(
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
fn rendering<'a>(
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
fn begin_result(setting: &Setting<'_>, state: &mut OperationState, rendering: &Rendering) {
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

fn frame(
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

/// What stops a sync before it has done anything: a window, or quarantine.
fn stopped(
    setting: &Setting<'_>,
    plan: &mut AppPlan,
    frame: &Frame,
    hold: &Hold,
    results: &[ResourceResult],
    started_at: Timestamp,
) -> bool {
    let automated = is_automated(&frame.order);
    if let Err(why) = setting.window(!automated, Some(started_at)) {
        plan.reasons.push(AppReason::Window { why });
        wait(
            plan,
            "Sync operation blocked by sync window",
            setting.now,
            60,
        );
        return true;
    }
    if automated && hold.rendering && !frame.is_partial && results.is_empty() {
        let message = format!("revision {} is quarantined", frame.revision);
        complete(plan, frame, OperationPhase::Failed, &message, setting.now);
        return true;
    }
    false
}

/// A prediction that the API server could not give: nothing is known to be wrong, so wait.
fn unavailable(tasks: &[Task], rendering: &Rendering) -> Option<String> {
    tasks
        .iter()
        .filter(|task| task.hook.is_none() && !task.is_prune())
        .find_map(|task| match rendering.predictions.get(&task.key) {
            Some(Err(PredictionError::Unavailable(message))) => {
                Some(format!("waiting for the API server: {message}"))
            }
            _ => None,
        })
}

/// What is wrong with the tasks, found before anything is applied: the operation's message, and a result for each
/// task that cannot be carried out.
fn refused(
    setting: &Setting<'_>,
    plan: &crate::sync_plan::Plan,
    comparison: &Comparison,
    rendering: &Rendering,
    options: &SyncOptions,
) -> Option<(String, Vec<ResourceResult>)> {
    let tasks = &plan.tasks;
    let mut failures: Vec<(&Task, String)> = Vec::new();
    let mut from_dry_run = false;
    if options.fail_on_shared_resource {
        let shared: Vec<&str> = comparison
            .conditions
            .iter()
            .filter(|(kind, _)| *kind == "SharedResourceWarning")
            .map(|(_, message)| message.as_str())
            .collect();
        if !shared.is_empty() {
            return Some((
                format!("Shared resource found: {}", shared.join(", ")),
                Vec::new(),
            ));
        }
    }
    let brings_namespace = |namespace: &str| {
        tasks
            .iter()
            .any(|task| !task.is_prune() && task.key == Key::new("", "Namespace", "", namespace))
    };
    for task in tasks {
        let namespaced = !task.key.namespace.is_empty();
        let forbidden = project::forbids_object(
            &setting.project,
            &setting.app.spec.destination,
            &task.key,
            namespaced,
        );
        let wrong_option = plan
            .errors
            .iter()
            .find(|(key, _)| *key == task.key && !task.is_prune());
        if let Some(message) = forbidden {
            failures.push((task, message));
        } else if let Some((_, error)) = wrong_option {
            failures.push((task, error.to_string()));
        } else if task.is_prune() {
        } else if let Some(Err(error)) = rendering.predictions.get(&task.key) {
            let excused = match error {
                PredictionError::NoNamespace(_) => brings_namespace(&task.key.namespace),
                PredictionError::UnknownKind(_) => {
                    task.options.skip_dry_run_on_missing_resource || is_defined_by(tasks, task)
                }
                // What cannot be applied is going to be deleted and made anew.
                PredictionError::Rejected(_) => task.options.force || task.options.replace,
                PredictionError::Unavailable(_) => true,
            };
            if !excused {
                from_dry_run = true;
                failures.push((task, error.message().to_owned()));
            }
        }
    }
    if failures.is_empty() {
        return None;
    }
    let reasons: Vec<String> = failures
        .iter()
        .map(|(task, message)| format!("{}: {message}", task.key.short()))
        .collect();
    let message = if from_dry_run {
        format!(
            "one or more objects failed to apply (dry run): {}",
            reasons.join("; ")
        )
    } else {
        format!(
            "one or more synchronization tasks are not valid: {}",
            reasons.join("; ")
        )
    };
    let results = failures
        .iter()
        .map(|(task, message)| result_of(task, OperationPhase::Failed, "SyncFailed", message))
        .collect();
    Some((message, results))
}

/// Whether a definition among the tasks brings the task's kind.
fn is_defined_by(tasks: &[Task], task: &Task) -> bool {
    tasks.iter().any(|other| match &other.work {
        Work::Apply(object) => {
            crate::scope::defined_kind(object).is_some_and(|(kind, _)| kind == task.key.kind)
        }
        Work::Prune => false,
    })
}

/// Whether a person has agreed to deletions since the sync began.
fn is_approved(setting: &Setting<'_>, since: Timestamp) -> bool {
    let annotations = setting.app.metadata.annotations.as_ref();
    annotations
        .and_then(|map| map.get(super::deletion::APPROVED))
        .and_then(|text| text.parse::<Timestamp>().ok())
        .is_some_and(|at| at >= since)
}

/// Whether an automated sync that only waits should make room for a newer revision.
fn is_superseded(
    frame: &Frame,
    sync: &SyncOperation,
    rendering: &Rendering,
    head: &Rendering,
    records: &[Record],
    plan: &mut AppPlan,
) -> bool {
    let hook_runs = plan
        .state()
        .and_then(|state| state.sync_result.as_ref())
        .and_then(|result| result.resources.as_ref())
        .is_some_and(|results| {
            results.iter().any(|result| {
                result.hook_type.is_some() && result.hook_phase.as_deref() == Some("Running")
            })
        });
    is_automated(&frame.order)
        && sync.source.is_none()
        && sync.sources.is_none()
        && rendering.revisions != head.revisions
        && !hook_runs
        && quarantine::hold(records, &head.targets) == Hold::default()
}

/// Writes down results.
fn record(plan: &mut AppPlan, results: Vec<ResourceResult>) {
    if let Some(result) = plan.state().and_then(|state| state.sync_result.as_mut()) {
        result.resources = (!results.is_empty()).then_some(results);
    }
}

/// The sync goes on later.
fn wait(plan: &mut AppPlan, message: &str, now: Timestamp, seconds: i64) {
    plan.reasons.push(AppReason::SyncWaits {
        message: message.to_owned(),
    });
    if let Some(state) = plan.state() {
        state.message = Some(message.to_owned());
    }
    plan.wake(in_a_while(now, seconds));
}

/// Turns actions into effects.
fn act(
    setting: &Setting<'_>,
    plan: &mut AppPlan,
    tasks: Vec<Task>,
    actions: Vec<Action>,
    frame: Frame,
    ending: Option<(OperationPhase, String)>,
) {
    let mut done = Vec::new();
    for action in actions {
        let effect = match action {
            Action::Apply(index) => tasks
                .get(index)
                .and_then(|task| apply(setting, task, frame.is_dry_run)),
            Action::Prune(index) | Action::DeleteHook(index) => {
                tasks.get(index).map(|task| delete(setting, task))
            }
        };
        if let Some(effect) = effect {
            plan.effects.push(effect);
            done.push(action);
        }
    }
    let nothing = done.is_empty();
    plan.started = Some(Box::new(Started {
        tasks,
        actions: done,
        ending,
        frame,
    }));
    if nothing {
        // A dry run of deletions alone.
        let settled = std::mem::replace(plan, AppPlan::unchanged(setting.app));
        *plan = settled.settle(&[], setting.now);
    }
}

fn apply(setting: &Setting<'_>, task: &Task, dry_run: bool) -> Option<AppEffect> {
    let Work::Apply(object) = &task.work else {
        return None;
    };
    let live = setting.world.live.objects.get(&task.key);
    let annotations = setting.app.metadata.annotations.as_ref();
    let manager = annotations
        .and_then(|map| map.get("argocd.argoproj.io/client-side-apply-migration-manager"))
        .map_or("kubectl-client-side-apply", String::as_str);
    let managed_fields = live
        .filter(|_| task.options.migrate_client_side_apply && !task.options.replace && !dry_run)
        .and_then(|live| managed_fields::migrated(live, manager));
    Some(AppEffect::Apply(Box::new(Apply {
        key: task.key.clone(),
        api_version: task.api_version.clone(),
        object: (**object).clone(),
        replace: task.options.replace,
        force: task.options.force,
        validate: task.options.validate,
        dry_run,
        managed_fields,
        fenced: task.fenced,
        resource_version: live
            .map(|live| text(live, "/metadata/resourceVersion").to_owned())
            .filter(|version| !version.is_empty()),
    })))
}

fn delete(setting: &Setting<'_>, task: &Task) -> AppEffect {
    let live = setting.world.live.objects.get(&task.key);
    delete_effect(&task.key, &task.api_version, live, task.options.propagation)
}

/// The deletion of a live object.
pub(super) fn delete_effect(
    key: &Key,
    api_version: &str,
    live: Option<&serde_json::Value>,
    propagation: crate::options::Propagation,
) -> AppEffect {
    let finalizers = live
        .map(|live| list(live, "/metadata/finalizers"))
        .unwrap_or(&[]);
    let held = finalizers
        .iter()
        .any(|name| name.as_str() == Some(HOOK_FINALIZER));
    AppEffect::Delete {
        key: key.clone(),
        api_version: api_version.to_owned(),
        uid: live
            .map(|live| text(live, "/metadata/uid").to_owned())
            .filter(|uid| !uid.is_empty()),
        propagation,
        finalizers: held.then(|| {
            finalizers
                .iter()
                .filter_map(|name| name.as_str())
                .filter(|name| *name != HOOK_FINALIZER)
                .map(str::to_owned)
                .collect()
        }),
    }
}

/// Writes down what became of the effects.
pub(super) fn settle(plan: &mut AppPlan, started: Started, outcomes: &[Outcome], now: Timestamp) {
    let Started {
        tasks,
        actions,
        ending,
        frame,
    } = started;
    let complete_run = outcomes.len() == actions.len();
    if let Some((phase, message)) = ending {
        if complete_run && outcomes.iter().all(Result::is_ok) {
            complete(plan, &frame, phase, &message, now);
        } else {
            plan.wake(in_a_while(now, 2));
        }
        return;
    }
    let last = tasks
        .iter()
        .filter(|task| task.phase != Phase::SyncFail)
        .map(|task| (task.phase, task.wave))
        .max();
    let waits_for_last = tasks
        .iter()
        .any(|task| Some((task.phase, task.wave)) == last && task.hook.is_some());
    let mut results = plan
        .state()
        .and_then(|state| state.sync_result.as_ref())
        .and_then(|result| result.resources.clone())
        .unwrap_or_default();
    let mut postponed = !complete_run;
    for (action, outcome) in actions.iter().zip(outcomes) {
        let (index, done) = match action {
            Action::Apply(index) => (*index, ("Synced", "serverside-applied")),
            Action::Prune(index) => (*index, ("Pruned", "pruned")),
            Action::DeleteHook(_) => {
                postponed = true;
                continue;
            }
        };
        let Some(task) = tasks.get(index) else {
            continue;
        };
        let is_last = Some((task.phase, task.wave)) == last && !waits_for_last;
        let phase = if is_last || frame.is_dry_run {
            OperationPhase::Succeeded
        } else {
            OperationPhase::Running
        };
        match outcome {
            Ok(()) => results.push(success(task, phase, done, frame.is_dry_run)),
            Err(failure) if failure.transient => postponed = true,
            Err(failure) => {
                let failed = OperationPhase::Failed;
                results.push(result_of(task, failed, "SyncFailed", &failure.message));
            }
        }
    }
    if frame.is_dry_run {
        dry_prunes(&tasks, &mut results);
    }
    record(plan, results.clone());
    plan.wake(in_a_while(now, if postponed { 1 } else { 5 }));
    let no_objects = std::collections::BTreeMap::new();
    let progress = Progress {
        tasks: &tasks,
        results: &results,
        live: &no_objects,
        run_id: "",
        prune: true,
        deletion_approved: false,
        terminating: false,
    };
    let cleans_up = tasks.iter().any(|task| {
        task.hook.as_ref().is_some_and(|hook| {
            hook.delete_policies
                .contains(&crate::hook::DeletePolicy::HookSucceeded)
        })
    });
    if frame.is_dry_run && !postponed {
        let failed = results
            .iter()
            .any(|result| result.status.as_deref() == Some("SyncFailed"));
        let (phase, message) = if failed {
            (
                OperationPhase::Failed,
                "one or more objects failed to apply (dry run)",
            )
        } else {
            (OperationPhase::Succeeded, "successfully synced (dry run)")
        };
        complete(plan, &frame, phase, message, now);
    } else if !cleans_up
        && let Some(Step::Done { phase, message, .. }) = finish(&progress, &results)
    {
        complete(plan, &frame, phase, &message, now);
    } else if !postponed {
        // Whatever is left to do can be seen at once.
        plan.wake(now);
    }
}

fn success(
    task: &Task,
    phase: OperationPhase,
    (status, verb): (&str, &str),
    dry_run: bool,
) -> ResourceResult {
    let dry = if dry_run { " (dry run)" } else { "" };
    let group = &task.key.kind.group;
    let kind = task.key.kind.kind.to_lowercase();
    let what = if group.is_empty() {
        kind
    } else {
        format!("{kind}.{group}")
    };
    let message = match status {
        "Pruned" => format!("{verb}{dry}"),
        _ => format!("{what}/{} {verb}{dry}", task.key.name),
    };
    let mut result = result_of(task, phase, status, &message);
    if let Work::Apply(object) = &task.work {
        let images = images_of(object);
        result.images = (!images.is_empty()).then_some(images);
    }
    result
}

fn dry_prunes(tasks: &[Task], results: &mut Vec<ResourceResult>) {
    for task in tasks.iter().filter(|task| task.is_prune()) {
        results.push(result_of(
            task,
            OperationPhase::Succeeded,
            "Pruned",
            "pruned (dry run)",
        ));
    }
}

/// The sync has ended, or is tried again.
fn complete(
    plan: &mut AppPlan,
    frame: &Frame,
    phase: OperationPhase,
    message: &str,
    now: Timestamp,
) {
    let retry = frame.order.retry.clone().unwrap_or_default();
    let Some(state) = plan.state() else { return };
    let count = state.retry_count.unwrap_or(0);
    state.finished_at = Some(time(now));
    let failed = phase != OperationPhase::Succeeded;
    if failed && frame.may_retry && backoff::may_retry(&retry, count) {
        let at = now
            .saturating_add(backoff::retry_wait(&retry, count))
            .unwrap_or(now);
        let message = format!(
            "{message}. Retrying attempt #{} at {}.",
            count + 1,
            at.strftime("%-I:%M%p")
        );
        state.phase = OperationPhase::Running.as_str().to_owned();
        state.retry_count = Some(count + 1);
        state.message = Some(message.clone());
        plan.reasons.push(AppReason::SyncWaits { message });
        plan.wake(at);
        return;
    }
    state.phase = phase.as_str().to_owned();
    state.message = Some(message.to_owned());
    let started_at = state.started_at.clone();
    plan.operation = OperationChange::Clear;
    plan.reasons.push(AppReason::SyncDone {
        phase: phase.as_str(),
        message: message.to_owned(),
    });
    let what = if frame.is_partial {
        "Partial sync operation"
    } else {
        "Sync operation"
    };
    let event = if failed {
        let text = format!("{what} to {} failed: {message}", frame.revision);
        EventNote::warning("OperationCompleted", text)
    } else {
        EventNote::normal(
            "OperationCompleted",
            format!("{what} to {} succeeded", frame.revision),
        )
    };
    plan.events.push(event);
    if let Some(entry) = &frame.history
        && !failed
        && !frame.is_partial
        && !frame.is_dry_run
    {
        let mut entry = entry.clone();
        entry.deployed_at = Some(time(now));
        entry.deploy_started_at = started_at;
        push_history(plan, entry, frame.history_limit);
    }
    // Automated sync has a look at the result.
    plan.wake(now);
}

fn push_history(plan: &mut AppPlan, mut entry: RevisionHistory, limit: usize) {
    let history = plan.status.history.get_or_insert_default();
    entry.id = history
        .iter()
        .map(|entry| entry.id)
        .max()
        .map_or(0, |last| last.saturating_add(1));
    history.push(entry);
    let excess = history.len().saturating_sub(limit);
    history.drain(..excess);
    if history.is_empty() {
        plan.status.history = None;
    }
}

/// The spec is wrong: an order cannot be carried out.
pub(super) fn refuse(setting: &Setting<'_>, plan: &mut AppPlan, message: &str) {
    let Some(order) = &setting.app.operation else {
        return;
    };
    plan.status.operation_state = Some(started(setting, order));
    let sync = order.sync.clone().unwrap_or_default();
    let frame = frame(setting, order, &sync, None, false);
    complete(plan, &frame, OperationPhase::Error, message, setting.now);
}

/// There is no rendering: an order waits while Git is away, and fails when the rendering is wrong.
pub(super) fn refuse_unrendered(
    setting: &Setting<'_>,
    plan: &mut AppPlan,
    conditions: &Conditions,
) {
    let Some(order) = &setting.app.operation else {
        return;
    };
    let Head::Failed {
        message, transient, ..
    } = setting.world.head
    else {
        return;
    };
    if plan
        .status
        .operation_state
        .as_ref()
        .is_none_or(|state| state.operation != *order)
    {
        plan.status.operation_state = Some(started(setting, order));
    }
    if *transient {
        wait(plan, &format!("waiting for Git: {message}"), setting.now, 5);
        return;
    }
    let sync = order.sync.clone().unwrap_or_default();
    let frame = frame(setting, order, &sync, None, false);
    let texts: Vec<String> = conditions
        .iter()
        .filter(|(kind, _)| kind.ends_with("Error"))
        .map(|(kind, message)| format!("{kind}: {message}"))
        .collect();
    complete(
        plan,
        &frame,
        OperationPhase::Error,
        &texts.join(";"),
        setting.now,
    );
}
