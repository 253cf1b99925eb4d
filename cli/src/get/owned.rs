//! What a Rollout or an Experiment owns: ReplicaSets with their pods, and AnalysisRuns. Pure.

use serde_json::Value;
use sluice_crds::ObjectMeta;
use sluice_crds::analysis::{AnalysisRun, AnalysisRunStatus};
use sluice_crds::decode::{self, DecodeError};
use sluice_rollout::ReplicaSet;

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

/// What one owner owns.
pub(crate) struct Owned {
    /// ReplicaSets, newest revision first, then by name.
    pub sets: Vec<Set>,
    /// Pods of these ReplicaSets.
    pub pods: Vec<Value>,
    /// AnalysisRuns.
    pub runs: Vec<AnalysisRun>,
}

impl Owned {
    /// Picks what the object with that uid owns out of objects of all kinds.
    ///
    /// # Errors
    /// When one of the ReplicaSets cannot be decoded; the error names the field.
    pub(crate) fn of(uid: &str, namespace: &str, objects: &[Value]) -> Result<Self, DecodeError> {
        let mut sets = Vec::new();
        let sets_of = of_kind(objects, "ReplicaSet", namespace);
        for object in sets_of.filter(|object| is_owned(object, uid)) {
            let set = ReplicaSet::from_object(object)?;
            if set.owner.as_deref() == Some(uid) {
                sets.push(Set {
                    set,
                    observed: is_observed(object),
                });
            }
        }
        sets.sort_by(|one, other| {
            let order = |set: &Set| (std::cmp::Reverse(set.set.revision()), set.set.name.clone());
            order(one).cmp(&order(other))
        });
        let pods = of_kind(objects, "Pod", namespace)
            .filter(|pod| sets.iter().any(|set| is_owned(pod, &set.set.uid)))
            .cloned()
            .collect();
        let runs = of_kind(objects, "AnalysisRun", namespace)
            .filter(|run| is_owned(run, uid))
            .map(run)
            .collect();
        Ok(Self { sets, pods, runs })
    }

    /// The ReplicaSets, as the engine takes them.
    pub(crate) fn replica_sets(&self) -> impl Iterator<Item = &ReplicaSet> {
        self.sets.iter().map(|set| &set.set)
    }
}

/// The objects of a kind in a namespace.
pub(super) fn of_kind<'a>(
    objects: &'a [Value],
    kind: &'static str,
    namespace: &str,
) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| {
        text(object, "/kind") == kind && text(object, "/metadata/namespace") == namespace
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

/// Whether an owner reference of the object has that uid.
pub(super) fn is_owned(object: &Value, uid: &str) -> bool {
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
