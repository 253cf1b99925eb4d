//! Observe: from the caches to the `World` of one Rollout. Reads nothing else, and changes nothing.
//!
//! A view is complete or there is none: while a cache that belongs to it is still being filled, the Rollout waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use kube::core::SelectorExt;
use serde_json::Value;
use sluice_analysis::Templates;
use sluice_crds::analysis::{AnalysisRun, AnalysisRunStatus, AnalysisTemplateRef};
use sluice_crds::decode::DecodeError;
use sluice_crds::experiment::{Experiment, ExperimentStatus};
use sluice_crds::rollout::Rollout;
use sluice_crds::split::ObservedSplit;
use sluice_crds::{LabelSelector, ObjectMeta};
use sluice_rollout::world::needs_pods;
use sluice_rollout::{Basis, Pod, ReplicaSet, Service, Settings, World};
use sluice_runtime::kind::{DEPLOYMENT, POD_TEMPLATE, REPLICA_SET, SERVICE};
use sluice_runtime::{Cache, Caches, Key, Object, SyncState};
use sluice_traffic::ObjectRef;

use crate::templates;

use super::references::Reference;
use super::route::kind_of;
use super::watches::{Watches, reference};

/// Everything that one decision looks at, owned.
pub(crate) struct Observed {
    /// The Rollout as it is cached.
    pub(crate) object: Arc<Object>,
    /// The same, decoded.
    pub(crate) rollout: Rollout,
    replica_sets: Vec<ReplicaSet>,
    services: BTreeMap<String, Service>,
    pods: Vec<Pod>,
    runs: Vec<AnalysisRun>,
    experiments: Vec<Experiment>,
    templates: Templates,
    traffic: Result<Vec<ObservedSplit>, Vec<(String, String)>>,
    workload: Option<Value>,
    /// What every look at this view shares.
    basis: OnceLock<Basis>,
    /// Router objects that exist, and what tells what they can, by reference.
    pub(crate) routes: Vec<(ObjectRef, Value)>,
}

/// What was seen.
pub(crate) enum Sight {
    /// All of it.
    Complete(Box<Observed>),
    /// A cache is still being filled.
    NotYet,
    /// Something that belongs to it cannot be read; the sentence says what.
    Unreadable(String),
    /// The Rollout itself cannot be decoded.
    Malformed(DecodeError),
}

