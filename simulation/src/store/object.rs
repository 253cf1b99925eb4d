//! An object at one resource version: never changed, shared by the store, its history and every cache, and decoded at
//! most once.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::Value;
use sluice_crds::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use sluice_crds::experiment::Experiment;
use sluice_crds::rollout::Rollout;
use sluice_rollout::experiment::OwnedService;
use sluice_rollout::{ReplicaSet, Service};

use super::key::Key;
use super::patch::text;

/// An object.
#[derive(Debug)]
pub struct Object {
    /// Which object.
    pub key: Arc<Key>,
    /// `metadata.resourceVersion`.
    pub version: u64,
    value: Value,
    content: OnceLock<Content>,
}

/// What the engines see of an object.
#[derive(Debug)]
enum Content {
    Rollout(Box<Rollout>),
    ReplicaSet(Box<ReplicaSet>),
    Service(Box<(Service, OwnedService)>),
    Run(Box<AnalysisRun>),
    Experiment(Box<Experiment>),
    Template(Box<AnalysisTemplate>),
    ClusterTemplate(Box<ClusterAnalysisTemplate>),
    /// Another kind, or one that cannot be decoded.
    Other,
}

impl Object {
    pub(super) fn new(key: Arc<Key>, version: u64, value: Value) -> Arc<Self> {
        Arc::new(Self {
            key,
            version,
            value,
            content: OnceLock::new(),
        })
    }

    /// The whole object.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        text(&self.value, "/metadata/uid")
    }

    /// uid of the first owner; empty without one.
    #[must_use]
    pub fn owner(&self) -> &str {
        text(&self.value, "/metadata/ownerReferences/0/uid")
    }

    /// A label; empty when it is absent.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.value
            .get("metadata")
            .and_then(|metadata| metadata.get("labels")?.get(name)?.as_str())
            .unwrap_or_default()
    }

    fn content(&self) -> &Content {
        self.content.get_or_init(|| self.decode())
    }

    fn decode(&self) -> Content {
        fn typed<'a, T: Deserialize<'a>>(
            value: &'a Value,
            content: impl FnOnce(Box<T>) -> Content,
        ) -> Content {
            T::deserialize(value).map_or(Content::Other, |it| content(Box::new(it)))
        }
        match self.key.kind.as_str() {
            "Rollout" => typed(&self.value, Content::Rollout),
            "AnalysisRun" => typed(&self.value, Content::Run),
            "Experiment" => typed(&self.value, Content::Experiment),
            "AnalysisTemplate" => typed(&self.value, Content::Template),
            "ClusterAnalysisTemplate" => typed(&self.value, Content::ClusterTemplate),
            "ReplicaSet" => ReplicaSet::from_object(&self.value)
                .map_or(Content::Other, |it| Content::ReplicaSet(Box::new(it))),
            "Service" => Content::Service(Box::new((
                Service::from_object(&self.value),
                OwnedService::from_object(&self.value),
            ))),
            _ => Content::Other,
        }
    }

    /// The Rollout that it is.
    #[must_use]
    pub fn rollout(&self) -> Option<&Rollout> {
        match self.content() {
            Content::Rollout(it) => Some(it),
            _ => None,
        }
    }

    /// The ReplicaSet that it is.
    #[must_use]
    pub fn replica_set(&self) -> Option<&ReplicaSet> {
        match self.content() {
            Content::ReplicaSet(it) => Some(it),
            _ => None,
        }
    }

    /// The Service that it is.
    #[must_use]
    pub fn service(&self) -> Option<&Service> {
        match self.content() {
            Content::Service(it) => Some(&it.0),
            _ => None,
        }
    }

    /// The Service that it is, as its Experiment sees it.
    #[must_use]
    pub fn owned_service(&self) -> Option<&OwnedService> {
        match self.content() {
            Content::Service(it) => Some(&it.1),
            _ => None,
        }
    }

    /// The AnalysisRun that it is.
    #[must_use]
    pub fn run(&self) -> Option<&AnalysisRun> {
        match self.content() {
            Content::Run(it) => Some(it),
            _ => None,
        }
    }

    /// The Experiment that it is.
    #[must_use]
    pub fn experiment(&self) -> Option<&Experiment> {
        match self.content() {
            Content::Experiment(it) => Some(it),
            _ => None,
        }
    }

    /// The AnalysisTemplate that it is.
    #[must_use]
    pub fn template(&self) -> Option<&AnalysisTemplate> {
        match self.content() {
            Content::Template(it) => Some(it),
            _ => None,
        }
    }

    /// The ClusterAnalysisTemplate that it is.
    #[must_use]
    pub fn cluster_template(&self) -> Option<&ClusterAnalysisTemplate> {
        match self.content() {
            Content::ClusterTemplate(it) => Some(it),
            _ => None,
        }
    }
}
