//! Actions of the sync plan as effects.

use jiff::Timestamp;
use sluice_crds::application::status::ResourceResult;

use super::{Frame, Started};
use crate::application::plan::{AppEffect, AppPlan, AppReason, Apply};
use crate::application::{Setting, in_a_while};
use crate::health::HOOK_FINALIZER;
use crate::key::{Key, list, text};
use crate::managed_fields;
use crate::sync_plan::{Action, OperationPhase, Task, Work};

/// Writes down results.
pub(super) fn record(plan: &mut AppPlan, results: Vec<ResourceResult>) {
    if let Some(result) = plan.state().and_then(|state| state.sync_result.as_mut()) {
        result.resources = (!results.is_empty()).then_some(results);
    }
}

/// The sync goes on later.
pub(super) fn wait(plan: &mut AppPlan, message: &str, now: Timestamp, seconds: i64) {
    plan.reasons.push(AppReason::SyncWaits {
        message: message.to_owned(),
    });
    if let Some(state) = plan.state() {
        state.message = Some(message.to_owned());
    }
    plan.wake(in_a_while(now, seconds));
}

/// Turns actions into effects.
pub(super) fn act(
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

pub(super) fn apply(setting: &Setting<'_>, task: &Task, dry_run: bool) -> Option<AppEffect> {
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

pub(super) fn delete(setting: &Setting<'_>, task: &Task) -> AppEffect {
    let live = setting.world.live.objects.get(&task.key);
    delete_effect(&task.key, &task.api_version, live, task.options.propagation)
}

/// The deletion of a live object.
pub(in crate::application) fn delete_effect(
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
