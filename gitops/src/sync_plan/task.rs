//! The tasks of a sync, in order: by phase, wave, kind and name.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_crds::application::operation::SyncOperation;
use sluice_crds::application::policy::ManagedNamespaceMetadata;
use sluice_crds::application::status::ResourceResult;
use sluice_crds::names;

use super::kind_order::rank;
use crate::compare::{Comparison, LiveState, SyncCode};
use crate::hook::{Hook, Phase};
use crate::ignore::Rules;
use crate::key::{GroupKind, Key, annotation, set_annotation, text};
use crate::manifest::{Placement, Target, Targets, stamp};
use crate::options::{OptionError, SyncOptions};
use crate::scope::defined_kind;

/// What is done with an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// It is applied.
    Apply(Box<Value>),
    /// It is deleted.
    Prune,
}

/// One object in one phase of the sync.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Which object.
    pub key: Key,
    /// `apiVersion`.
    pub api_version: String,
    /// Phase in which it is done.
    pub phase: Phase,
    /// Wave within the phase.
    pub wave: i64,
    /// What is done.
    pub work: Work,
    /// What makes it a hook.
    pub hook: Option<Hook>,
    /// Options as they hold for the object.
    pub options: SyncOptions,
    /// See [`Target::fenced`].
    pub fenced: bool,
}

impl Task {
    /// Whether a result belongs to this task.
    #[must_use]
    pub fn has_result(&self, result: &ResourceResult) -> bool {
        result.group == self.key.kind.group
            && result.kind == self.key.kind.kind
            && result.namespace == self.key.namespace
            && result.name == self.key.name
            && result.sync_phase.as_deref().unwrap_or("Sync") == self.phase.as_str()
    }

    /// Whether the task deletes.
    #[must_use]
    pub fn is_prune(&self) -> bool {
        self.work == Work::Prune
    }
}

/// What tasks are made from.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// What the revision wants.
    pub targets: &'a Targets,
    /// How that compares with the cluster.
    pub comparison: &'a Comparison,
    /// What is there.
    pub live: &'a LiveState,
    /// Where objects go.
    pub placement: &'a Placement,
    /// Options of the Application and of the operation.
    pub options: &'a SyncOptions,
    /// The order.
    pub operation: &'a SyncOperation,
    /// Differences that do not count.
    pub rules: &'a Rules,
    /// Commit that is synced to.
    pub revision: &'a str,
    /// When the sync began.
    pub started_at: Timestamp,
    /// Number of retries so far: each try runs the hooks anew.
    pub retry: i64,
    /// Objects that quarantine holds.
    pub held: &'a BTreeSet<Key>,
    /// Results so far.
    pub results: &'a [ResourceResult],
}

impl PlanInput<'_> {
    /// Names this try, so that a hook that it made is told from one of an earlier try.
    #[must_use]
    pub fn run_id(&self) -> String {
        run_id(self.started_at, self.retry)
    }
}

/// Name of one try of one sync.
#[must_use]
pub fn run_id(started_at: Timestamp, retry: i64) -> String {
    format!("{}-{retry}", started_at.as_second())
}

/// The ordered tasks of a sync.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In the order in which they are done.
    pub tasks: Vec<Task>,
    /// Options of objects that cannot be carried out.
    pub errors: Vec<(Key, OptionError)>,
}

/// Makes the tasks. The result does not depend on the order of the input.
#[must_use]
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let mut plan = Plan::default();
    let partial = input
        .operation
        .resources
        .as_ref()
        .is_some_and(|list| !list.is_empty());
    let apply_only = input
        .operation
        .sync_strategy
        .as_ref()
        .is_some_and(|s| s.apply.is_some());
    for target in &input.targets.objects {
        match &target.hook {
            Some(_) if partial || apply_only => {}
            Some(hook) => {
                for phase in &hook.phases {
                    plan.tasks.push(hook_task(target, hook, *phase, input));
                }
            }
            None if !is_selected(input, &target.key) || input.held.contains(&target.key) => {}
            None => {
                if let Some(task) = apply_task(target, input, &mut plan.errors) {
                    plan.tasks.push(task);
                }
            }
        }
    }
    let force = input
        .operation
        .sync_strategy
        .as_ref()
        .is_some_and(|strategy| {
            [&strategy.apply, &strategy.hook]
                .into_iter()
                .flatten()
                .any(|s| s.force == Some(true))
        });
    if force {
        for task in &mut plan.tasks {
            task.options.force = true;
        }
    }
    plan.tasks.extend(prune_tasks(input));
    if let Some(task) = namespace_task(input, &plan.tasks) {
        plan.tasks.push(task);
    }
    pull_forward(&mut plan.tasks);
    plan.tasks.sort_by(|a, b| order(a).cmp(&order(b)));
    plan
}

