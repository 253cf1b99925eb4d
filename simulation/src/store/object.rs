//! An object at one resource version: never changed, shared by the store, its history and every cache, and decoded at
//! most once.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::Value;
use sluice_crds::ObjectMeta;
use sluice_crds::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use sluice_crds::experiment::Experiment;
use sluice_crds::rollout::Rollout;
use sluice_rollout::experiment::OwnedService;
use sluice_rollout::{ReplicaSet, Service};

use super::fields::Fields;
use super::key::Key;

/// An object.
#[derive(Debug)]
pub struct Object {
    /// Which object.
    pub key: Arc<Key>,
    /// `metadata.resourceVersion`.
    pub version: u64,
    pub(super) fields: Fields,
    whole: OnceLock<Value>,
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
    pub(super) fn new(key: Arc<Key>, version: u64, fields: Fields) -> Arc<Self> {
        Arc::new(Self {
            key,
            version,
            fields,
            whole: OnceLock::new(),
            content: OnceLock::new(),
        })
    }

    /// The whole object.
    #[must_use]
    pub fn value(&self) -> &Value {
        self.whole.get_or_init(|| self.fields.whole())
    }

    /// The value at a JSON pointer such as `/spec/replicas`, without escapes.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.fields.at(pointer)
    }

    /// The text at a JSON pointer; empty when there is none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.fields.text(pointer)
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// uid of the first owner; empty without one.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.text("/metadata/ownerReferences/0/uid")
    }

    /// A label; empty when it is absent.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        let labels = self.at("/metadata/labels");
        labels
            .and_then(|labels| labels.get(name)?.as_str())
            .unwrap_or_default()
    }

    fn content(&self) -> &Content {
        self.content
            .get_or_init(|| self.decode().unwrap_or(Content::Other))
    }

    fn decode(&self) -> Option<Content> {
        Some(match self.key.kind.as_str() {
            "Rollout" => Content::Rollout(Box::new(Rollout {
                metadata: self.metadata()?,
                spec: self.fields.spec()?,
                status: self.part("status")?,
            })),
            "AnalysisRun" => Content::Run(Box::new(AnalysisRun {
                metadata: self.metadata()?,
                spec: self.fields.spec()?,
                status: self.part("status")?,
            })),
            "Experiment" => Content::Experiment(Box::new(Experiment {
                metadata: self.metadata()?,
                spec: self.fields.spec()?,
                status: self.part("status")?,
            })),
            "AnalysisTemplate" => Content::Template(Deserialize::deserialize(self.value()).ok()?),
            "ClusterAnalysisTemplate" => {
                Content::ClusterTemplate(Deserialize::deserialize(self.value()).ok()?)
            }
            "ReplicaSet" => {
                let part = |name| self.fields.get(name).unwrap_or(&Value::Null);
                let set = ReplicaSet::from_parts(part("metadata"), part("spec"), part("status"));
                Content::ReplicaSet(Box::new(set.ok()?))
            }
            "Service" => Content::Service(Box::new((
                Service::from_object(self.value()),
                OwnedService::from_object(self.value()),
            ))),
            _ => Content::Other,
        })
    }

    fn metadata(&self) -> Option<ObjectMeta> {
        self.part::<ObjectMeta>("metadata")?
    }

    /// A field: `None` when it cannot be decoded, `Some(None)` when it is absent.
    fn part<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Option<Option<T>> {
        match self.fields.get(name) {
            Some(value) => Option::deserialize(value).ok(),
            None => Some(None),
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
