//! Backends for the templates of an experiment: which items of a list of backends the Rollout has added.
//!
//! An annotation on the object names their Services, for each Rollout that has some there. It is written and removed in
//! the same patch as the backends, so what it names is the Rollout's own, and an item that somebody else wrote is never
//! taken for one.

use serde_json::{Map, Value};
use sluice_crds::names::EXPERIMENT_BACKENDS;
use sluice_crds::rollout::Rollout;
use sluice_crds::split::WeightedService;

use crate::edit::Operations;
use crate::metadata::{pointer, put};
use crate::object::{at, text};
use crate::spec::namespace;

/// Name under which a Rollout is in the annotation, `namespace/name`.
pub(crate) fn key(rollout: &Rollout) -> String {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    format!("{}/{name}", namespace(rollout))
}

/// The Services that the Rollout has added to the object.
pub(crate) fn added(object: &Value, key: &str) -> Vec<String> {
    annotation(object)
        .get(key)
        .and_then(|names| serde_json::from_value(names.clone()).ok())
        .unwrap_or_default()
}

/// Adds the operations by which the annotation names these destinations. Returns whether it changes.
pub(crate) fn remember(
    operations: &mut Operations,
    object: &Value,
    key: &str,
    destinations: &[WeightedService],
) -> bool {
    let mut record = annotation(object);
    let names: Vec<&str> = destinations.iter().map(|it| it.service.as_str()).collect();
    if names.is_empty() {
        if record.remove(key).is_none() {
            return false;
        }
    } else {
        let names = Value::from(names);
        if record.insert(key.to_owned(), names.clone()) == Some(names) {
            return false;
        }
    }
    let now = at(object, &["metadata", "annotations", EXPERIMENT_BACKENDS]);
    if let (true, Some(now)) = (record.is_empty(), now) {
        operations.remove(&pointer("annotations", EXPERIMENT_BACKENDS), now);
        return true;
    }
    let text = Value::Object(record).to_string();
    put(
        operations,
        object,
        "annotations",
        EXPERIMENT_BACKENDS,
        &text,
    )
}

/// A backend for a destination: the canary's again, with the Service, its port and its weight.
pub(crate) fn backend(canary: &Value, destination: &WeightedService, weight: i64) -> Value {
    let mut backend = canary.clone();
    let Some(fields) = backend.as_object_mut() else {
        return backend;
    };
    let same = |port: &Value| {
        destination
            .ports
            .iter()
            .any(|known| port.as_i64() == Some((*known).into()))
    };
    if let (Some(port), Some(first)) = (fields.get("port"), destination.ports.first())
        && !same(port)
    {
        fields.insert("port".to_owned(), Value::from(*first));
    }
    fields.insert("name".to_owned(), Value::from(destination.service.as_str()));
    fields.insert("weight".to_owned(), Value::from(weight));
    backend
}

/// Takes the annotation apart; one that is no map counts as absent.
fn annotation(object: &Value) -> Map<String, Value> {
    text(object, &["metadata", "annotations", EXPERIMENT_BACKENDS])
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}