type Order<'a> = (Phase, i64, bool, usize, &'a GroupKind, &'a str, &'a str);

fn order(task: &Task) -> Order<'_> {
    (
        task.phase,
        task.wave,
        !task.is_prune(),
        rank(&task.key.kind),
        &task.key.kind,
        &task.key.namespace,
        &task.key.name,
    )
}

/// Whether the operation is about this object.
fn is_selected(input: &PlanInput<'_>, key: &Key) -> bool {
    let Some(resources) = input
        .operation
        .resources
        .as_ref()
        .filter(|list| !list.is_empty())
    else {
        return true;
    };
    resources.iter().any(|resource| {
        let namespace = resource.namespace.as_deref().unwrap_or("");
        resource.group.as_deref().unwrap_or("") == key.kind.group
            && resource.kind == key.kind.kind
            && resource.name == key.name
            && (namespace.is_empty() || namespace == key.namespace)
    })
}

fn apply_task(
    target: &Target,
    input: &PlanInput<'_>,
    errors: &mut Vec<(Key, OptionError)>,
) -> Option<Task> {
    let (options, wrong) = input.options.for_object(&target.object);
    errors.extend(wrong.into_iter().map(|error| (target.key.clone(), error)));
    let mut task = Task {
        key: target.key.clone(),
        api_version: target.api_version.clone(),
        phase: Phase::Sync,
        wave: target.wave,
        work: Work::Prune,
        hook: None,
        options,
        fenced: target.fenced,
    };
    let is_synced = input
        .comparison
        .get(&target.key)
        .is_some_and(|state| state.sync == SyncCode::Synced);
    // What this sync has applied stays a task, so that its health is still waited for.
    let is_done = input.results.iter().any(|result| task.has_result(result));
    if input.options.apply_out_of_sync_only && is_synced && !is_done {
        return None;
    }
    let mut object = target.object.clone();
    if let Some(live) = input.live.objects.get(&target.key)
        && input.options.respect_ignore_differences
    {
        input.rules.keep_live(&target.key, live, &mut object);
    }
    if target.key.kind == GroupKind::new(names::GROUP, "Rollout") {
        set_annotation(
            &mut object,
            names::GIT_REVISION,
            template_revision(target, input),
        );
    }
    task.work = Work::Apply(Box::new(object));
    Some(task)
}

/// The commit that brought a Rollout's pod template: this one, or the one that is written on the live Rollout when the
/// template stays.
fn template_revision<'a>(target: &Target, input: &PlanInput<'a>) -> &'a str {
    let known = input
        .live
        .objects
        .get(&target.key)
        .and_then(|live| annotation(live, names::GIT_REVISION));
    let template_changes = input.comparison.get(&target.key).is_none_or(|state| {
        state.changes.iter().any(|change| {
            ["spec", "spec.template", "spec.workloadRef"].contains(&change.path.as_str())
                || change.path.starts_with("spec.template.")
                || change.path.starts_with("spec.workloadRef.")
        })
    });
    match known {
        Some(known) if !template_changes => known,
        _ => input.revision,
    }
}

fn hook_task(target: &Target, hook: &Hook, phase: Phase, input: &PlanInput<'_>) -> Task {
    let mut object = target.object.clone();
    let mut key = target.key.clone();
    if key.name.is_empty() {
        let short: String = input.revision.chars().take(7).collect();
        key.name = format!(
            "{}{short}-{}-{}",
            text(&object, "/metadata/generateName"),
            phase.as_str().to_lowercase(),
            input.started_at.as_second()
        );
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("generateName");
            metadata.insert("name".to_owned(), Value::String(key.name.clone()));
        }
        stamp(&mut object, &key, input.placement);
    }
    set_annotation(
        &mut object,
        names::HOOK_RUN,
        &format!("{}-{phase}", input.run_id()),
    );
    let (options, _) = input.options.for_object(&object);
    Task {
        key,
        api_version: target.api_version.clone(),
        phase,
        wave: target.wave,
        work: Work::Apply(Box::new(object)),
        hook: Some(hook.clone()),
        options,
        fenced: false,
    }
}

