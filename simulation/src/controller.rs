//! Sluice's Rollout and analysis loops over the in-memory cluster: observe → decide → act, as in production, through a
//! cache that may lag, with a crash after any write.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_analysis::plan::RunPlan;
use sluice_analysis::template::Templates;
use sluice_crds::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use sluice_crds::experiment::Experiment;
use sluice_crds::merge_patch::merge_diff;
use sluice_crds::names::MANAGED_BY_ROLLOUTS;
use sluice_crds::rollout::{Rollout, RolloutStatus};
use sluice_rollout::request;
use sluice_rollout::{Effect, EventNote, Plan, ReplicaSet, Service, Settings, World, invariants};

use crate::metrics::Metrics;
use crate::requests;
use crate::store::{Expected, Key, Part, Refusal, Store, text};
use crate::view::View;
use crate::workload::Workloads;

/// One thing that a loop does to the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// An effect of a Rollout's plan.
    Effect {
        /// The effect.
        effect: Effect,
        /// Whether the decision knew of an abort; a cache may be behind the order of a person.
        aborted: bool,
        /// `spec.replicas`, as the decision knew it.
        replicas: i32,
    },
    /// The status of a Rollout.
    Status,
    /// The status of an AnalysisRun.
    RunStatus,
    /// Deletion of an AnalysisRun.
    RunDeletion,
}

/// How one pass over one object ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Pass {
    /// Everything was written; `writes` says how much.
    Done {
        /// Number of writes that changed something.
        writes: usize,
    },
    /// The cache has not seen this controller's own last write yet: nothing was decided.
    Stale,
    /// The object is gone from the cache.
    Gone,
    /// A write was refused; the rest of the plan was dropped.
    Refused(Refusal),
    /// A safety invariant refused an effect; the rest of the plan was dropped.
    Unsafe(String),
    /// The controller died here: after the write with this number, counted from 0.
    Crashed(usize),
}

/// What is to go wrong in one pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Die before the write with this number.
    pub crash_before: Option<usize>,
    /// Carry the write with this number out, and answer with an error all the same.
    pub lose_answer: Option<usize>,
}

/// The loops, with their caches and nothing else that a restart would miss.
#[derive(Debug, Clone)]
pub struct Controller {
    /// The watch caches.
    pub view: View,
    settings: Settings,
    wrote: BTreeMap<Key, u64>,
    wake: BTreeMap<Key, Timestamp>,
    /// Events that were emitted, in order.
    pub events: Vec<(Timestamp, EventNote)>,
    /// The last plan of each Rollout.
    pub plans: BTreeMap<Key, Plan>,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            view: View::default(),
            settings: Settings {
                instance_id: String::new(),
            },
            wrote: BTreeMap::new(),
            wake: BTreeMap::new(),
            events: Vec::new(),
            plans: BTreeMap::new(),
        }
    }
}

impl Controller {
    /// Starts anew: what was in memory is gone, the caches are listed.
    pub fn restart(&mut self, store: &Store) {
        self.view.relist(store);
        self.wrote.clear();
        self.wake.clear();
    }

