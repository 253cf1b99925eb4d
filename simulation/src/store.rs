//! An API server in memory: objects, resource versions, conflicts, finalizers, owners.
//!
//! It follows the real one where controllers can tell the difference: a write with an outdated resourceVersion is a
//! 409, `metadata.generation` rises when anything but metadata and status changes, a write that changes nothing keeps
//! the resourceVersion, a deleted object with finalizers stays until they are gone, and dependents follow their owner.
//! What it does is checked against a real API server by `e2e` with the same random requests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Identity of an object: kind, namespace (empty for cluster scope), name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl Key {
    /// A key from its three parts.
    #[must_use]
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of an object.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        Self::new(
            text(object, "/kind"),
            text(object, "/metadata/namespace"),
            text(object, "/metadata/name"),
        )
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 404.
    #[error("{0} is not found")]
    NotFound(Key),
    /// 409 on create.
    #[error("{0} already exists")]
    AlreadyExists(Key),
    /// 409 on a write whose resourceVersion or uid no longer holds.
    #[error("{0}: the object has been modified or replaced")]
    Conflict(Key),
    /// 422.
    #[error("{0} is invalid: {1}")]
    Invalid(Key, String),
}

/// What a write must find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// `metadata.uid`, when it matters.
    pub uid: Option<String>,
    /// `metadata.resourceVersion`, when it matters.
    pub resource_version: Option<String>,
}

/// Which part of an object a patch may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status, for kinds with a status subresource; everything for the others.
    Main,
    /// Only the status.
    Status,
}

/// One change, as a watch reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Resource version of the change.
    pub version: u64,
    /// Which object.
    pub key: Key,
    /// Its new state; `None` when it was deleted.
    pub object: Option<Value>,
}

/// The objects, and every change to them in order.
#[derive(Debug, Clone)]
pub struct Store {
    objects: BTreeMap<Key, Value>,
    log: Vec<Change>,
    version: u64,
    uids: u64,
    /// The time that new objects get.
    pub now: Timestamp,
}

