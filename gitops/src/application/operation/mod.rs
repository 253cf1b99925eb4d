//! One sync, from the order to its end: `status.operationState`.
//!
//! States: Running → Succeeded, Failed or Error; Running with `finishedAt` set waits for a retry; Terminating ends as
//! Failed. The start is written down before anything is applied, so that a controller that dies goes on with the same
//! sync and does not run its hooks twice.
//!
//! | step | file |
//! |---|---|
//! | begin, or begin again | [`begin`] |
//! | what stops it | [`refusal`] |
//! | actions as effects | [`carry_out`] |
//! | what became of them | [`settle`] |

mod begin;
mod carry_out;
mod refusal;
mod settle;

use sluice_crds::application::operation::Operation;
use sluice_crds::application::status::RevisionHistory;

use crate::application::Setting;
use crate::application::plan::AppPlan;
use crate::application::world::Rendering;
use crate::compare::Comparison;
use crate::quarantine::{self, Record};
use crate::sync_plan::task::run_id;
use crate::sync_plan::{
    Action, OperationPhase, PlanInput, Progress, Step, Task, next, plan as make_plan,
};
use begin::{begin_result, frame, is_automated, options, rendering, resume, waits_for_retry};
pub(super) use carry_out::delete_effect;
use carry_out::{act, record, wait};
use refusal::{is_approved, is_superseded, refused, stopped, unavailable};
pub(super) use refusal::{refuse, refuse_unrendered};
use settle::complete;
pub(super) use settle::settle;

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
