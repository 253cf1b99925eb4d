//! What a cache drops from the objects that it keeps.
//!
//! A projection edits the JSON of an object in place, before it is stored. It must keep the identity (name,
//! namespace, uid, resourceVersion, ownerReferences) and every field that decisions read.

use serde_json::{Map, Value};

/// Drops parts of an object.
pub type Projection = fn(&mut Value);

/// Drops what only the API server needs: `managedFields` and the copy that `kubectl apply` keeps.
pub fn without_bookkeeping(value: &mut Value) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    metadata.remove("managedFields");
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Drops `managedFields` only: for objects whose annotations somebody compares or copies.
pub fn without_managed_fields(value: &mut Value) {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

/// Keeps metadata (without bookkeeping) and the selector and ports of a Service.
pub fn service(value: &mut Value) {
    without_bookkeeping(value);
    keep(value, &["apiVersion", "kind", "metadata", "spec"]);
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        keep_keys(spec, &["selector", "ports", "type"]);
    }
}

/// Keeps metadata only, without bookkeeping.
pub fn metadata_only(value: &mut Value) {
    without_bookkeeping(value);
    keep(value, &["apiVersion", "kind", "metadata"]);
}

fn keep(value: &mut Value, keys: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        keep_keys(map, keys);
    }
}

fn keep_keys(map: &mut Map<String, Value>, keys: &[&str]) {
    map.retain(|key, _| keys.contains(&key.as_str()));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_keeps_identity_selector_and_ports() {
        let mut value = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "a", "managedFields": [1], "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}", "x": "y"}},
            "spec": {"selector": {"app": "a"}, "ports": [], "clusterIP": "10.0.0.1"},
            "status": {"loadBalancer": {}}
        });
        service(&mut value);
        assert_eq!(
            value,
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "a", "annotations": {"x": "y"}},
                "spec": {"selector": {"app": "a"}, "ports": []}
            })
        );
    }
}
