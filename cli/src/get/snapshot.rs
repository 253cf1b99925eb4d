//! A Rollout and everything below it, as plain data: what `get`, `explain` and the tests look at. Pure; [`super::read`]
//! fills it from a cluster.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::core::{Selector, SelectorExt};
use serde_json::Value;
use sluice_analysis::template::Templates;
use sluice_crds::ObjectMeta;
use sluice_crds::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use sluice_crds::decode::{self, DecodeError};
use sluice_crds::experiment::Experiment;
use sluice_crds::names;
use sluice_crds::rollout::Rollout;
use sluice_rollout::{Plan, Pod, ReplicaSet, Service, Settings, World};
use sluice_traffic::ObjectRef;

use super::experiment::ExperimentView;
use super::owned::{Owned, Unread, is_owned, of_kind, text};

/// A Rollout and everything below it.
pub(crate) struct Snapshot {
    /// The Rollout.
    pub rollout: Rollout,
    /// Its ReplicaSets, their pods, and its AnalysisRuns.
    pub owned: Owned,
    /// ReplicaSets without an owner that its selector selects: it would take them over.
    orphans: Vec<ReplicaSet>,
    /// Its Experiments, the oldest first, with what each of them owns.
    pub experiments: Vec<ExperimentView>,
    /// The objects that carry its weights.
    pub routes: Vec<Value>,
    services: BTreeMap<String, Service>,
    templates: Templates,
    /// The Application that it belongs to.
    pub application: Option<Value>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

impl Snapshot {
    /// Picks what belongs to a Rollout out of objects of all kinds.
    ///
    /// # Errors
    /// When the Rollout or one of its ReplicaSets cannot be decoded; the error names the field.
    pub(crate) fn of(
        rollout: &Value,
        objects: &[Value],
        mut unread: Vec<Unread>,
    ) -> Result<Self, DecodeError> {
        let rollout: Rollout = decode::decode(rollout)?;
        let uid = rollout.metadata.uid.clone().unwrap_or_default();
        let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
        let owned = Owned::of(&uid, &namespace, objects)?;
        let mut orphans = Vec::new();
        for object in of_kind(objects, "ReplicaSet", &namespace) {
            let set = ReplicaSet::from_object(object)?;
            if set.owner.is_none() && is_selected(&rollout, object) {
                orphans.push(set);
            }
        }
        let mut experiments = Vec::new();
        for object in of_kind(objects, "Experiment", &namespace).filter(|it| is_owned(it, &uid)) {
            match ExperimentView::of(object, objects, Vec::new()) {
                Ok(experiment) => experiments.push(experiment),
                Err(error) => unread.push(Unread {
                    what: format!("Experiment {}", text(object, "/metadata/name")),
                    why: error.to_string(),
                    decides: true,
                }),
            }
        }
        experiments.sort_by_key(ExperimentView::order);
        let services = of_kind(objects, "Service", &namespace)
            .map(Service::from_object)
            .map(|service| (service.name.clone(), service))
            .collect();
        let templates = templates(objects, &namespace);
        let routed = referenced(&rollout);
        let routes = objects
            .iter()
            .filter(|object| routed.iter().any(|wanted| wanted.names(object)))
            .cloned()
            .collect();
        let application = application_of(&rollout).and_then(|wanted| {
            let is_it = |it: &&Value| text(it, "/kind") == "Application" && wanted.names(it);
            objects.iter().find(is_it).cloned()
        });
        Ok(Self {
            rollout,
            owned,
            orphans,
            experiments,
            routes,
            services,
            templates,
            application,
            unread,
        })
    }

    /// What the engine decides about this view now: the same function as in the controller. `None` when something that
    /// it depends on could not be read.
    pub(crate) fn plan(&self, now: Timestamp) -> Option<Plan> {
        if self.unread.iter().any(|unread| unread.decides) {
            return None;
        }
        let sets: Vec<ReplicaSet> = self
            .owned
            .replica_sets()
            .chain(&self.orphans)
            .cloned()
            .collect();
        let lookup = |wanted: &ObjectRef| self.routes.iter().find(|route| wanted.names(route));
        let max = self
            .rollout
            .spec
            .canary()
            .map_or(100, |canary| canary.max_weight());
        let traffic = match sluice_traffic::referenced(&self.rollout) {
            Ok(_) => Ok(sluice_traffic::observe(&self.rollout, &lookup, max)),
            Err(errors) => Err(errors
                .into_iter()
                .map(|error| (error.field, error.message))
                .collect::<Vec<_>>()),
        };
        let settings = settings(&self.rollout.metadata);
        let pods: Vec<Pod> = self
            .owned
            .pods
            .iter()
            .filter_map(|pod| Pod::from_object(pod).ok())
            .collect();
        let experiments: Vec<Experiment> = self
            .experiments
            .iter()
            .map(|view| view.experiment.clone())
            .collect();
        let world = World {
            rollout: &self.rollout,
            replica_sets: &sets,
            services: &self.services,
            pods: &pods,
            analysis_runs: &self.owned.runs,
            experiments: &experiments,
            templates: &self.templates,
            traffic: traffic.as_deref().map_err(Vec::as_slice),
            workload: None,
            settings: &settings,
            basis: None,
        };
        Some(sluice_rollout::decide(&world, now))
    }

