//! What a sync does next.
//!
//! Input: tasks, results so far, live objects. Output: refreshed results, and one of: act, wait, done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sluice_crds::application::status::ResourceResult;
use sluice_crds::names;

use super::task::Task;
use crate::health::{self, Code};
use crate::hook::{DeletePolicy, Phase};
use crate::key::{Key, annotation, is_deleting};
use crate::options::Consent;

/// Phase of an operation, and of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationPhase {
    /// It goes on.
    Running,
    /// It is being stopped.
    Terminating,
    /// Something that was applied did not work.
    Failed,
    /// It could not be carried out.
    Error,
    /// It is done.
    Succeeded,
}

impl OperationPhase {
    /// Name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Terminating => "Terminating",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Succeeded => "Succeeded",
        }
    }

    /// From its name in the API.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Running,
            Self::Terminating,
            Self::Failed,
            Self::Error,
            Self::Succeeded,
        ]
        .into_iter()
        .find(|phase| phase.as_str() == name)
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_completed(self) -> bool {
        matches!(self, Self::Failed | Self::Error | Self::Succeeded)
    }
}

/// Where a sync stands.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The tasks, in order.
    pub tasks: &'a [Task],
    /// Results so far.
    pub results: &'a [ResourceResult],
    /// Live objects.
    pub live: &'a BTreeMap<Key, Value>,
    /// Name of this try, see [`super::task::run_id`].
    pub run_id: &'a str,
    /// Whether the operation may delete.
    pub prune: bool,
    /// Whether a person has agreed to deletions since the sync began.
    pub deletion_approved: bool,
    /// Whether a person wants the sync stopped.
    pub terminating: bool,
}

/// One thing to do; the number is the index of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Apply the task's object.
    Apply(usize),
    /// Delete the task's object.
    Prune(usize),
    /// Delete a hook, of an earlier sync or of this one.
    DeleteHook(usize),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Do these, in order, then record the results.
    Act {
        /// What to do.
        actions: Vec<Action>,
    },
    /// Look again later.
    Wait {
        /// What is waited for.
        message: String,
    },
    /// The sync is over.
    Done {
        /// How it ended.
        phase: OperationPhase,
        /// One sentence.
        message: String,
        /// Hooks to delete.
        cleanup: Vec<Action>,
    },
}

/// The refreshed results and the next step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// Results, in the order in which they came about.
    pub results: Vec<ResourceResult>,
    /// What to do next.
    pub step: Step,
}

fn is_running(result: &ResourceResult) -> bool {
    result.hook_phase.as_deref() == Some("Running")
}

fn is_failed(result: &ResourceResult) -> bool {
    matches!(result.hook_phase.as_deref(), Some("Failed" | "Error"))
}

fn key_of(result: &ResourceResult) -> Key {
    Key::new(&result.group, &result.kind, &result.namespace, &result.name)
}

/// An empty result for a task.
#[must_use]
pub fn result_of(
    task: &Task,
    phase: OperationPhase,
    status: &str,
    message: &str,
) -> ResourceResult {
    ResourceResult {
        group: task.key.kind.group.clone(),
        version: task.api_version.rsplit('/').next().unwrap_or("").to_owned(),
        kind: task.key.kind.kind.clone(),
        namespace: task.key.namespace.clone(),
        name: task.key.name.clone(),
        status: (!status.is_empty()).then(|| status.to_owned()),
        message: (!message.is_empty()).then(|| message.to_owned()),
        hook_type: task.hook.is_some().then(|| task.phase.as_str().to_owned()),
        hook_phase: Some(phase.as_str().to_owned()),
        sync_phase: Some(task.phase.as_str().to_owned()),
        images: None,
    }
}

/// Decides the next step.
#[must_use]
pub fn next(progress: &Progress<'_>) -> StepOutcome {
    let mut results: Vec<ResourceResult> = progress
        .results
        .iter()
        .map(|result| refreshed(result, progress))
        .collect();
    let step = decide(progress, &mut results);
    StepOutcome { results, step }
}

/// What became of something that was running.
fn refreshed(result: &ResourceResult, progress: &Progress<'_>) -> ResourceResult {
    let mut result = result.clone();
    if !is_running(&result) {
        return result;
    }
    let live = progress.live.get(&key_of(&result));
    if result.status.as_deref() == Some("Pruned") {
        if live.is_none() {
            result.hook_phase = Some("Succeeded".to_owned());
        }
        return result;
    }
    let is_hook = result.hook_type.is_some();
    let health = live.and_then(health::of);
    let code = match (live, &health) {
        (None, _) if is_hook => Code::Healthy,
        (None, _) => Code::Missing,
        (Some(_), None) => Code::Healthy,
        (Some(_), Some(health)) => health.code,
    };
    let phase = match code {
        Code::Healthy => OperationPhase::Succeeded,
        Code::Degraded => OperationPhase::Failed,
        Code::Unknown if is_hook => OperationPhase::Failed,
        _ => OperationPhase::Running,
    };
    result.hook_phase = Some(phase.as_str().to_owned());
    if let Some(health) = health.filter(|health| !health.message.is_empty())
        && (is_hook || phase == OperationPhase::Failed)
    {
        result.message = Some(health.message);
    }
    result
}

