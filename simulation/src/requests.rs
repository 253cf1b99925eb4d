//! Requests, carried out on the in-memory store: the only way in which the engines write to it. The same requests can be
//! sent to a real API server.

use std::sync::Arc;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation};
use serde_json::Value;
use sluice_crds::pointer::{at, text};
use sluice_rollout::request::{Request, Target};
use sluice_traffic::{Patch, RouteEdit};

use crate::store::{Expected, Key, Object, Part, Refusal, Store};

/// What a write gives back: the object, or nothing when it was deleted.
pub type Answer = Result<Option<Arc<Object>>, Refusal>;

/// The key of a request's target.
#[must_use]
pub fn key(target: &Target) -> Key {
    Key::new(target.kind, &target.namespace, &target.name)
}

/// Carries a request out.
///
/// # Errors
/// As the store refuses it.
pub fn send(store: &mut Store, request: &Request) -> Answer {
    match request {
        Request::Create { object, .. } => store.create(object.clone()).map(Some),
        Request::Merge {
            target,
            status,
            patch,
        } => {
            let part = if *status { Part::Status } else { Part::Main };
            store
                .merge(&key(target), part, &Expected::default(), patch)
                .map(Some)
        }
        // Pods are not objects of the store.
        Request::Evict { target, .. } => Err(Refusal::NotFound(key(target))),
        Request::Delete {
            target,
            precondition,
        } => {
            let expected = Expected {
                uid: Some(precondition.uid.clone()),
                resource_version: Some(precondition.resource_version.clone()),
            };
            store.delete(&key(target), &expected).map(|()| None)
        }
    }
}

/// The key of the object that a route edit is for.
#[must_use]
pub fn route_key(edit: &RouteEdit) -> Key {
    let object = edit.object();
    Key::new(&object.kind, &object.namespace, &object.name)
}

/// Carries out one edit of a router object.
///
/// # Errors
/// As the store refuses it; a JSON Patch whose test fails is [`Refusal::Invalid`], as from the API server.
pub fn edit_route(store: &mut Store, edit: &RouteEdit) -> Answer {
    let key = route_key(edit);
    match edit {
        RouteEdit::Create { manifest, .. } => store.create(manifest.clone()).map(Some),
        RouteEdit::Delete {
            uid,
            resource_version,
            ..
        } => {
            let expected = Expected {
                uid: Some(uid.clone()),
                resource_version: Some(resource_version.clone()),
            };
            store.delete(&key, &expected).map(|()| None)
        }
        RouteEdit::Patch {
            patch: Patch::Merge(patch),
            uid,
            ..
        } => {
            let expected = Expected {
                uid: Some(uid.clone()),
                resource_version: None,
            };
            store.merge(&key, Part::Main, &expected, patch).map(Some)
        }
        RouteEdit::Patch {
            patch: Patch::Json(patch),
            ..
        } => json_patch(store, &key, patch),
    }
}

/// Applies a JSON Patch (RFC 6902), whole or not at all.
///
/// # Errors
/// When the object does not exist, or an operation, a test among them, cannot be carried out.
pub fn json_patch(store: &mut Store, key: &Key, patch: &Value) -> Answer {
    let current = store
        .get(key)
        .ok_or_else(|| Refusal::NotFound(key.clone()))?;
    let invalid = |error: String| Refusal::Invalid(key.clone(), error);
    let patch: json_patch::Patch = serde::Deserialize::deserialize(patch)
        .map_err(|error: serde_json::Error| invalid(error.to_string()))?;
    let mut patched = current.clone();
    for operation in patch.0 {
        if let Some(operation) = as_the_server_takes(operation, &patched) {
            json_patch::patch(&mut patched, &[operation])
                .map_err(|error| invalid(error.to_string()))?;
        }
    }
    store
        .edit(key, Part::Main, &Expected::default(), |object| {
            *object = patched
        })
        .map(Some)
}

/// What the API server makes of an operation on a field that its object does not have: a test for null holds, and a
/// replacement adds it.
fn as_the_server_takes(operation: PatchOperation, object: &Value) -> Option<PatchOperation> {
    let absent = |path: &PointerBuf| {
        let (parent, field) = path.split_back()?;
        let parent = at(object, parent.as_str())?.as_object()?;
        (!parent.contains_key(field.decoded().as_ref())).then_some(())
    };
    match operation {
        PatchOperation::Test(test) if test.value.is_null() && absent(&test.path).is_some() => None,
        PatchOperation::Replace(replace) if absent(&replace.path).is_some() => {
            Some(PatchOperation::Add(AddOperation {
                path: replace.path,
                value: replace.value,
            }))
        }
        other => Some(other),
    }
}

/// Whether an object that exists is the one that a creation was for: of the same owner, with the same hash.
#[must_use]
pub fn is_ours(existing: &Object, wanted: &Value) -> bool {
    let hash = |object: &Value| {
        let labels = at(object, "/metadata/labels");
        let hash = labels.and_then(|it| it.get(sluice_crds::names::POD_TEMPLATE_HASH));
        hash.and_then(Value::as_str).map(str::to_owned)
    };
    existing.owner() == text(wanted, "/metadata/ownerReferences/0/uid")
        && hash(existing.value()) == hash(wanted)
}
