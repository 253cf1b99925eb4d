//! What was observed of one Experiment and of everything that belongs to it, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;
use sluice_analysis::template::TemplateLookup;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::experiment::Experiment;
use sluice_crds::names;
use sluice_crds::pointer::at;

use crate::world::{ReplicaSet, Settings};

/// Everything that one decision may depend on, besides the time.
pub struct World<'a> {
    /// The Experiment, with metadata (uid, resourceVersion) and status.
    pub experiment: &'a Experiment,
    /// ReplicaSets that it owns.
    pub replica_sets: &'a [ReplicaSet],
    /// Services that it owns.
    pub services: &'a [OwnedService],
    /// AnalysisRuns that it owns.
    pub analysis_runs: &'a [AnalysisRun],
    /// Analysis templates of its namespace and of the cluster.
    pub templates: &'a dyn TemplateLookup,
    /// Names of the Services to which the Rollout that owns the Experiment says that requests are routed. Their pods stay.
    pub routed: &'a BTreeSet<String>,
    /// What the API refused when the previous plan for the same view was carried out; empty at first.
    pub refused: &'a [Refused],
    /// Settings of the controller.
    pub settings: &'a Settings,
}

/// A Service that an Experiment owns, reduced to what decisions depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedService {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
}

impl OwnedService {
    /// Reads a `v1` Service object; fields of a wrong type count as absent.
    #[must_use]
    pub fn from_object(object: &Value) -> Self {
        let service = crate::world::Service::from_object(object);
        Self {
            name: service.name,
            uid: service.uid,
            resource_version: service.resource_version,
            annotations: service.annotations,
            deleting: at(object, "/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()),
        }
    }

    /// The template that it was made for.
    #[must_use]
    pub fn template(&self) -> Option<&str> {
        self.annotations
            .get(names::EXPERIMENT_TEMPLATE)
            .map(String::as_str)
    }
}

/// A creation that the API refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// `ReplicaSet`, `Service` or `AnalysisRun`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Why, in the words of the API.
    pub message: String,
    /// Whether the name is taken by an object of somebody else.
    pub taken: bool,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} is refused: {}",
            self.kind, self.name, self.message
        )
    }
}
