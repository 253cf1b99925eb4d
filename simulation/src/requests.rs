//! Requests of the engines, carried out on the in-memory store.

use serde_json::Value;
use sluice_rollout::request::{Request, Target};
use sluice_traffic::{Patch, RouteEdit};

use crate::store::{Expected, Key, Part, Refusal, Store, text};

/// The key of a request's target.
#[must_use]
pub fn key(target: &Target) -> Key {
    Key::new(target.kind, &target.namespace, &target.name)
}

/// Carries a request out. What already exists and belongs to the same owner counts as created, as in production.
///
/// # Errors
/// As the store refuses it.
pub fn send(store: &mut Store, request: &Request) -> Result<Value, Refusal> {
    match request {
        Request::Create { target, object } => match store.create(object.clone()) {
            Err(Refusal::AlreadyExists(existing)) => {
                let key = key(target);
                let owner =
                    |object: &Value| text(object, "/metadata/ownerReferences/0/uid").to_owned();
                match store.get(&key) {
                    Some(found) if owner(found) == owner(object) => Ok(found.clone()),
                    _ => Err(Refusal::AlreadyExists(existing)),
                }
            }
            outcome => outcome,
        },
        Request::Merge {
            target,
            status,
            patch,
        } => {
            let part = if *status { Part::Status } else { Part::Main };
            let uid = Some(text(patch, "/metadata/uid")).filter(|uid| !uid.is_empty());
            let expected = Expected {
                uid: uid.map(str::to_owned),
                resource_version: None,
            };
            store.merge(&key(target), part, &expected, patch)
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
            store.delete(&key(target), &expected).map(|()| Value::Null)
        }
    }
}

/// Carries out one edit of a router object.
///
/// # Errors
/// As the store refuses it; a JSON Patch whose test fails is [`Refusal::Invalid`], as from the API server.
pub fn edit_route(store: &mut Store, edit: &RouteEdit) -> Result<Value, Refusal> {
    let object = edit.object();
    let key = Key::new(&object.kind, &object.namespace, &object.name);
    match edit {
        RouteEdit::Create { manifest, .. } => store.create(manifest.clone()),
        RouteEdit::Delete {
            uid,
            resource_version,
            ..
        } => {
            let expected = Expected {
                uid: Some(uid.clone()),
                resource_version: Some(resource_version.clone()),
            };
            store.delete(&key, &expected).map(|()| Value::Null)
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
            store.merge(&key, Part::Main, &expected, patch)
        }
        RouteEdit::Patch {
            patch: Patch::Json(patch),
            ..
        } => {
            let current = store
                .get(&key)
                .ok_or_else(|| Refusal::NotFound(key.clone()))?;
            let invalid = |error: String| Refusal::Invalid(key.clone(), error);
            let patch: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| invalid(error.to_string()))?;
            let mut patched = current.clone();
            json_patch::patch(&mut patched, &patch).map_err(|error| invalid(error.to_string()))?;
            store.edit(&key, Part::Main, &Expected::default(), |object| {
                *object = patched
            })
        }
    }
}