/// Prune tasks run in the reverse order of their waves, and with `PruneLast` after everything else.
fn prune_tasks(input: &PlanInput<'_>) -> Vec<Task> {
    let mut tasks: Vec<Task> = input
        .comparison
        .resources
        .iter()
        .filter(|state| state.requires_pruning && is_selected(input, &state.key))
        .filter_map(|state| {
            let live = input.live.objects.get(&state.key)?;
            let (options, _) = input.options.for_object(live);
            Some(Task {
                key: state.key.clone(),
                api_version: text(live, "/apiVersion").to_owned(),
                phase: Phase::Sync,
                wave: state.wave,
                work: Work::Prune,
                hook: None,
                options,
                fenced: false,
            })
        })
        .collect();
    let waves: Vec<i64> = tasks
        .iter()
        .map(|task| task.wave)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    for task in &mut tasks {
        let at = waves.iter().position(|wave| *wave == task.wave);
        if let Some(wave) = at.and_then(|at| waves.iter().rev().nth(at)) {
            task.wave = *wave;
        }
    }
    let last = input
        .targets
        .objects
        .iter()
        .filter(|target| target.hook.is_none())
        .map(|target| target.wave)
        .chain(tasks.iter().map(|task| task.wave))
        .max()
        .unwrap_or(0)
        .saturating_add(1);
    for task in tasks.iter_mut().filter(|task| task.options.prune_last) {
        task.wave = last;
    }
    tasks
}

/// The destination namespace, when it is to be made and nothing else makes it.
fn namespace_task(input: &PlanInput<'_>, tasks: &[Task]) -> Option<Task> {
    let name = input.placement.namespace.as_str();
    if !input.options.create_namespace || name.is_empty() {
        return None;
    }
    let key = Key::new("", "Namespace", "", name);
    if tasks.iter().any(|task| task.key == key) || input.targets.plain(&key).is_some() {
        return None;
    }
    let task = Task {
        api_version: "v1".to_owned(),
        phase: Phase::PreSync,
        wave: i64::MIN,
        work: Work::Apply(Box::new(namespace(name, None))),
        hook: None,
        options: input.options.clone(),
        fenced: false,
        key,
    };
    let is_done = input.results.iter().any(|result| task.has_result(result));
    let is_there = input.live.objects.contains_key(&task.key);
    (is_done || !is_there).then_some(task)
}

/// The destination namespace as `CreateNamespace=true` makes it. It carries no tracking stamp: it is not deleted with
/// the Application.
#[must_use]
pub fn namespace(name: &str, metadata: Option<&ManagedNamespaceMetadata>) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let labels = metadata.and_then(|metadata| metadata.labels.as_ref());
    let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
    if let Some(place) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for (field, map) in [("labels", labels), ("annotations", annotations)] {
            if let Some(map) = map.filter(|map| !map.is_empty()) {
                place.insert(field.to_owned(), json!(map));
            }
        }
    }
    object
}

/// A namespace is applied no later than the first object in it, a definition no later than the first object of its
/// kind, whatever their waves say.
fn pull_forward(tasks: &mut [Task]) {
    let earliest = |tasks: &[Task], wanted: &dyn Fn(&Task) -> bool| {
        tasks
            .iter()
            .filter(|task| !task.is_prune() && wanted(task))
            .map(|task| (task.phase, task.wave))
            .min()
    };
    let moves: Vec<(usize, (Phase, i64))> = tasks
        .iter()
        .enumerate()
        .filter_map(|(index, task)| {
            let Work::Apply(object) = &task.work else {
                return None;
            };
            let first = if task.key.kind == GroupKind::new("", "Namespace") {
                earliest(tasks, &|other| other.key.namespace == task.key.name)
            } else {
                let (kind, _) = defined_kind(object)?;
                earliest(tasks, &|other| other.key.kind == kind)
            }?;
            (first < (task.phase, task.wave)).then_some((index, first))
        })
        .collect();
    for (index, (phase, wave)) in moves {
        if let Some(task) = tasks.get_mut(index) {
            task.phase = phase;
            task.wave = wave;
        }
    }
}