    /// When the next object asks to be looked at again.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wake.values().copied().min()
    }

    /// Keys of the objects that the loops look after.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.view
            .list("Rollout")
            .chain(self.view.list("AnalysisRun"))
            .map(Key::of)
            .collect()
    }

    /// Looks at one object. `observe` is called after each write that changed something.
    pub fn pass(
        &mut self,
        key: &Key,
        store: &mut Store,
        metrics: &mut Metrics,
        faults: Faults,
        observe: &mut dyn FnMut(&Store, &Write),
    ) -> Pass {
        let mut act = Act {
            store,
            faults,
            number: 0,
            writes: 0,
            wrote: Vec::new(),
            observe,
        };
        let outcome = match key.kind.as_str() {
            "Rollout" => self.rollout(key, &mut metrics.workloads, &mut act),
            _ => self.run(key, metrics, &mut act),
        };
        for (key, version) in act.wrote {
            self.wrote.insert(key, version);
        }
        match outcome {
            Err(pass) => pass,
            Ok(()) => Pass::Done { writes: act.writes },
        }
    }

    /// Whether the cache has seen this controller's own writes to objects of a namespace.
    fn fresh(&self, key: &Key) -> bool {
        self.wrote
            .iter()
            .filter(|(written, _)| written.namespace == key.namespace)
            .all(|(written, version)| self.view.version(&written.kind) >= *version)
    }

    fn rollout(
        &mut self,
        key: &Key,
        workloads: &mut Workloads,
        act: &mut Act<'_>,
    ) -> Result<(), Pass> {
        if !self.fresh(key) {
            return Err(Pass::Stale);
        }
        let Some(object) = self.view.get(key) else {
            self.wake.remove(key);
            return Err(Pass::Gone);
        };
        let Ok(rollout) = serde_json::from_value::<Rollout>(object.clone()) else {
            return Err(Pass::Gone);
        };
        let observed = Observed::of(&self.view, &rollout);
        let lookup = |object: &sluice_traffic::ObjectRef| {
            self.view
                .get(&Key::new(&object.kind, &object.namespace, &object.name))
        };
        let max = rollout
            .spec
            .canary()
            .map_or(100, |canary| canary.max_weight());
        let traffic = match sluice_traffic::referenced(&rollout) {
            Ok(_) => Ok(sluice_traffic::observe(&rollout, &lookup, max)),
            Err(errors) => Err(errors
                .into_iter()
                .map(|error| (error.field, error.message))
                .collect::<Vec<_>>()),
        };
        let pods = workloads.pods();
        let world = World {
            rollout: &rollout,
            replica_sets: &observed.replica_sets,
            services: &observed.services,
            pods: &pods,
            analysis_runs: &observed.runs,
            experiments: &observed.experiments,
            templates: &observed.templates,
            traffic: traffic.as_deref().map_err(Vec::as_slice),
            workload: observed.workload.as_ref(),
            settings: &self.settings,
        };
        let plan = sluice_rollout::decide(&world, act.store.now);
        match plan.wake_at {
            Some(at) => self.wake.insert(key.clone(), at),
            None => self.wake.remove(key),
        };

        let aborted = rollout.status.as_ref().is_some_and(RolloutStatus::aborted);
        let what = |effect: &Effect| Write::Effect {
            effect: effect.clone(),
            aborted,
            replicas: rollout.spec.replicas(),
        };
        let mut version = rollout
            .metadata
            .resource_version
            .clone()
            .unwrap_or_default();
        for effect in &plan.effects {
            if let Err(violation) = invariants::check(&world, effect) {
                return Err(Pass::Unsafe(violation.to_string()));
            }
            if let Effect::SetTraffic(split) = effect {
                for edit in sluice_traffic::edits(&rollout, split, &lookup) {
                    act.write(&what(effect), |store| requests::edit_route(store, &edit))?;
                }
                continue;
            }
            match effect {
                Effect::EvictPod { uid, .. } => {
                    act.touch()?;
                    workloads.evict(uid);
                    continue;
                }
                Effect::PatchPod {
                    uid,
                    labels,
                    annotations,
                    ..
                } => {
                    act.touch()?;
                    workloads.patch(uid, labels, annotations);
                    continue;
                }
                _ => {}
            }
            let Some(request) = request::of_effect(&rollout, effect, &version) else {
                continue;
            };
            let written = act.write(&what(effect), |store| requests::send(store, &request))?;
            if Key::of(&written) == *key {
                version = text(&written, "/metadata/resourceVersion").to_owned();
            }
        }
        if let Some(request) = request::of_status(&rollout, &plan.status, &version) {
            act.write(&Write::Status, |store| requests::send(store, &request))?;
        }
        let now = act.store.now;
        self.events
            .extend(plan.events.iter().map(|event| (now, event.clone())));
        self.plans.insert(key.clone(), plan);
        Ok(())
    }

    fn run(&mut self, key: &Key, metrics: &Metrics, act: &mut Act<'_>) -> Result<(), Pass> {
        if !self.fresh(key) {
            return Err(Pass::Stale);
        }
        let Some(object) = self.view.get(key) else {
            self.wake.remove(key);
            return Err(Pass::Gone);
        };
        let Ok(mut run) = serde_json::from_value::<AnalysisRun>(object.clone()) else {
            return Err(Pass::Gone);
        };
        let now = act.store.now;
        let plan = sluice_analysis::run::decide(&run, &BTreeSet::new(), now);
        write_run(key, &mut run, &plan, act)?;
        let mut wake = plan.wake_at;
        for request in &plan.measure {
            let outcome = metrics.measure(act.store, &run, request, now);
            let absorbed = sluice_analysis::run::absorb(&run, &request.metric.name, outcome, now);
            write_run(key, &mut run, &absorbed, act)?;
            wake = absorbed.wake_at.or(wake);
        }
        if plan.delete {
            let expected = Expected {
                uid: run.metadata.uid.clone(),
                resource_version: None,
            };
            act.write(&Write::RunDeletion, |store| {
                store.delete(key, &expected).map(|()| Value::Null)
            })?;
        }
        match wake {
            Some(at) => self.wake.insert(key.clone(), at),
            None => self.wake.remove(key),
        };
        Ok(())
    }
}

fn write_run(
    key: &Key,
    run: &mut AnalysisRun,
    plan: &RunPlan,
    act: &mut Act<'_>,
) -> Result<(), Pass> {
    let old = serde_json::to_value(run.status.clone().unwrap_or_default()).unwrap_or_default();
    let new = serde_json::to_value(&plan.status).unwrap_or_default();
    let Some(difference) = merge_diff(&old, &new) else {
        return Ok(());
    };
    let patch = json!({
        "metadata": { "resourceVersion": run.metadata.resource_version },
        "status": difference
    });
    let written = act.write(&Write::RunStatus, |store| {
        store.merge(key, Part::Main, &Expected::default(), &patch)
    })?;
    run.metadata.resource_version = Some(text(&written, "/metadata/resourceVersion").to_owned());
    run.status = Some(plan.status.clone());
    Ok(())
}

