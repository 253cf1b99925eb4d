//! What is to be written: edits of router objects, small enough that nothing of anybody else's is touched.
//!
//! A list item is changed with a JSON Patch that first tests that the item is still the one that was read, so a list
//! that somebody reordered in the meantime makes the API server refuse the edit instead of changing the wrong item.
//! Maps are changed with a merge patch that carries uid and resourceVersion.

use serde_json::{Value, json};

use crate::object::{ObjectRef, resource_version, uid};

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum RouteEdit {
    /// Changes some values of an object.
    Patch {
        /// The object.
        object: ObjectRef,
        /// `metadata.uid` of the object that was read.
        uid: String,
        /// `metadata.resourceVersion` of the object that was read.
        resource_version: String,
        /// The change, with its own fence (see [`Patch`]).
        patch: Patch,
        /// The change in words, as in `HTTPRoute default/web: web-canary 0 → 10, web-stable 100 → 90`.
        summary: String,
    },
    /// Makes an object.
    Create {
        /// The object.
        object: ObjectRef,
        /// The whole object. `AlreadyExists` means: observe again.
        manifest: Value,
        /// In words.
        summary: String,
    },
    /// Deletes an object that an earlier edit made.
    Delete {
        /// The object.
        object: ObjectRef,
        /// `metadata.uid`, a precondition of the deletion.
        uid: String,
        /// `metadata.resourceVersion`, a precondition of the deletion.
        resource_version: String,
        /// In words.
        summary: String,
    },
}

impl RouteEdit {
    /// The object that is written.
    #[must_use]
    pub fn object(&self) -> &ObjectRef {
        match self {
            RouteEdit::Patch { object, .. }
            | RouteEdit::Create { object, .. }
            | RouteEdit::Delete { object, .. } => object,
        }
    }

    /// The edit in one sentence for events and logs.
    #[must_use]
    pub fn summary(&self) -> &str {
        match self {
            RouteEdit::Patch { summary, .. }
            | RouteEdit::Create { summary, .. }
            | RouteEdit::Delete { summary, .. } => summary,
        }
    }
}

/// The body of a patch request.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// RFC 7386, `application/merge-patch+json`. Contains `metadata.uid` and `metadata.resourceVersion`: the API
    /// server answers 409 when the object has changed.
    Merge(Value),
    /// RFC 6902, `application/json-patch+json`, an array of operations. Its `test` operations hold the uid and every
    /// value that the decision depended on: the API server answers 422 when one of them has changed, which means
    /// the same as 409. It does not test the resourceVersion, so a status written by the router does not defeat it.
    Json(Value),
}

/// Builds a merge patch of `object` from its changes, fenced.
pub(crate) fn merge(object: &Value, mut changes: Value) -> Patch {
    if let Some(root) = changes.as_object_mut() {
        let metadata = root.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            let fence = [
                ("uid", uid(object)),
                ("resourceVersion", resource_version(object)),
            ];
            for (key, value) in fence.into_iter().filter(|(_, value)| !value.is_empty()) {
                metadata.insert(key.to_owned(), Value::String(value));
            }
        }
    }
    Patch::Merge(changes)
}

/// Collects operations of a JSON Patch: tests first, then changes.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    tests: Vec<Value>,
    changes: Vec<Value>,
}

impl Operations {
    /// Refuses the patch unless `path` still has this value.
    pub(crate) fn test(&mut self, path: &str, value: &Value) {
        let test = json!({"op": "test", "path": path, "value": value});
        if !self.tests.contains(&test) {
            self.tests.push(test);
        }
    }

    /// Sets `path`, whose value now is `current`, unless it is set already.
    pub(crate) fn set(&mut self, path: &str, current: Option<&Value>, wanted: Value) {
        if current == Some(&wanted) {
            return;
        }
        if let Some(current) = current {
            self.test(path, current);
        }
        self.changes
            .push(json!({"op": "add", "path": path, "value": wanted}));
    }

    /// Removes `path`, whose value now is `current`.
    pub(crate) fn remove(&mut self, path: &str, current: &Value) {
        self.test(path, current);
        self.changes.push(json!({"op": "remove", "path": path}));
    }

    /// Adds a key to a map that does not exist yet, and the map with the first one.
    pub(crate) fn add_to_map(&mut self, path: &str, key: &str, value: Value) {
        let map = self
            .changes
            .iter_mut()
            .find(|change| change.get("path").and_then(Value::as_str) == Some(path))
            .and_then(|change| change.get_mut("value")?.as_object_mut());
        match map {
            Some(map) => {
                map.insert(key.to_owned(), value);
            }
            None => self.set(path, None, json!({key: value})),
        }
    }

    /// Puts an item at the head of a list.
    pub(crate) fn prepend(&mut self, list: &str, item: Value) {
        let path = format!("{list}/0");
        self.changes
            .push(json!({"op": "add", "path": path, "value": item}));
    }

    /// Whether nothing would change.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The patch of `object`; the test of its uid comes first.
    pub(crate) fn into_patch(self, object: &Value) -> Patch {
        let uid = uid(object);
        let fence =
            (!uid.is_empty()).then(|| json!({"op": "test", "path": "/metadata/uid", "value": uid}));
        Patch::Json(
            fence
                .into_iter()
                .chain(self.tests)
                .chain(self.changes)
                .collect(),
        )
    }
}

/// Escapes a key for a JSON Pointer (RFC 6901).
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
