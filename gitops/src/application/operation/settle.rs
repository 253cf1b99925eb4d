//! What became of the effects: results, retries, the end of a sync, and its history.

use jiff::Timestamp;
use sluice_crds::application::status::{ResourceResult, RevisionHistory};

use super::carry_out::record;
use super::{Frame, Started};
use crate::application::in_a_while;
use crate::application::plan::{AppPlan, AppReason, EventNote, OperationChange, Outcome};
use crate::application::status::{images_of, time};
use crate::backoff;
use crate::hook::Phase;
use crate::sync_plan::step::result_of;
use crate::sync_plan::{Action, OperationPhase, Progress, Step, Task, Work, finish};

/// Writes down what became of the effects.
pub(in crate::application) fn settle(
    plan: &mut AppPlan,
    started: Started,
    outcomes: &[Outcome],
    now: Timestamp,
) {
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

pub(super) fn success(
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

pub(super) fn dry_prunes(tasks: &[Task], results: &mut Vec<ResourceResult>) {
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
pub(super) fn complete(
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

pub(super) fn push_history(plan: &mut AppPlan, mut entry: RevisionHistory, limit: usize) {
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