/// Carries writes out one after the other, and lets go wrong what is to go wrong.
struct Act<'a> {
    store: &'a mut Store,
    faults: Faults,
    number: usize,
    writes: usize,
    wrote: Vec<(Key, u64)>,
    observe: &'a mut dyn FnMut(&Store, &Write),
}

impl Act<'_> {
    /// A write to a pod, which is no object of the store.
    fn touch(&mut self) -> Result<(), Pass> {
        let number = self.number;
        self.number += 1;
        if self.faults.crash_before == Some(number) {
            return Err(Pass::Crashed(number));
        }
        self.writes += 1;
        Ok(())
    }

    fn write(
        &mut self,
        what: &Write,
        send: impl FnOnce(&mut Store) -> Result<Value, Refusal>,
    ) -> Result<Value, Pass> {
        let number = self.number;
        self.number += 1;
        if self.faults.crash_before == Some(number) {
            return Err(Pass::Crashed(number));
        }
        let before = self.store.version();
        let answer = send(self.store);
        if self.store.version() != before {
            self.writes += 1;
            (self.observe)(self.store, what);
        }
        let written = answer.map_err(Pass::Refused)?;
        if self.faults.lose_answer == Some(number) {
            return Err(Pass::Refused(Refusal::Conflict(Key::of(&written))));
        }
        if let Ok(version) = text(&written, "/metadata/resourceVersion").parse() {
            self.wrote.push((Key::of(&written), version));
        }
        Ok(written)
    }
}

/// What the cache holds of one Rollout, decoded.
struct Observed {
    replica_sets: Vec<ReplicaSet>,
    services: BTreeMap<String, Service>,
    runs: Vec<AnalysisRun>,
    experiments: Vec<Experiment>,
    templates: Templates,
    workload: Option<Value>,
}

impl Observed {
    fn of(view: &View, rollout: &Rollout) -> Self {
        let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
        let uid = rollout.metadata.uid.clone().unwrap_or_default();
        let here = |object: &&Value| text(object, "/metadata/namespace") == namespace;
        let owned = |object: &&Value| text(object, "/metadata/ownerReferences/0/uid") == uid;
        let own = rollout.metadata.name.as_ref();
        let canary = rollout.spec.canary();
        let blue_green = rollout.spec.blue_green();
        let names: Vec<&String> = canary
            .map(|canary| [&canary.canary_service, &canary.stable_service])
            .into_iter()
            .chain(
                canary
                    .and_then(|canary| canary.ping_pong.as_ref())
                    .map(|pair| [&pair.ping_service, &pair.pong_service]),
            )
            .chain(blue_green.map(|strategy| [&strategy.active_service, &strategy.preview_service]))
            .flatten()
            .flatten()
            .collect();
        let managed = |service: &Service| {
            own.is_some() && service.annotations.get(MANAGED_BY_ROLLOUTS) == own
        };
        let mut templates = Templates::new();
        for object in view.list("AnalysisTemplate").filter(here) {
            if let Ok(template) = serde_json::from_value::<AnalysisTemplate>(object.clone()) {
                templates.insert(text(object, "/metadata/name"), template.spec);
            }
        }
        for object in view.list("ClusterAnalysisTemplate") {
            if let Ok(template) = serde_json::from_value::<ClusterAnalysisTemplate>(object.clone())
            {
                templates.insert_cluster(text(object, "/metadata/name"), template.spec);
            }
        }
        let reference = rollout.spec.workload_ref.as_ref();
        let workload = reference.and_then(|reference| {
            let (kind, name) = (reference.kind.as_deref()?, reference.name.as_deref()?);
            view.get(&Key::new(kind, &namespace, name)).cloned()
        });
        Self {
            workload,
            replica_sets: view
                .list("ReplicaSet")
                .filter(here)
                .filter(owned)
                .filter_map(|set| ReplicaSet::from_object(set).ok())
                .collect(),
            services: view
                .list("Service")
                .filter(here)
                .map(Service::from_object)
                .filter(|service| names.contains(&&service.name) || managed(service))
                .map(|service| (service.name.clone(), service))
                .collect(),
            runs: view
                .list("AnalysisRun")
                .filter(here)
                .filter(owned)
                .filter_map(|run| serde_json::from_value(run.clone()).ok())
                .collect(),
            experiments: view
                .list("Experiment")
                .filter(here)
                .filter(owned)
                .filter_map(|experiment| serde_json::from_value(experiment.clone()).ok())
                .collect(),
            templates,
        }
    }
}