impl Observed {
    /// Calls `decide` with the view.
    pub(crate) fn with_world<T>(
        &self,
        settings: &Settings,
        decide: impl FnOnce(&World<'_>) -> T,
    ) -> T {
        let mut world = World {
            rollout: &self.rollout,
            replica_sets: &self.replica_sets,
            services: &self.services,
            pods: &self.pods,
            analysis_runs: &self.runs,
            experiments: &self.experiments,
            templates: &self.templates,
            traffic: self.traffic.as_deref().map_err(Vec::as_slice),
            workload: self.workload.as_ref(),
            settings,
            basis: None,
        };
        world.basis = Some(self.basis.get_or_init(|| Basis::of(&world)));
        decide(&world)
    }

    /// A router object, for `sluice_traffic`.
    pub(crate) fn route(&self, wanted: &ObjectRef) -> Option<&Value> {
        self.routes
            .iter()
            .find(|(object, _)| object == wanted)
            .map(|(_, value)| value)
    }
}

/// Observes one Rollout.
pub(crate) fn observe(watches: &Watches, caches: &Caches, object: &Arc<Object>) -> Sight {
    let own = [
        &watches.replica_sets,
        &watches.services,
        &watches.runs,
        &watches.experiments,
        &watches.templates,
        &watches.cluster_templates,
    ];
    if let Some(sight) = unsettled(own) {
        return sight;
    }
    let rollout: Rollout = match object.decode() {
        Ok(rollout) => rollout,
        Err(error) => return Sight::Malformed(error),
    };
    let namespace = &*object.key.namespace;
    let mut named = BTreeSet::new();

    let replica_sets = match replica_sets(watches, &rollout, object) {
        Ok(sets) => sets,
        Err(why) => return Sight::Unreadable(why),
    };
    let mut services = services(watches, &rollout, namespace, &mut named);
    left_services(watches, &object.key, &mut services);
    let referenced = sluice_traffic::referenced(&rollout);
    let routed: Vec<ObjectRef> = referenced
        .as_ref()
        .into_iter()
        .flatten()
        .map(|object| object.object.clone())
        .collect();
    let route_caches: Vec<(ObjectRef, Arc<Cache>)> = routed
        .into_iter()
        .map(|object| {
            let kind = kind_of(&object);
            named.insert(reference(&kind, Key::new(&object.namespace, &object.name)));
            (object, watches.named(caches, &kind))
        })
        .collect();
    let workload = workload(watches, caches, &rollout, namespace, &mut named);
    // The index is set before the caches are read, so that no change falls between the two.
    watches.references.set(&object.key, named.clone());

    let caches_needed = route_caches.iter().map(|(_, cache)| cache);
    if let Some(sight) = unsettled(caches_needed.chain(workload.iter().map(|(cache, _)| cache))) {
        return sight;
    }
    let pods = if needs_pods(&rollout, &replica_sets) {
        let cache = Watches::pods(caches);
        if let Some(sight) = unsettled([&cache]) {
            return sight;
        }
        match pods(&cache, &replica_sets) {
            Ok(pods) => pods,
            Err(why) => return Sight::Unreadable(why),
        }
    } else {
        Vec::new()
    };
    let mut routes: Vec<(ObjectRef, Value)> = route_caches
        .into_iter()
        .filter_map(|(object, cache)| {
            let value = cache
                .get(&Key::new(&object.namespace, &object.name))?
                .value();
            Some((object, value))
        })
        .collect();
    if let Some(sight) = gateways(watches, caches, object, &rollout, named, &mut routes) {
        return sight;
    }
    let lookup = |wanted: &ObjectRef| {
        routes
            .iter()
            .find(|(object, _)| object == wanted)
            .map(|(_, value)| value)
    };
    let traffic = match referenced {
        Ok(_) => {
            let max = rollout
                .spec
                .canary()
                .map_or(100, |canary| canary.max_weight());
            Ok(sluice_traffic::observe(&rollout, &lookup, max))
        }
        Err(errors) => Err(errors
            .into_iter()
            .map(|error| (error.field, error.message))
            .collect()),
    };
    Sight::Complete(Box::new(Observed {
        object: Arc::clone(object),
        runs: runs(watches, object),
        experiments: experiments(watches, object),
        templates: templates(
            watches,
            rollout.spec.analysis_templates().collect(),
            namespace,
        ),
        workload: workload.and_then(|(cache, key)| Some(cache.get(&key)?.value())),
        rollout,
        replica_sets,
        services,
        pods,
        traffic,
        routes,
        basis: OnceLock::new(),
    }))
}

/// Adds what tells whether the routers can make the routes of the steps, as far as it exists and may be read.
fn gateways(
    watches: &Watches,
    caches: &Caches,
    object: &Object,
    rollout: &Rollout,
    mut named: BTreeSet<Reference>,
    routes: &mut Vec<(ObjectRef, Value)>,
) -> Option<Sight> {
    // A route names Gateways, and they name their classes.
    for _ in 0..2 {
        let find = |wanted: &ObjectRef| routes.iter().find(|(known, _)| known == wanted);
        let mut told = sluice_traffic::told_by(rollout, &|wanted| Some(&find(wanted)?.1));
        told.retain(|object| find(object).is_none());
        if told.is_empty() {
            break;
        }
        let place =
            |object: &ObjectRef| (kind_of(object), Key::new(&object.namespace, &object.name));
        named.extend(
            told.iter()
                .map(place)
                .map(|(kind, key)| reference(&kind, key)),
        );
        // As above: the index first.
        watches.references.set(&object.key, named.clone());
        for wanted in told {
            let (kind, key) = place(&wanted);
            let cache = watches.named(caches, &kind);
            match cache.state() {
                SyncState::Starting => return Some(Sight::NotYet),
                // It would only be told what does not work.
                SyncState::Denied => {}
                SyncState::Synced | SyncState::Absent => {
                    routes.extend(cache.get(&key).map(|found| (wanted, found.value())));
                }
            }
        }
    }
    None
}

/// The first of the caches that cannot be relied on, as the answer to give.
fn unsettled<'a>(caches: impl IntoIterator<Item = &'a Arc<Cache>>) -> Option<Sight> {
    caches.into_iter().find_map(|cache| match cache.state() {
        SyncState::Synced | SyncState::Absent => None,
        SyncState::Starting => Some(Sight::NotYet),
        SyncState::Denied => Some(Sight::Unreadable(format!(
            "the controller may not list and watch {}: grant it in its ClusterRole",
            cache.kind()
        ))),
    })
}

/// Sets that the Rollout owns, and those without an owner that its selector selects.
fn replica_sets(
    watches: &Watches,
    rollout: &Rollout,
    object: &Object,
) -> Result<Vec<ReplicaSet>, String> {
    let orphans = watches.replica_sets.without_owner(&object.key.namespace);
    let selector = rollout.spec.selector.as_ref();
    let mut sets = Vec::new();
    for (cached, owned) in watches
        .replica_sets
        .owned_by(&object.uid)
        .into_iter()
        .map(|cached| (cached, true))
        .chain(orphans.into_iter().map(|cached| (cached, false)))
    {
        let set = ReplicaSet::from_object(&cached.value())
            .map_err(|error| format!("ReplicaSet {} cannot be read: {error}", cached.key))?;
        if owned || selector.is_some_and(|selector| selects(selector, &set.labels)) {
            sets.push(set);
        }
    }
    Ok(sets)
}

