//! What keeps a sync from doing anything, or ends it: windows, quarantine, wrong tasks, a newer revision, a wrong spec, no
//! rendering.

use jiff::Timestamp;
use sluice_crds::application::operation::SyncOperation;
use sluice_crds::application::status::ResourceResult;

use super::Frame;
use super::begin::{frame, is_automated, started};
use super::carry_out::wait;
use super::settle::complete;
use crate::application::plan::{AppPlan, AppReason};
use crate::application::world::{Head, Rendering};
use crate::application::{Conditions, Setting};
use crate::compare::{Comparison, PredictionError};
use crate::key::Key;
use crate::options::SyncOptions;
use crate::project;
use crate::quarantine::{self, Hold, Record};
use crate::sync_plan::step::result_of;
use crate::sync_plan::{OperationPhase, Task, Work};

/// What stops a sync before it has done anything: a window, or quarantine.
pub(super) fn stopped(
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
pub(super) fn unavailable(tasks: &[Task], rendering: &Rendering) -> Option<String> {
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
pub(super) fn refused(
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
pub(super) fn is_defined_by(tasks: &[Task], task: &Task) -> bool {
    tasks.iter().any(|other| match &other.work {
        Work::Apply(object) => {
            crate::scope::defined_kind(object).is_some_and(|(kind, _)| kind == task.key.kind)
        }
        Work::Prune => false,
    })
}

/// Whether a person has agreed to deletions since the sync began.
pub(super) fn is_approved(setting: &Setting<'_>, since: Timestamp) -> bool {
    let annotations = setting.app.metadata.annotations.as_ref();
    annotations
        .and_then(|map| map.get(crate::application::deletion::APPROVED))
        .and_then(|text| text.parse::<Timestamp>().ok())
        .is_some_and(|at| at >= since)
}

/// Whether an automated sync that only waits should make room for a newer revision.
pub(super) fn is_superseded(
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
/// The spec is wrong: an order cannot be carried out.
pub(in crate::application) fn refuse(setting: &Setting<'_>, plan: &mut AppPlan, message: &str) {
    let Some(order) = &setting.app.operation else {
        return;
    };
    plan.status.operation_state = Some(started(setting, order));
    let sync = order.sync.clone().unwrap_or_default();
    let frame = frame(setting, order, &sync, None, false);
    complete(plan, &frame, OperationPhase::Error, message, setting.now);
}

/// There is no rendering: an order waits while Git is away, and fails when the rendering is wrong.
pub(in crate::application) fn refuse_unrendered(
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