fn decide(progress: &Progress<'_>, results: &mut Vec<ResourceResult>) -> Step {
    let tasks = progress.tasks;
    if progress.terminating {
        let cleanup = hooks(progress, results, |_, result| {
            result.is_some_and(is_running)
        });
        for result in results.iter_mut().filter(|result| is_running(result)) {
            result.hook_phase = Some("Failed".to_owned());
            result.message = Some("Terminated".to_owned());
        }
        return Step::Done {
            phase: OperationPhase::Failed,
            message: "Operation terminated".to_owned(),
            cleanup,
        };
    }
    let failed = results.iter().any(is_failed);
    let stages: BTreeSet<_> = tasks
        .iter()
        .filter(|task| task.phase != Phase::SyncFail)
        .map(|task| (task.phase, task.wave))
        .collect();
    let hook_runs = results
        .iter()
        .any(|result| is_running(result) && result.hook_type.is_some());
    if (stages.len() > 1 || hook_runs || failed)
        && let Some(message) = waiting_for(results)
    {
        return Step::Wait { message };
    }
    if failed {
        return after_failure(progress, results);
    }
    let first = pending(tasks, results)
        .filter(|(_, task)| task.phase != Phase::SyncFail)
        .map(|(_, task)| (task.phase, task.wave))
        .min();
    match first {
        Some(stage) => act(progress, results, stage),
        None => match waiting_for(results) {
            Some(message) if has_hooks(tasks) => Step::Wait { message },
            _ => done(progress, results, "successfully synced (no more tasks)"),
        },
    }
}

fn has_hooks(tasks: &[Task]) -> bool {
    tasks
        .iter()
        .any(|task| task.hook.is_some() && task.phase != Phase::SyncFail)
}

fn pending<'t, 'r>(
    tasks: &'t [Task],
    results: &'r [ResourceResult],
) -> impl Iterator<Item = (usize, &'t Task)> + use<'t, 'r> {
    tasks
        .iter()
        .enumerate()
        .filter(|(_, task)| !results.iter().any(|result| task.has_result(result)))
}

/// The first thing that is waited for, and how many others.
fn waiting_for(results: &[ResourceResult]) -> Option<String> {
    let running: Vec<&ResourceResult> =
        results.iter().filter(|result| is_running(result)).collect();
    let first = running
        .iter()
        .find(|result| result.hook_type.is_some())
        .or(running.first())?;
    let name = key_of(first).short();
    let what = match (first.hook_type.is_some(), first.status.as_deref()) {
        (true, _) => format!("waiting for completion of hook {name}"),
        (false, Some("Pruned")) => format!("waiting for deletion of {name}"),
        _ => format!("waiting for healthy state of {name}"),
    };
    Some(match running.len() {
        1 => what,
        2 if first.hook_type.is_some() => format!("{what} and 1 more hooks"),
        2 => format!("{what} and 1 more resources"),
        n if first.hook_type.is_some() => format!("{what} and {} more hooks", n - 1),
        n => format!("{what} and {} more resources", n - 1),
    })
}