/// The live pods of these sets.
fn pods(cache: &Cache, sets: &[ReplicaSet]) -> Result<Vec<Pod>, String> {
    sets.iter()
        .flat_map(|set| cache.owned_by(&set.uid))
        .map(|cached| {
            Pod::from_object(&cached.value())
                .map_err(|error| format!("Pod {} cannot be read: {error}", cached.key))
        })
        .collect()
}

/// Whether a label selector selects these labels. An empty or malformed one selects nothing here: it is only asked
/// whether something may be taken over.
fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let empty = selector
        .match_labels
        .as_ref()
        .is_none_or(BTreeMap::is_empty)
        && selector
            .match_expressions
            .as_ref()
            .is_none_or(Vec::is_empty);
    !empty
        && kube::core::Selector::try_from(selector.clone())
            .is_ok_and(|selector| selector.matches(labels))
}

fn services(
    watches: &Watches,
    rollout: &Rollout,
    namespace: &str,
    named: &mut BTreeSet<Reference>,
) -> BTreeMap<String, Service> {
    rollout
        .spec
        .service_names()
        .into_iter()
        .filter_map(|name| {
            let key = Key::new(namespace, name);
            named.insert(reference(&SERVICE, key.clone()));
            let service = Service::from_object(&watches.services.get(&key)?.value());
            Some((name.to_owned(), service))
        })
        .collect()
}

/// Services that this Rollout manages and may not name any more.
fn left_services(watches: &Watches, rollout: &Key, services: &mut BTreeMap<String, Service>) {
    for key in watches.managed.of(rollout) {
        if let Some(cached) = watches.services.get(&key) {
            let service = Service::from_object(&cached.value());
            services.entry(service.name.clone()).or_insert(service);
        }
    }
}

/// The cache in which the workload of `workloadRef` is, and its key there. A kind that cannot be referred to is the
/// validation's business.
fn workload(
    watches: &Watches,
    caches: &Caches,
    rollout: &Rollout,
    namespace: &str,
    named: &mut BTreeSet<Reference>,
) -> Option<(Arc<Cache>, Key)> {
    let workload = rollout.spec.workload_ref.as_ref()?;
    let kind = match workload.kind.as_deref()? {
        "Deployment" => &DEPLOYMENT,
        "ReplicaSet" => &REPLICA_SET,
        "PodTemplate" => &POD_TEMPLATE,
        _ => return None,
    };
    let key = Key::new(namespace, workload.name.as_deref()?);
    named.insert(reference(kind, key.clone()));
    Some((watches.named(caches, kind), key))
}

/// The Rollout's runs. One that cannot be decoded counts as inconclusive: that pauses, and says why, and neither
/// promotes nor aborts.
fn runs(watches: &Watches, object: &Object) -> Vec<AnalysisRun> {
    watches
        .runs
        .owned_by(&object.uid)
        .into_iter()
        .map(|cached| {
            cached.decode().unwrap_or_else(|error| {
                let value = cached.value();
                let metadata: ObjectMeta = serde_json::from_value(value["metadata"].clone())
                    .unwrap_or_else(|_| ObjectMeta {
                        name: Some(cached.key.name.to_string()),
                        namespace: Some(cached.key.namespace.to_string()),
                        uid: Some(cached.uid.to_string()),
                        ..ObjectMeta::default()
                    });
                AnalysisRun {
                    metadata,
                    spec: Default::default(),
                    status: Some(AnalysisRunStatus {
                        phase: "Inconclusive".to_owned(),
                        message: Some(format!("the AnalysisRun cannot be read: {error}")),
                        ..AnalysisRunStatus::default()
                    }),
                }
            })
        })
        .collect()
}

/// The Rollout's Experiments. One that cannot be decoded counts as inconclusive, as a run does.
fn experiments(watches: &Watches, object: &Object) -> Vec<Experiment> {
    let owned = watches.experiments.owned_by(&object.uid);
    owned
        .into_iter()
        .map(|cached| {
            cached.decode().unwrap_or_else(|error| {
                let value = cached.value();
                let mut experiment = Experiment::new(&cached.key.name, Default::default());
                if let Ok(metadata) = serde_json::from_value(value["metadata"].clone()) {
                    experiment.metadata = metadata;
                }
                experiment.status = Some(ExperimentStatus {
                    phase: Some("Inconclusive".to_owned()),
                    message: Some(format!("the Experiment cannot be read: {error}")),
                    ..ExperimentStatus::default()
                });
                experiment
            })
        })
        .collect()
}

/// Templates by reference, and those that they name.
fn templates(watches: &Watches, open: Vec<AnalysisTemplateRef>, namespace: &str) -> Templates {
    templates::read(
        &watches.templates,
        &watches.cluster_templates,
        open,
        namespace,
    )
}
