//! Services: which pods the canary and the stable Service select.
//!
//! A Rollout narrows the selector of its Services with the pod-template hash of a revision, and marks them with an
//! annotation so that people and other controllers see who does it. Edits are merge patches of those two values.

use serde_json::{Value, json};
use sluice_crds::names::{MANAGED_BY_ROLLOUTS, POD_TEMPLATE_HASH};

use crate::edit::{RouteEdit, merge};
use crate::object::{ObjectRef, resource_version, text, uid};

/// The reference of a Service.
#[must_use]
pub fn reference(namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        plural: "services".to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// The pod-template hash that a Service selects; `None` when it selects the pods of every revision.
#[must_use]
pub fn selected_hash(service: &Value) -> Option<&str> {
    text(service, &["spec", "selector", POD_TEMPLATE_HASH])
}

/// The name of the Rollout that drives the selector of a Service.
#[must_use]
pub fn managed_by(service: &Value) -> Option<&str> {
    text(service, &["metadata", "annotations", MANAGED_BY_ROLLOUTS])
}

/// Points a Service at the pods of one revision, and marks it as the Rollout's. `None` when it says so already, or has
/// no name.
#[must_use]
pub fn select(service: &Value, rollout: &str, hash: &str) -> Option<RouteEdit> {
    let before = selected_hash(service);
    if before == Some(hash) && managed_by(service) == Some(rollout) {
        return None;
    }
    let before = before.map_or_else(
        || "every revision".to_owned(),
        |hash| format!("revision {hash}"),
    );
    patch(
        service,
        &json!({POD_TEMPLATE_HASH: hash}),
        &json!({MANAGED_BY_ROLLOUTS: rollout}),
        |object| format!("{object}: selects revision {hash} (was: {before})"),
    )
}

/// Undoes [`select`] on a Service that the Rollout no longer names: it selects the pods of every revision again.
/// `None` when it is not marked as this Rollout's.
#[must_use]
pub fn release(service: &Value, rollout: &str) -> Option<RouteEdit> {
    if managed_by(service) != Some(rollout) {
        return None;
    }
    patch(
        service,
        &json!({POD_TEMPLATE_HASH: null}),
        &json!({MANAGED_BY_ROLLOUTS: null}),
        |object| format!("{object}: no longer managed by Rollout {rollout}"),
    )
}

fn patch(
    service: &Value,
    selector: &Value,
    annotations: &Value,
    summary: impl Fn(&ObjectRef) -> String,
) -> Option<RouteEdit> {
    let object = reference(
        text(service, &["metadata", "namespace"]).unwrap_or_default(),
        text(service, &["metadata", "name"])?,
    );
    // A merge patch that removes a key from a map that does not exist would create the empty map.
    let mut changes = json!({"metadata": {"annotations": annotations}});
    if let Some(root) = changes.as_object_mut()
        && (service.pointer("/spec/selector").is_some()
            || selector.get(POD_TEMPLATE_HASH) != Some(&Value::Null))
    {
        root.insert("spec".to_owned(), json!({"selector": selector}));
    }
    Some(RouteEdit::Patch {
        summary: summary(&object),
        uid: uid(service),
        resource_version: resource_version(service),
        patch: merge(service, changes),
        object,
    })
}
