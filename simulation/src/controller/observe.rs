//! Observe: from the cache to the worlds of the engines. What did not change since the last look is not looked up again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sluice_analysis::template::Templates;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::experiment::Experiment;
use sluice_crds::names::MANAGED_BY_ROLLOUTS;
use sluice_crds::rollout::{Rollout, RolloutStatus};
use sluice_crds::split::ObservedSplit;
use sluice_rollout::experiment::OwnedService;
use sluice_rollout::{Basis, Pod, ReplicaSet, Service, Settings, World, world};

use crate::store::{Key, Object};
use crate::view::View;
use crate::workload::Workloads;

type Edition = (u64, u64);

/// Something that is made anew only when what it is made from changed.
#[derive(Debug, Clone, Default)]
struct Part<T> {
    of: Vec<Edition>,
    value: T,
}

impl<T> Part<T> {
    fn keep(&mut self, of: &[Edition], make: impl FnOnce() -> T) {
        if self.of != of {
            self.value = make();
            self.of = of.to_vec();
        }
    }
}

/// What was seen of one Rollout or Experiment.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    sets: Part<Vec<ReplicaSet>>,
    services: Part<BTreeMap<String, Service>>,
    owned_services: Part<Vec<OwnedService>>,
    runs: Part<Vec<AnalysisRun>>,
    experiments: Part<Vec<Experiment>>,
    templates: Part<Templates>,
    traffic: Part<Shown>,
    workload: Part<Option<Value>>,
    routed: Part<BTreeSet<String>>,
    pods: Vec<Pod>,
    /// What decisions rest on, and what its part of the spec is made from.
    basis: Part<Option<(Vec<Edition>, Basis)>>,
}

/// What the routers show, or what of `trafficRouting` cannot be driven.
#[derive(Debug, Clone)]
struct Shown(Result<Vec<ObservedSplit>, Vec<(String, String)>>);

impl Default for Shown {
    fn default() -> Self {
        Self(Ok(Vec::new()))
    }
}

fn owned<'a>(view: &'a View, kind: &'a str, uid: &'a str) -> impl Iterator<Item = &'a Object> {
    view.list(kind)
        .map(|object| &**object)
        .filter(move |object| object.owner() == uid)
}

impl Seen {
    /// Looks at a Rollout.
    pub(super) fn rollout(
        &mut self,
        view: &View,
        object: &Object,
        rollout: &Rollout,
        workloads: &Workloads,
        settings: &Settings,
    ) {
        let uid = rollout.metadata.uid.as_deref().unwrap_or_default();
        let namespace = object.key.namespace.as_str();
        let own = (0, object.version);
        let generation = rollout.metadata.generation.unwrap_or(0);
        let spec = (0, u64::try_from(generation).unwrap_or(0));
        let canary = rollout.status.as_ref().and_then(|it| it.canary.as_ref());
        let pair = canary.and_then(|it| it.stable_ping_pong.as_deref());
        // Which of a pair is stable decides about the sides.
        let sides = (u64::from(pair == Some("ping")), spec.1);
        let sets = view.edition("ReplicaSet");
        self.sets.keep(&[sets, spec], || {
            let selector = rollout.spec.selector.as_ref();
            let selector = selector.and_then(|selector| selector.match_labels.as_ref());
            let free = |set: &ReplicaSet| {
                let mut labels = selector.into_iter().flatten();
                selector.is_some() && labels.all(|(key, value)| set.labels.get(key) == Some(value))
            };
            view.list("ReplicaSet")
                .filter(|set| set.key.namespace == namespace)
                .filter_map(|set| Some((set.owner(), set.replica_set()?)))
                .filter(|(owner, set)| *owner == uid || (owner.is_empty() && free(set)))
                .map(|(_, set)| set.clone())
                .collect()
        });
        self.services.keep(&[view.edition("Service"), own], || {
            services(view, namespace, rollout)
        });
        self.runs.keep(&[view.edition("AnalysisRun")], || {
            owned(view, "AnalysisRun", uid)
                .filter_map(|it| it.run().cloned())
                .collect()
        });
        self.experiments.keep(&[view.edition("Experiment")], || {
            owned(view, "Experiment", uid)
                .filter_map(|it| it.experiment().cloned())
                .collect()
        });
        self.templates(view, namespace);
        let routes = [view.edition("HTTPRoute"), view.edition("Ingress"), sides];
        self.traffic.keep(&routes, || {
            Shown(match sluice_traffic::referenced(rollout) {
                Ok(objects) if objects.is_empty() => Ok(Vec::new()),
                Ok(_) => {
                    let canary = rollout.spec.canary();
                    let max = canary.map_or(100, |canary| canary.max_weight());
                    Ok(sluice_traffic::observe(rollout, &|it| route(view, it), max))
                }
                Err(errors) => Err(errors
                    .into_iter()
                    .map(|error| (error.field, error.message))
                    .collect()),
            })
        });
        if let Some(reference) = &rollout.spec.workload_ref {
            let kind = reference.kind.as_deref().unwrap_or_default();
            let name = reference.name.as_deref().unwrap_or_default();
            self.workload.keep(&[view.edition(kind), spec], || {
                let key = Key::new(kind, namespace, name);
                view.get(&key).map(|object| object.value().clone())
            });
        }
        self.pods.clear();
        if world::needs_pods(rollout, &self.sets.value) {
            self.pods = workloads.pods();
        }
        self.basis(rollout, spec, view.edition("Service"), settings);
    }

