//! What was observed of one Rollout and of everything that belongs to it, as plain data.
//!
//! The shell (controller, simulation) fills it; nothing in it is a handle to anything.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use sluice_analysis::template::TemplateLookup;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::decode::{self, DecodeError};
use sluice_crds::experiment::Experiment;
use sluice_crds::pod_template::PodTemplate;
use sluice_crds::pointer::{at, text};
use sluice_crds::rollout::Rollout;
use sluice_crds::split::ObservedSplit;

use crate::basis::Basis;

/// Everything that one decision may depend on, besides the time.
pub struct World<'a> {
    /// The Rollout, with metadata (uid, generation, resourceVersion) and status.
    pub rollout: &'a Rollout,
    /// ReplicaSets in its namespace that it owns, or that have no owner and match its selector.
    pub replica_sets: &'a [ReplicaSet],
    /// The Services that its strategy names and that exist, and those of its namespace that are annotated as managed by
    /// it, by name.
    pub services: &'a BTreeMap<String, Service>,
    /// Live pods of its ReplicaSets; may be empty unless [`needs_pods`] says otherwise.
    pub pods: &'a [Pod],
    /// AnalysisRuns that it owns.
    pub analysis_runs: &'a [AnalysisRun],
    /// Experiments that it owns.
    pub experiments: &'a [Experiment],
    /// Analysis templates of its namespace and of the cluster.
    pub templates: &'a dyn TemplateLookup,
    /// What its routers say now: empty without traffic routing. `Err` holds one `(field, message)` for each part of
    /// `trafficRouting` that cannot be driven.
    pub traffic: Result<&'a [ObservedSplit], &'a [(String, String)]>,
    /// The object that `workloadRef` names: `None` when it does not exist or none is named.
    pub workload: Option<&'a Value>,
    /// Settings of the controller.
    pub settings: &'a Settings,
    /// What follows from the spec and from what it names, when it is known already: [`Basis::of`] this world or one that
    /// does not differ in them.
    pub basis: Option<&'a Basis>,
}

/// Whether decisions about a Rollout depend on its single pods: they get metadata of roles, or are to be restarted.
#[must_use]
pub fn needs_pods(rollout: &Rollout, replica_sets: &[ReplicaSet]) -> bool {
    let spec = &rollout.spec;
    let canary = spec
        .canary()
        .is_some_and(|it| it.canary_metadata.is_some() || it.stable_metadata.is_some());
    let blue_green = spec
        .blue_green()
        .is_some_and(|it| it.active_metadata.is_some() || it.preview_metadata.is_some());
    let injected = replica_sets.iter().any(|set| {
        set.annotations
            .contains_key(sluice_crds::names::EPHEMERAL_METADATA)
    });
    let restarted = rollout
        .status
        .as_ref()
        .and_then(|status| status.restarted_at.as_ref());
    let restarts = spec.restart_at.is_some() && spec.restart_at.as_ref() != restarted;
    canary || blue_green || injected || restarts
}

/// A pod, reduced to what decisions depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.creationTimestamp`; the epoch when absent.
    pub created: Timestamp,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// uid of the controlling owner, a ReplicaSet.
    pub owner: Option<String>,
}

impl Pod {
    /// Reads a `v1` Pod object; only its metadata is looked at.
    ///
    /// # Errors
    /// When a field of the metadata has a wrong type; the error names the field.
    pub fn from_object(object: &Value) -> Result<Self, DecodeError> {
        let metadata = metadata(object.get("metadata").unwrap_or(&Value::Null))?;
        Ok(Self {
            created: created(&metadata),
            deleting: metadata.deletion_timestamp.is_some(),
            owner: controller(&metadata),
            name: metadata.name.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
        })
    }
}

fn metadata(metadata: &Value) -> Result<sluice_crds::ObjectMeta, DecodeError> {
    decode::decode(metadata).map_err(|error| DecodeError {
        field: format!("metadata.{}", error.field),
        reason: error.reason,
    })
}

fn created(metadata: &sluice_crds::ObjectMeta) -> Timestamp {
    metadata
        .creation_timestamp
        .as_ref()
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// The owner references that do not control an object, as they are.
fn others(metadata: &Value) -> Vec<Value> {
    let owners = metadata.get("ownerReferences").and_then(Value::as_array);
    let owners = owners.into_iter().flatten();
    let controls = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    owners.filter(|owner| !controls(owner)).cloned().collect()
}

fn controller(metadata: &sluice_crds::ObjectMeta) -> Option<String> {
    metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
        .map(|owner| owner.uid.clone())
}

/// Settings of the controller that decisions depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `--instance-id`: the value of the instance label on objects that are made.
    pub instance_id: String,
}

