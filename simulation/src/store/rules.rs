//! What the API server makes of an object before it stores it, and what it refuses: as far as a controller meets it.
//!
//! A schema is not checked here, nor are the defaults of pod templates filled in: no decision looks at them.

use serde_json::{Value, json};
use sluice_crds::pointer::text;

use super::fields::Fields;

/// Fields of the metadata that are stored only when there is something in them.
const METADATA: [&str; 4] = ["labels", "annotations", "finalizers", "ownerReferences"];

/// Kinds whose objects the API server reads into types, so that a zero and an absent value are the same to it; the fields
/// that are left out when they are empty or zero.
fn omitted(kind: &str) -> &'static [&'static str] {
    match kind {
        "ReplicaSet" => &[
            "/spec/minReadySeconds",
            "/spec/template/metadata/labels",
            "/spec/template/metadata/annotations",
            "/status/fullyLabeledReplicas",
            "/status/readyReplicas",
            "/status/availableReplicas",
            "/status/observedGeneration",
            "/status/conditions",
        ],
        "Deployment" => &[
            "/spec/minReadySeconds",
            "/spec/paused",
            "/spec/template/metadata/labels",
            "/spec/template/metadata/annotations",
            "/status/replicas",
            "/status/updatedReplicas",
            "/status/readyReplicas",
            "/status/availableReplicas",
            "/status/unavailableReplicas",
            "/status/observedGeneration",
            "/status/conditions",
            "/status",
        ],
        "Service" => &["/spec/selector", "/status/conditions", "/status"],
        "Ingress" => &[
            "/spec/ingressClassName",
            "/status/loadBalancer/ingress",
            "/status/loadBalancer",
            "/status",
        ],
        "ConfigMap" | "Secret" => &["/data"],
        _ => &[],
    }
}

/// Brings an object into the form in which it is stored; the fields that it shares with its state before are in it.
pub(super) fn canonical(kind: &str, object: &mut Fields, before: &Fields) {
    for field in METADATA {
        let metadata = object.get("metadata");
        if metadata.is_some_and(|it| it.get(field).is_some_and(is_nothing))
            && let Some(metadata) = object.edit("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove(field);
        }
    }
    let owners = object
        .at("/metadata/ownerReferences")
        .and_then(Value::as_array);
    if owners.is_some_and(|owners| owners.len() > 1)
        && let Some(metadata) = object.edit("metadata")
        && let Some(owners) = metadata
            .get_mut("ownerReferences")
            .and_then(Value::as_array_mut)
    {
        let mut once = Vec::new();
        owners.retain(|owner| {
            let first = !once.contains(owner);
            once.push(owner.clone());
            first
        });
    }
    for pointer in omitted(kind) {
        if !object.shares(before, pointer) && object.at(pointer).is_some_and(is_nothing) {
            object.remove(pointer);
        }
    }
    if matches!(kind, "ReplicaSet" | "Deployment") {
        default(object, "spec", "replicas", 1);
    }
    if kind == "ReplicaSet" {
        default(object, "status", "replicas", 0);
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(value) => value.is_empty(),
        Value::Object(value) => value.is_empty(),
    }
}

fn default(object: &mut Fields, section: &str, field: &str, value: i64) {
    let known = object.get(section);
    if known.is_some_and(|it| it.get(field).is_some_and(|it| !it.is_null())) {
        return;
    }
    if known.is_none() {
        object.put(section, Some(json!({})));
    }
    if let Some(section) = object.edit(section).and_then(Value::as_object_mut) {
        section.insert(field.to_owned(), json!(value));
    }
}

/// Why an object is refused; `old` is what it replaces.
pub(super) fn refused(kind: &str, old: Option<&Fields>, new: &Fields) -> Option<String> {
    let owners = new.at("/metadata/ownerReferences");
    let owners = owners.and_then(Value::as_array).into_iter().flatten();
    let controllers = owners.filter(|owner| owner.get("controller") == Some(&json!(true)));
    if controllers.count() > 1 {
        return Some("metadata.ownerReferences: only one may be the controller".to_owned());
    }
    if let Some(old) = old
        && old.at("/metadata/deletionTimestamp").is_some()
    {
        let known = |it| finalizers(old).is_some_and(|known| known.contains(it));
        if !finalizers(new).into_iter().flatten().all(known) {
            return Some("metadata.finalizers: none can be added while it is deleted".to_owned());
        }
    }
    match kind {
        "Rollout" => {
            let Some(spec) = new.get("spec").and_then(Value::as_object) else {
                return Some("spec: required".to_owned());
            };
            let has = |strategy: &Value, field| strategy.get(field).is_some_and(Value::is_object);
            let strategy = spec.get("strategy").filter(|it| it.is_object());
            if strategy.is_some_and(|it| has(it, "canary") == has(it, "blueGreen")) {
                return Some("exactly one of canary and blueGreen must be set".to_owned());
            }
            let known = old?.at("/spec/selector")?;
            let changed = new.at("/spec/selector") != Some(known);
            changed.then(|| "spec.selector is immutable".to_owned())
        }
        "ReplicaSet" | "Deployment" => refused_set(old, new),
        _ => None,
    }
}

fn finalizers(object: &Fields) -> Option<&Vec<Value>> {
    object.at("/metadata/finalizers").and_then(Value::as_array)
}

/// Rules of `apps/v1` for what makes pods.
fn refused_set(old: Option<&Fields>, new: &Fields) -> Option<String> {
    for pointer in ["/spec/replicas", "/spec/minReadySeconds"] {
        let value = new.at(pointer).and_then(Value::as_i64);
        if value.is_some_and(|value| value < 0) {
            return Some(format!("{pointer}: must not be negative"));
        }
    }
    let selector = new.at("/spec/selector");
    if let Some(old) = old
        && old.at("/spec/selector") != selector
    {
        return Some("spec.selector: is immutable".to_owned());
    }
    let wanted = selector.and_then(|selector| selector.get("matchLabels")?.as_object());
    let labels = new.at("/spec/template/metadata/labels");
    let carried =
        |(key, value): (&String, &Value)| labels.and_then(|labels| labels.get(key)) == Some(value);
    if !wanted.is_some_and(|wanted| !wanted.is_empty() && wanted.iter().all(carried)) {
        return Some("spec.template.metadata.labels: the selector does not match".to_owned());
    }
    None
}

/// Why an object cannot be made from this body.
pub(super) fn refused_new(object: &Value) -> Option<String> {
    let version = text(object, "/metadata/resourceVersion");
    (!version.is_empty()).then(|| "metadata.resourceVersion: must not be set".to_owned())
}