    /// The Experiment of the step that is worked on.
    pub(crate) fn current_experiment(&self) -> Option<&ExperimentView> {
        let canary = self.rollout.status.as_ref()?.canary.as_ref()?;
        let name = canary.current_experiment.as_deref()?;
        self.experiments.iter().find(|view| view.name() == name)
    }

    /// The runs of the update that is under way, or of the one that was aborted, and those of its present Experiment.
    pub(crate) fn current_runs(&self) -> impl Iterator<Item = &AnalysisRun> {
        let current = self
            .rollout
            .status
            .as_ref()
            .and_then(|status| status.current_pod_hash.as_deref());
        let own = self.owned.runs.iter().filter(move |run| {
            let labels = run.metadata.labels.as_ref();
            let hash = labels.and_then(|labels| labels.get(names::POD_TEMPLATE_HASH));
            hash.is_some() && hash.map(String::as_str) == current
        });
        let of_experiment = self.current_experiment().into_iter();
        own.chain(of_experiment.flat_map(|view| &view.owned.runs))
    }
}

/// Whether the Rollout's selector selects an object. A selector that cannot be read selects everything, as in the
/// request that was sent.
fn is_selected(rollout: &Rollout, object: &Value) -> bool {
    let labels = object.pointer("/metadata/labels").cloned();
    let labels: BTreeMap<String, String> = labels
        .and_then(|labels| serde_json::from_value(labels).ok())
        .unwrap_or_default();
    match rollout.spec.selector.clone().map(Selector::try_from) {
        Some(Ok(selector)) => selector.matches(&labels),
        _ => true,
    }
}

/// Settings of the controller that takes care of an object: it has the value of the object's label.
pub(super) fn settings(metadata: &ObjectMeta) -> Settings {
    let labels = metadata.labels.as_ref();
    Settings {
        instance_id: labels
            .and_then(|labels| labels.get(names::INSTANCE_ID))
            .cloned()
            .unwrap_or_default(),
    }
}

/// The analysis templates of a namespace and of the cluster; what cannot be decoded counts as missing.
pub(crate) fn templates(objects: &[Value], namespace: &str) -> Templates {
    let mut templates = Templates::new();
    for object in of_kind(objects, "AnalysisTemplate", namespace) {
        if let Ok(template) = decode::decode::<AnalysisTemplate>(object) {
            templates.insert(text(object, "/metadata/name"), template.spec);
        }
    }
    for object in of_kind(objects, "ClusterAnalysisTemplate", "") {
        if let Ok(template) = decode::decode::<ClusterAnalysisTemplate>(object) {
            templates.insert_cluster(text(object, "/metadata/name"), template.spec);
        }
    }
    templates
}

/// The router objects that a Rollout names; none when it names one that is not supported.
pub(crate) fn referenced(rollout: &Rollout) -> Vec<ObjectRef> {
    let objects = sluice_traffic::referenced(rollout).unwrap_or_default();
    objects.into_iter().map(|object| object.object).collect()
}

/// An Application by its name in tracking annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApplicationName {
    /// Its namespace; `None`: that of the controller.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ApplicationName {
    fn names(&self, application: &Value) -> bool {
        let namespace = text(application, "/metadata/namespace");
        text(application, "/metadata/name") == self.name
            && self
                .namespace
                .as_deref()
                .is_none_or(|wanted| wanted == namespace)
    }
}

/// The Application that applied a Rollout, if its tracking annotation points at itself.
pub(crate) fn application_of(rollout: &Rollout) -> Option<ApplicationName> {
    let annotation = rollout
        .metadata
        .annotations
        .as_ref()?
        .get(names::TRACKING_ID)?;
    let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let (application, rest) = annotation.split_once(':')?;
    if rest != format!("{}/Rollout:{namespace}/{name}", names::GROUP) {
        return None;
    }
    // Names of Kubernetes objects have no underscore, so it can only be the one that separates the two.
    Some(match application.split_once('_') {
        Some((namespace, name)) => ApplicationName {
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        },
        None => ApplicationName {
            namespace: None,
            name: application.to_owned(),
        },
    })
}
