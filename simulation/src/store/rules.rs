//! What the API server makes of an object before it stores it, and what it refuses: as far as a controller meets it.
//!
//! A schema is not checked here, nor are the defaults of pod templates filled in: no decision looks at them.

use serde_json::{Map, Value, json};

use super::patch::text;

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

/// Brings an object into the form in which it is stored.
pub(super) fn canonical(kind: &str, object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in METADATA {
            if metadata.get(field).is_some_and(is_nothing) {
                metadata.remove(field);
            }
        }
    }
    let owners = object.pointer_mut("/metadata/ownerReferences");
    if let Some(owners) = owners.and_then(Value::as_array_mut)
        && owners.len() > 1
    {
        let mut once = Vec::new();
        owners.retain(|owner| {
            let first = !once.contains(owner);
            once.push(owner.clone());
            first
        });
    }
    for pointer in omitted(kind) {
        let Some((parent, field)) = pointer.rsplit_once('/') else {
            continue;
        };
        if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut)
            && parent.get(field).is_some_and(is_nothing)
        {
            parent.remove(field);
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

fn default(object: &mut Value, section: &str, field: &str, value: i64) {
    if let Some(object) = object.as_object_mut() {
        let section = object
            .entry(section)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(section) = section.as_object_mut()
            && section.get(field).is_none_or(Value::is_null)
        {
            section.insert(field.to_owned(), json!(value));
        }
    }
}

/// Why an object is refused; `old` is what it replaces.
pub(super) fn refused(kind: &str, old: Option<&Value>, new: &Value) -> Option<String> {
    let owners = new.pointer("/metadata/ownerReferences");
    let owners = owners.and_then(Value::as_array).into_iter().flatten();
    let controllers = owners.filter(|owner| owner.get("controller") == Some(&json!(true)));
    if controllers.count() > 1 {
        return Some("metadata.ownerReferences: only one may be the controller".to_owned());
    }
    if let Some(old) = old
        && old.pointer("/metadata/deletionTimestamp").is_some()
    {
        let finalizers = |object: &Value| {
            let list = object.pointer("/metadata/finalizers");
            list.and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let known = finalizers(old);
        if finalizers(new).iter().any(|it| !known.contains(it)) {
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
            let selector = |object: &Value| object.pointer("/spec/selector").cloned();
            let known = old.and_then(selector)?;
            (selector(new) != Some(known)).then(|| "spec.selector is immutable".to_owned())
        }
        "ReplicaSet" | "Deployment" => refused_set(old, new),
        _ => None,
    }
}

/// Rules of `apps/v1` for what makes pods.
fn refused_set(old: Option<&Value>, new: &Value) -> Option<String> {
    for pointer in ["/spec/replicas", "/spec/minReadySeconds"] {
        let value = new.pointer(pointer).and_then(Value::as_i64);
        if value.is_some_and(|value| value < 0) {
            return Some(format!("{pointer}: must not be negative"));
        }
    }
    let selector = new.pointer("/spec/selector");
    if let Some(old) = old
        && old.pointer("/spec/selector") != selector
    {
        return Some("spec.selector: is immutable".to_owned());
    }
    let wanted = selector.and_then(|selector| selector.get("matchLabels")?.as_object());
    let labels = new.pointer("/spec/template/metadata/labels");
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