    /// Makes the part of the basis anew of which something changed.
    fn basis(&mut self, rollout: &Rollout, spec: Edition, services: Edition, settings: &Settings) {
        let mut of_spec = self.workload.of.clone();
        of_spec.push(spec);
        let rest = [&self.templates.of, &self.traffic.of, &of_spec];
        let mut of: Vec<Edition> = rest.into_iter().flatten().copied().collect();
        of.push(services);
        if self.basis.of == of {
            return;
        }
        let world = self.world(rollout, settings);
        let basis = match &self.basis.value {
            Some((known_of, known)) if *known_of == of_spec => known.again(&world),
            _ => Basis::of(&world),
        };
        self.basis.keep(&of, || Some((of_spec, basis)));
    }

    /// Looks at an Experiment.
    pub(super) fn experiment(&mut self, view: &View, object: &Object) {
        let uid = object.uid();
        self.sets.keep(&[view.edition("ReplicaSet")], || {
            owned(view, "ReplicaSet", uid)
                .filter_map(|it| it.replica_set().cloned())
                .collect()
        });
        self.owned_services.keep(&[view.edition("Service")], || {
            owned(view, "Service", uid)
                .filter_map(|it| it.owned_service().cloned())
                .collect()
        });
        self.runs.keep(&[view.edition("AnalysisRun")], || {
            owned(view, "AnalysisRun", uid)
                .filter_map(|it| it.run().cloned())
                .collect()
        });
        self.templates(view, &object.key.namespace);
        self.routed.keep(&[view.edition("Rollout")], || {
            let owner = view
                .list("Rollout")
                .find(|rollout| rollout.uid() == object.owner());
            let status = owner.and_then(|rollout| rollout.rollout()?.status.as_ref());
            status.map_or_else(Default::default, RolloutStatus::routed_experiments)
        });
    }

    fn templates(&mut self, view: &View, namespace: &str) {
        let of = [
            view.edition("AnalysisTemplate"),
            view.edition("ClusterAnalysisTemplate"),
        ];
        self.templates.keep(&of, || {
            let mut templates = Templates::new();
            for object in view.list("AnalysisTemplate") {
                if let Some(template) = object
                    .template()
                    .filter(|_| object.key.namespace == namespace)
                {
                    templates.insert(object.key.name.clone(), template.spec.clone());
                }
            }
            for object in view.list("ClusterAnalysisTemplate") {
                if let Some(template) = object.cluster_template() {
                    templates.insert_cluster(object.key.name.clone(), template.spec.clone());
                }
            }
            templates
        });
    }

    /// The world of the Rollout that was looked at last.
    pub(super) fn world<'a>(&'a self, rollout: &'a Rollout, settings: &'a Settings) -> World<'a> {
        World {
            rollout,
            replica_sets: &self.sets.value,
            services: &self.services.value,
            pods: &self.pods,
            analysis_runs: &self.runs.value,
            experiments: &self.experiments.value,
            templates: &self.templates.value,
            traffic: self.traffic.value.0.as_deref().map_err(Vec::as_slice),
            workload: self.workload.value.as_ref(),
            settings,
            basis: self.basis.value.as_ref().map(|(_, basis)| basis),
        }
    }

    /// The world of the Experiment that was looked at last.
    pub(super) fn experiment_world<'a>(
        &'a self,
        experiment: &'a Experiment,
        refused: &'a [sluice_rollout::experiment::Refused],
        settings: &'a Settings,
    ) -> sluice_rollout::experiment::World<'a> {
        sluice_rollout::experiment::World {
            experiment,
            replica_sets: &self.sets.value,
            services: &self.owned_services.value,
            analysis_runs: &self.runs.value,
            templates: &self.templates.value,
            routed: &self.routed.value,
            refused,
            settings,
        }
    }

    /// The same, with every list the other way round, and nothing kept that can be made.
    pub(super) fn reversed(&self) -> Self {
        let mut seen = self.clone();
        seen.basis = Part::default();
        seen.sets.value.reverse();
        seen.owned_services.value.reverse();
        seen.runs.value.reverse();
        seen.experiments.value.reverse();
        seen.pods.reverse();
        if let Ok(traffic) = &mut seen.traffic.value.0 {
            traffic.reverse();
        }
        seen
    }
}

/// A router object.
pub(super) fn route<'a>(view: &'a View, object: &sluice_traffic::ObjectRef) -> Option<&'a Value> {
    let key = Key::new(&object.kind, &object.namespace, &object.name);
    view.get(&key).map(|object| object.value())
}

/// The Services that the strategy names, and those that this Rollout manages.
fn services(view: &View, namespace: &str, rollout: &Rollout) -> BTreeMap<String, Service> {
    let named = rollout.spec.service_names();
    let own = rollout.metadata.name.as_ref();
    let managed =
        |service: &Service| own.is_some() && service.annotations.get(MANAGED_BY_ROLLOUTS) == own;
    view.list("Service")
        .filter(|object| object.key.namespace == namespace)
        .filter_map(|object| object.service())
        .filter(|service| named.contains(service.name.as_str()) || managed(service))
        .map(|service| (service.name.clone(), service.clone()))
        .collect()
}