/// Starts all pending tasks of one phase and wave.
fn act(progress: &Progress<'_>, results: &mut Vec<ResourceResult>, stage: (Phase, i64)) -> Step {
    let group: Vec<(usize, &Task)> = pending(progress.tasks, results)
        .filter(|(_, task)| (task.phase, task.wave) == stage)
        .collect();
    let (mut prunes, mut deletions, mut applies) = (Vec::new(), Vec::new(), Vec::new());
    let mut skipped = Vec::new();
    let mut waits = None;
    for (index, task) in group {
        if task.is_prune() {
            match (progress.prune, task.options.prune) {
                (false, _) => skipped.push((task, "ignored (requires pruning)")),
                (true, Consent::Refused) => skipped.push((task, "ignored (no prune)")),
                (true, Consent::Asked) if !progress.deletion_approved => {
                    waits = Some(format!(
                        "waiting for pruning confirmation of {}",
                        task.key.short()
                    ));
                }
                (true, _) => prunes.push(Action::Prune(index)),
            }
            continue;
        }
        let earlier = task.hook.as_ref().and_then(|hook| {
            let live = progress.live.get(&task.key)?;
            let run = format!("{}-{}", progress.run_id, task.phase);
            let own = annotation(live, names::HOOK_RUN) == Some(run.as_str());
            let replaced = hook
                .delete_policies
                .contains(&DeletePolicy::BeforeHookCreation);
            (!own && replaced || is_deleting(live)).then_some(live)
        });
        match earlier {
            Some(live) if is_deleting(live) => {
                waits = Some(format!("waiting for deletion of hook {}", task.key.short()));
            }
            Some(_) => deletions.push(Action::DeleteHook(index)),
            None => applies.push(Action::Apply(index)),
        }
    }
    let nothing = prunes.is_empty() && deletions.is_empty() && applies.is_empty();
    for (task, message) in skipped {
        results.push(result_of(
            task,
            OperationPhase::Succeeded,
            "PruneSkipped",
            message,
        ));
    }
    match waits {
        Some(message) if nothing => Step::Wait { message },
        // Everything was skipped: go on with what is left.
        None if nothing => decide(progress, results),
        _ => {
            prunes.extend(deletions);
            prunes.extend(applies);
            Step::Act { actions: prunes }
        }
    }
}

/// After the results of a group were recorded: the sync is over when nothing is left and the group had no hooks,
/// without waiting for the health of what was applied last.
#[must_use]
pub fn finish(progress: &Progress<'_>, results: &[ResourceResult]) -> Option<Step> {
    if results.iter().any(is_failed) || has_pending(progress.tasks, results) {
        return None;
    }
    let hook_runs = results
        .iter()
        .any(|result| is_running(result) && result.hook_type.is_some());
    let last = progress
        .tasks
        .iter()
        .filter(|task| task.phase != Phase::SyncFail)
        .map(|task| (task.phase, task.wave))
        .max();
    let hook_in_last = progress
        .tasks
        .iter()
        .any(|task| Some((task.phase, task.wave)) == last && task.hook.is_some());
    (!hook_runs && !hook_in_last)
        .then(|| done(progress, results, "successfully synced (all tasks run)"))
}

fn has_pending(tasks: &[Task], results: &[ResourceResult]) -> bool {
    pending(tasks, results).any(|(_, task)| task.phase != Phase::SyncFail)
}

fn done(progress: &Progress<'_>, results: &[ResourceResult], message: &str) -> Step {
    let cleanup = hooks(progress, results, |task, result| {
        has_policy(task, DeletePolicy::HookSucceeded) && result.is_some_and(|r| !is_running(r))
    });
    Step::Done {
        phase: OperationPhase::Succeeded,
        message: message.to_owned(),
        cleanup,
    }
}

fn has_policy(task: &Task, policy: DeletePolicy) -> bool {
    task.hook
        .as_ref()
        .is_some_and(|hook| hook.delete_policies.contains(&policy))
}

/// The live hooks for which the test holds, as deletions.
fn hooks(
    progress: &Progress<'_>,
    results: &[ResourceResult],
    test: impl Fn(&Task, Option<&ResourceResult>) -> bool,
) -> Vec<Action> {
    progress
        .tasks
        .iter()
        .enumerate()
        .filter(|(_, task)| task.hook.is_some() && progress.live.contains_key(&task.key))
        .filter(|(_, task)| test(task, results.iter().find(|result| task.has_result(result))))
        .map(|(index, _)| Action::DeleteHook(index))
        .collect()
}

/// Something failed and nothing runs any more: SyncFail hooks, then the end.
fn after_failure(progress: &Progress<'_>, results: &mut Vec<ResourceResult>) -> Step {
    let stage = pending(progress.tasks, results)
        .filter(|(_, task)| task.phase == Phase::SyncFail)
        .map(|(_, task)| (task.phase, task.wave))
        .min();
    if let Some(stage) = stage {
        return act(progress, results, stage);
    }
    let reasons: Vec<&str> = results
        .iter()
        .filter(|result| is_failed(result))
        .filter_map(|result| result.message.as_deref())
        .collect();
    let refused = results
        .iter()
        .any(|result| result.status.as_deref() == Some("SyncFailed"));
    let mut message = if refused {
        "one or more objects failed to apply".to_owned()
    } else {
        "one or more synchronization tasks completed unsuccessfully".to_owned()
    };
    if !reasons.is_empty() {
        message = format!("{message}, reason: {}", reasons.join(","));
    }
    let cleanup = hooks(progress, results, |task, result| {
        has_policy(task, DeletePolicy::HookFailed) && result.is_some_and(|r| !is_running(r))
    });
    Step::Done {
        phase: OperationPhase::Failed,
        message,
        cleanup,
    }
}