/// Kinds whose status is a subresource.
const STATUS_SUBRESOURCE: [&str; 6] = [
    "Rollout",
    "ReplicaSet",
    "Service",
    "HTTPRoute",
    "Ingress",
    "Pod",
];

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            objects: BTreeMap::new(),
            log: Vec::new(),
            version: 0,
            uids: 0,
            now,
        }
    }

    /// The newest resource version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All changes after a resource version.
    #[must_use]
    pub fn changes_since(&self, version: u64) -> &[Change] {
        let from = self.log.partition_point(|change| change.version <= version);
        self.log.get(from..).unwrap_or_default()
    }

    /// An object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// All objects of a kind, by namespace and name.
    pub fn list<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> + 'a {
        self.objects
            .iter()
            .filter(move |(key, _)| key.kind == kind)
            .map(|(_, object)| object)
    }

    /// Creates an object. Server-set fields in it are replaced.
    ///
    /// # Errors
    /// When it exists, or has no kind or name.
    pub fn create(&mut self, mut object: Value) -> Result<Value, Refusal> {
        let key = Key::of(&object);
        if key.kind.is_empty() || key.name.is_empty() {
            return Err(Refusal::Invalid(
                key,
                "kind and metadata.name are required".into(),
            ));
        }
        if self.objects.contains_key(&key) {
            return Err(Refusal::AlreadyExists(key));
        }
        self.uids += 1;
        let uid = format!("uid-{}", self.uids);
        let created = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("deletionTimestamp");
            metadata.insert("uid".into(), json!(uid));
            metadata.insert("generation".into(), json!(1));
            metadata.insert("creationTimestamp".into(), json!(created));
        }
        if STATUS_SUBRESOURCE.contains(&key.kind.as_str())
            && let Some(object) = object.as_object_mut()
        {
            object.remove("status");
        }
        Ok(self.put(key, object))
    }

    /// Merges a JSON merge patch into an object.
    ///
    /// # Errors
    /// When it does not exist, or is not what was expected.
    pub fn merge(
        &mut self,
        key: &Key,
        part: Part,
        expected: &Expected,
        patch: &Value,
    ) -> Result<Value, Refusal> {
        let mut object = self.expect(key, expected)?.clone();
        let asked = text(patch, "/metadata/resourceVersion");
        if !asked.is_empty() && asked != text(&object, "/metadata/resourceVersion") {
            return Err(Refusal::Conflict(key.clone()));
        }
        merge_patch(&mut object, patch);
        self.replace(key, part, object)
    }

    /// Replaces an object by the outcome of an edit.
    ///
    /// # Errors
    /// When it does not exist, or is not what was expected.
    pub fn edit(
        &mut self,
        key: &Key,
        part: Part,
        expected: &Expected,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Value, Refusal> {
        let mut object = self.expect(key, expected)?.clone();
        edit(&mut object);
        self.replace(key, part, object)
    }

    /// Deletes an object; with finalizers it stays, marked as deleting.
    ///
    /// # Errors
    /// When it does not exist, or is not what was expected.
    pub fn delete(&mut self, key: &Key, expected: &Expected) -> Result<(), Refusal> {
        let object = self.expect(key, expected)?;
        let finalizers = object
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array);
        if finalizers.is_some_and(|list| !list.is_empty()) {
            let mut object = object.clone();
            let now = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            set(&mut object, "metadata", "deletionTimestamp", json!(now));
            self.put(key.clone(), object);
        } else {
            self.remove(key);
        }
        Ok(())
    }

    /// Deletes objects whose owners are all gone, until none is left; returns how many.
    pub fn collect_garbage(&mut self) -> usize {
        let mut collected = 0;
        loop {
            let uids: std::collections::BTreeSet<&str> = self
                .objects
                .values()
                .map(|object| text(object, "/metadata/uid"))
                .collect();
            let orphan = self.objects.iter().find(|(_, object)| {
                let owners = object
                    .pointer("/metadata/ownerReferences")
                    .and_then(Value::as_array);
                owners.is_some_and(|owners| {
                    !owners.is_empty()
                        && owners
                            .iter()
                            .all(|owner| !uids.contains(text(owner, "/uid")))
                })
            });
            let Some((key, _)) = orphan else {
                return collected;
            };
            let key = key.clone();
            self.remove(&key);
            collected += 1;
        }
    }

    fn expect(&self, key: &Key, expected: &Expected) -> Result<&Value, Refusal> {
        let object = self
            .objects
            .get(key)
            .ok_or_else(|| Refusal::NotFound(key.clone()))?;
        let holds = |expected: &Option<String>, pointer: &str| {
            expected
                .as_ref()
                .is_none_or(|expected| expected == text(object, pointer))
        };
        if holds(&expected.uid, "/metadata/uid")
            && holds(&expected.resource_version, "/metadata/resourceVersion")
        {
            Ok(object)
        } else {
            Err(Refusal::Conflict(key.clone()))
        }
    }

    fn replace(&mut self, key: &Key, part: Part, mut new: Value) -> Result<Value, Refusal> {
        let Some(old) = self.objects.get(key) else {
            return Err(Refusal::NotFound(key.clone()));
        };
        let subresource = STATUS_SUBRESOURCE.contains(&key.kind.as_str());
        if part == Part::Status && subresource {
            let status = new.get("status").cloned();
            new = old.clone();
            put_or_remove(&mut new, "status", status);
        } else if subresource {
            put_or_remove(&mut new, "status", old.get("status").cloned());
        }
        for field in [
            "uid",
            "creationTimestamp",
            "generation",
            "resourceVersion",
            "name",
            "namespace",
        ] {
            if let Some(value) = old.pointer(&format!("/metadata/{field}")) {
                set(&mut new, "metadata", field, value.clone());
            }
        }
        if new == *old {
            return Ok(new);
        }
        let content = |object: &Value| {
            let mut object = object.as_object().cloned().unwrap_or_default();
            object.remove("metadata");
            if subresource {
                object.remove("status");
            }
            object
        };
        if content(&new) != content(old) {
            let generation = old
                .pointer("/metadata/generation")
                .and_then(Value::as_u64)
                .unwrap_or(0);
            set(&mut new, "metadata", "generation", json!(generation + 1));
        }
        let deleting = new.pointer("/metadata/deletionTimestamp").is_some();
        let finalizers = new
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array);
        if deleting && finalizers.is_none_or(Vec::is_empty) {
            self.remove(key);
            return Ok(new);
        }
        Ok(self.put(key.clone(), new))
    }

    fn put(&mut self, key: Key, mut object: Value) -> Value {
        self.version += 1;
        set(
            &mut object,
            "metadata",
            "resourceVersion",
            json!(self.version.to_string()),
        );
        self.objects.insert(key.clone(), object.clone());
        self.log.push(Change {
            version: self.version,
            key,
            object: Some(object.clone()),
        });
        object
    }

    fn remove(&mut self, key: &Key) {
        if self.objects.remove(key).is_some() {
            self.version += 1;
            self.log.push(Change {
                version: self.version,
                key: key.clone(),
                object: None,
            });
        }
    }
}

/// The text at a JSON pointer; empty when there is none.
#[must_use]
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Applies a JSON merge patch (RFC 7386).
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge_patch(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

fn set(object: &mut Value, section: &str, field: &str, value: Value) {
    if let Some(section) = object.get_mut(section).and_then(Value::as_object_mut) {
        section.insert(field.to_owned(), value);
    }
}

fn put_or_remove(object: &mut Value, field: &str, value: Option<Value>) {
    if let Some(object) = object.as_object_mut() {
        match value {
            Some(value) => object.insert(field.to_owned(), value),
            None => object.remove(field),
        };
    }
}