/// A ReplicaSet, reduced to what decisions depend on. The template is lossless.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaSet {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.creationTimestamp`; the epoch when absent.
    pub created: Timestamp,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// uid of the controlling owner.
    pub owner: Option<String>,
    /// Owner references that do not control it.
    pub other_owners: Vec<Value>,
    /// `spec.replicas`, default 1.
    pub replicas: i32,
    /// `spec.minReadySeconds`, default 0.
    pub min_ready_seconds: i32,
    /// `spec.template`.
    pub template: PodTemplate,
    /// `status.replicas`.
    pub current: i32,
    /// `status.readyReplicas`.
    pub ready: i32,
    /// `status.availableReplicas`.
    pub available: i32,
    /// Message of the `ReplicaFailure` condition when it is True.
    pub failure: Option<String>,
}

impl ReplicaSet {
    /// Reads an `apps/v1` ReplicaSet object.
    ///
    /// # Errors
    /// When a field has a wrong type; the error names the field.
    pub fn from_object(object: &Value) -> Result<Self, DecodeError> {
        let part = |name| object.get(name).unwrap_or(&Value::Null);
        Self::from_parts(part("metadata"), part("spec"), part("status"))
    }

    /// Reads an `apps/v1` ReplicaSet from its three parts.
    ///
    /// # Errors
    /// As [`ReplicaSet::from_object`].
    pub fn from_parts(metadata: &Value, spec: &Value, status: &Value) -> Result<Self, DecodeError> {
        let other_owners = others(metadata);
        let metadata = self::metadata(metadata)?;
        let number = |part: &Value, name: &str, field: &str, default: i64| {
            let value = match part.get(field) {
                None | Some(Value::Null) => default,
                Some(value) => value.as_i64().ok_or_else(|| DecodeError {
                    field: format!("{name}.{field}"),
                    reason: "expected a whole number".to_owned(),
                })?,
            };
            Ok::<i32, DecodeError>(i32::try_from(value).unwrap_or(i32::MAX))
        };
        let template = spec.get("template").and_then(Value::as_object).cloned();
        let conditions = status.get("conditions").and_then(Value::as_array);
        let failure = conditions
            .into_iter()
            .flatten()
            .find(|it| text(it, "/type") == "ReplicaFailure" && text(it, "/status") == "True")
            .map(|it| text(it, "/message").to_owned());
        Ok(Self {
            created: created(&metadata),
            deleting: metadata.deletion_timestamp.is_some(),
            owner: controller(&metadata),
            other_owners,
            name: metadata.name.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            replicas: number(spec, "spec", "replicas", 1)?,
            min_ready_seconds: number(spec, "spec", "minReadySeconds", 0)?,
            current: number(status, "status", "replicas", 0)?,
            ready: number(status, "status", "readyReplicas", 0)?,
            available: number(status, "status", "availableReplicas", 0)?,
            template: template.map(PodTemplate::new).unwrap_or_default(),
            failure,
        })
    }

    /// The pod-template hash label.
    #[must_use]
    pub fn hash(&self) -> Option<&str> {
        self.labels
            .get(sluice_crds::names::POD_TEMPLATE_HASH)
            .map(String::as_str)
    }

    /// The revision annotation; 0 when absent or not a number.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.annotations
            .get(sluice_crds::names::REVISION)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }
}

/// A Service, reduced to what decisions depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `spec.selector`.
    pub selector: BTreeMap<String, String>,
}

impl Service {
    /// Reads a `v1` Service object; fields of a wrong type count as absent.
    #[must_use]
    pub fn from_object(object: &Value) -> Self {
        let text = |pointer| text(object, pointer).to_owned();
        let map = |pointer: &str| {
            at(object, pointer)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect()
        };
        Self {
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            resource_version: text("/metadata/resourceVersion"),
            annotations: map("/metadata/annotations"),
            selector: map("/spec/selector"),
        }
    }

    /// The pod-template hash that it selects.
    #[must_use]
    pub fn hash(&self) -> Option<&str> {
        self.selector
            .get(sluice_crds::names::POD_TEMPLATE_HASH)
            .map(String::as_str)
    }
}
