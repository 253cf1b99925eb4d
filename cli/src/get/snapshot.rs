//! A Rollout and everything below it, as plain data: what `get`, `explain` and the tests look at. Pure; [`super::read`]
//! fills it from a cluster.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use sluice_analysis::template::Templates;
use sluice_crds::ObjectMeta;
use sluice_crds::analysis::{
    AnalysisRun, AnalysisRunStatus, AnalysisTemplate, ClusterAnalysisTemplate,
};
use sluice_crds::decode::{self, DecodeError};
use sluice_crds::experiment::Experiment;
use sluice_crds::names;
use sluice_crds::rollout::Rollout;
use sluice_rollout::{Plan, Pod, ReplicaSet, Service, Settings, World};
use sluice_traffic::ObjectRef;

/// A ReplicaSet, and whether its status belongs to its spec.
pub(crate) struct Set {
    /// The set.
    pub set: ReplicaSet,
    /// Whether `status.observedGeneration` has caught up.
    pub observed: bool,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    /// What, in the plural.
    pub what: String,
    /// Why.
    pub why: String,
    /// Whether decisions depend on it.
    pub decides: bool,
}

/// A Rollout and everything below it.
pub(crate) struct Snapshot {
    /// The Rollout.
    pub rollout: Rollout,
    /// Its ReplicaSets, newest revision first.
    pub sets: Vec<Set>,
    /// ReplicaSets without an owner that its selector selects: it would take them over.
    orphans: Vec<ReplicaSet>,
    /// Pods of its ReplicaSets.
    pub pods: Vec<Value>,
    /// Its AnalysisRuns.
    pub runs: Vec<AnalysisRun>,
    /// Its Experiments.
    experiments: Vec<Experiment>,
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
        unread: Vec<Unread>,
    ) -> Result<Self, DecodeError> {
        let rollout: Rollout = decode::decode(rollout)?;
        let uid = rollout.metadata.uid.clone().unwrap_or_default();
        let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
        let of_kind = |kind: &'static str| {
            objects
                .iter()
                .filter(move |object| text(object, "/kind") == kind)
        };
        let here = |object: &&Value| text(object, "/metadata/namespace") == namespace;

        let mut sets = Vec::new();
        let mut orphans = Vec::new();
        for object in of_kind("ReplicaSet").filter(here) {
            let set = ReplicaSet::from_object(object)?;
            match set.owner.as_deref() {
                Some(owner) if owner == uid => sets.push(Set {
                    set,
                    observed: is_observed(object),
                }),
                None => orphans.push(set),
                Some(_) => {}
            }
        }
        sets.sort_by(|one, other| {
            let order = |set: &Set| (std::cmp::Reverse(set.set.revision()), set.set.name.clone());
            order(one).cmp(&order(other))
        });
        let pods = of_kind("Pod")
            .filter(here)
            .filter(|pod| sets.iter().any(|set| is_owned(pod, &set.set.uid)))
            .cloned()
            .collect();
        let runs = of_kind("AnalysisRun")
            .filter(here)
            .filter(|run| is_owned(run, &uid))
            .map(run)
            .collect();
        let experiments = of_kind("Experiment")
            .filter(here)
            .filter(|experiment| is_owned(experiment, &uid))
            .filter_map(|experiment| decode::decode(experiment).ok())
            .collect();
        let services = of_kind("Service")
            .filter(here)
            .map(Service::from_object)
            .map(|service| (service.name.clone(), service))
            .collect();
        let mut templates = Templates::new();
        for object in of_kind("AnalysisTemplate").filter(here) {
            if let Ok(template) = decode::decode::<AnalysisTemplate>(object) {
                templates.insert(text(object, "/metadata/name"), template.spec);
            }
        }
        for object in of_kind("ClusterAnalysisTemplate") {
            if let Ok(template) = decode::decode::<ClusterAnalysisTemplate>(object) {
                templates.insert_cluster(text(object, "/metadata/name"), template.spec);
            }
        }
        let routed = referenced(&rollout);
        let routes = objects
            .iter()
            .filter(|object| routed.iter().any(|wanted| wanted.names(object)))
            .cloned()
            .collect();
        let application = application_of(&rollout).and_then(|wanted| {
            of_kind("Application")
                .find(|found| wanted.names(found))
                .cloned()
        });
        Ok(Self {
            rollout,
            sets,
            orphans,
            pods,
            runs,
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
            .sets
            .iter()
            .map(|set| &set.set)
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
        // The controller that takes care of this Rollout has the value of its label.
        let labels = self.rollout.metadata.labels.as_ref();
        let settings = Settings {
            instance_id: labels
                .and_then(|labels| labels.get(names::INSTANCE_ID))
                .cloned()
                .unwrap_or_default(),
        };
        let pods: Vec<Pod> = self
            .pods
            .iter()
            .filter_map(|pod| Pod::from_object(pod).ok())
            .collect();
        let world = World {
            rollout: &self.rollout,
            replica_sets: &sets,
            services: &self.services,
            pods: &pods,
            analysis_runs: &self.runs,
            experiments: &self.experiments,
            templates: &self.templates,
            traffic: traffic.as_deref().map_err(Vec::as_slice),
            workload: None,
            settings: &settings,
        };
        Some(sluice_rollout::decide(&world, now))
    }

    /// The runs of the update that is under way, or of the one that was aborted.
    pub(crate) fn current_runs(&self) -> impl Iterator<Item = &AnalysisRun> {
        let current = self
            .rollout
            .status
            .as_ref()
            .and_then(|status| status.current_pod_hash.as_deref());
        self.runs.iter().filter(move |run| {
            let labels = run.metadata.labels.as_ref();
            let hash = labels.and_then(|labels| labels.get(names::POD_TEMPLATE_HASH));
            hash.is_some() && hash.map(String::as_str) == current
        })
    }
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

/// One that cannot be decoded is shown as inconclusive, as the controller takes it.
fn run(object: &Value) -> AnalysisRun {
    decode::decode(object).unwrap_or_else(|error| AnalysisRun {
        metadata: serde_json::from_value(object.get("metadata").cloned().unwrap_or_default())
            .unwrap_or_else(|_| ObjectMeta {
                name: Some(text(object, "/metadata/name").to_owned()),
                ..ObjectMeta::default()
            }),
        spec: Default::default(),
        status: Some(AnalysisRunStatus {
            phase: "Inconclusive".to_owned(),
            message: Some(format!("the AnalysisRun cannot be read: {error}")),
            ..AnalysisRunStatus::default()
        }),
    })
}

fn is_observed(set: &Value) -> bool {
    let number = |pointer: &str| set.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    number("/metadata/generation") <= number("/status/observedGeneration")
}

fn is_owned(object: &Value, uid: &str) -> bool {
    object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|owner| text(owner, "/uid") == uid)
}

/// The text at a JSON pointer; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
