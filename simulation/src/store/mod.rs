//! An API server in memory: objects, resource versions, conflicts, finalizers, owners.
//!
//! It follows the real one where controllers can tell the difference: a write with an outdated resourceVersion or uid is a
//! 409, `metadata.generation` rises when anything but metadata and status changes, a write that changes nothing keeps
//! the resourceVersion, a deleted object with finalizers stays until they are gone, and dependents follow their owner.
//! That its answers are those of the real one is tested with random requests (`e2e/tests/store`).
//!
//! | what | file |
//! |---|---|
//! | names, preconditions, refusals | `key` |
//! | an object at one resource version, and what its states share | `object`, `fields` |
//! | merge patches | `patch` |
//! | the form in which objects are stored, and which are refused | `rules` |
//!
//! Requests of the engines come in through [`crate::requests`].

mod fields;
mod key;
mod object;
mod patch;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use fields::Fields;
pub use key::{Expected, Key, Part, Refusal};
pub use object::Object;
pub use patch::merge_patch;
use patch::put_or_remove;
use sluice_crds::pointer::{at, text};

/// One change, as a watch reports it.
#[derive(Debug, Clone)]
pub struct Change {
    /// Resource version of the change.
    pub version: u64,
    /// The object before; `None` when it was made.
    pub before: Option<Arc<Object>>,
    /// Its new state; `None` when it was deleted.
    pub after: Option<Arc<Object>>,
    /// Which object.
    pub key: Arc<Key>,
}

/// The objects, and the changes to them in order, since the last compaction.
#[derive(Debug, Clone)]
pub struct Store {
    objects: BTreeMap<Arc<Key>, Arc<Object>>,
    log: Vec<Change>,
    version: u64,
    uids: u64,
    /// Whether something was deleted since dependents were looked for.
    orphans: bool,
    /// The time that new objects get.
    pub now: Timestamp,
}

/// Kinds whose status is a subresource.
const STATUS_SUBRESOURCE: [&str; 7] = [
    "Rollout",
    "ReplicaSet",
    "Deployment",
    "Service",
    "HTTPRoute",
    "Ingress",
    "Pod",
];

/// Kinds that are built in.
const BUILT_IN: [&str; 7] = [
    "ReplicaSet",
    "Deployment",
    "Service",
    "Ingress",
    "Pod",
    "ConfigMap",
    "Secret",
];

/// Kinds that have no `metadata.generation`.
const NO_GENERATION: [&str; 3] = ["Service", "ConfigMap", "Secret"];

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            objects: BTreeMap::new(),
            log: Vec::new(),
            version: 0,
            uids: 0,
            orphans: false,
            now,
        }
    }

    /// The newest resource version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All changes after a resource version that is not compacted.
    #[must_use]
    pub fn changes_since(&self, version: u64) -> &[Change] {
        let from = self.log.partition_point(|change| change.version <= version);
        self.log.get(from..).unwrap_or_default()
    }

    /// Forgets the changes up to a resource version, as etcd does when it is compacted: watches begin after it.
    pub fn compact(&mut self, version: u64) {
        let upto = self.log.partition_point(|change| change.version <= version);
        self.log.drain(..upto);
    }

    /// An object as JSON.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Value> {
        Some(self.objects.get(key)?.value())
    }

    /// An object.
    #[must_use]
    pub fn object(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// All objects by key.
    pub(crate) fn everything(&self) -> &BTreeMap<Arc<Key>, Arc<Object>> {
        &self.objects
    }

    /// All objects of a kind as JSON, by namespace and name.
    pub fn list<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> + 'a {
        self.objects(kind).map(|object| object.value())
    }

    /// All objects of a kind, by namespace and name.
    pub fn objects<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Arc<Object>> + 'a {
        of_kind(&self.objects, kind)
    }

    /// Creates an object. Server-set fields in it are replaced.
    ///
    /// # Errors
    /// When it exists, or has no kind or name.
    pub fn create(&mut self, mut object: Value) -> Result<Arc<Object>, Refusal> {
        let key = Key::of(&object);
        if key.kind.is_empty() || key.name.is_empty() {
            return Err(Refusal::Invalid(
                key,
                "kind and metadata.name are required".into(),
            ));
        }
        if let Some(why) = rules::refused_new(&object) {
            return Err(Refusal::Invalid(key, why));
        }
        let uid = format!("uid-{}", self.uids + 1);
        let created = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("deletionTimestamp");
            metadata.insert("uid".into(), json!(uid));
            metadata.insert("creationTimestamp".into(), json!(created));
            if !NO_GENERATION.contains(&key.kind.as_str()) {
                metadata.insert("generation".into(), json!(1));
            }
        }
        if STATUS_SUBRESOURCE.contains(&key.kind.as_str())
            && let Some(object) = object.as_object_mut()
        {
            object.remove("status");
        }
        let mut object = Fields::of(object);
        rules::canonical(&key.kind, &mut object, &Fields::default());
        if let Some(why) = rules::refused(&key.kind, None, &object) {
            return Err(Refusal::Invalid(key, why));
        }
        if self.objects.contains_key(&key) {
            return Err(Refusal::AlreadyExists(key));
        }
        self.uids += 1;
        Ok(self.put(Arc::new(key), object))
    }

    /// Merges a JSON merge patch into an object. A uid or resourceVersion in the patch must be that of the object.
    ///
    /// # Errors
    /// When it does not exist, or is not what was expected.
    pub fn merge(
        &mut self,
        key: &Key,
        part: Part,
        expected: &Expected,
        patch: &Value,
    ) -> Result<Arc<Object>, Refusal> {
        let built_in = BUILT_IN.contains(&key.kind.as_str());
        if part == Part::Status && !STATUS_SUBRESOURCE.contains(&key.kind.as_str()) {
            // There is no such path.
            return Err(Refusal::NotFound(key.clone()));
        }
        let old = self.expect(key, expected)?;
        let version = at(patch, "/metadata/resourceVersion");
        if !built_in && version.is_some_and(Value::is_null) {
            let why = "metadata.resourceVersion: must be specified for an update";
            return Err(Refusal::Invalid(key.clone(), why.to_owned()));
        }
        let fences = if part == Part::Status && !built_in {
            // Of a status patch the API server drops the metadata before it compares uids.
            &["/metadata/resourceVersion"][..]
        } else {
            &["/metadata/resourceVersion", "/metadata/uid"]
        };
        for field in fences {
            let asked = text(patch, field);
            if !asked.is_empty() && asked != old.text(field) {
                return Err(Refusal::Conflict(key.clone()));
            }
        }
        let mut object = old.fields.clone();
        let Some(changes) = patch.as_object() else {
            let why = "a merge patch of an object is an object".to_owned();
            return Err(Refusal::Invalid(key.clone(), why));
        };
        for (name, change) in changes {
            match object.edit(name) {
                _ if change.is_null() => object.put(name, None),
                Some(known) => merge_patch(known, change),
                None => {
                    let mut made = Value::Null;
                    merge_patch(&mut made, change);
                    object.put(name, Some(made));
                }
            }
        }
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
    ) -> Result<Arc<Object>, Refusal> {
        let old = self.expect(key, expected)?;
        let mut object = old.value().clone();
        edit(&mut object);
        let mut object = Fields::of(object);
        object.share(&old.fields);
        self.replace(key, part, object)
    }

    /// Deletes an object; with finalizers it stays, marked as deleting.
    ///
    /// # Errors
    /// When it does not exist, or is not what was expected.
    pub fn delete(&mut self, key: &Key, expected: &Expected) -> Result<(), Refusal> {
        let object = self.expect(key, expected)?;
        if object.at("/metadata/deletionTimestamp").is_some() {
            return Ok(());
        }
        let finalizers = object.at("/metadata/finalizers").and_then(Value::as_array);
        if finalizers.is_some_and(|list| !list.is_empty()) {
            let key = Arc::clone(&object.key);
            let mut object = object.fields.clone();
            let now = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            set(&mut object, "metadata", "deletionTimestamp", json!(now));
            raise_generation(&mut object);
            self.put(key, object);
        } else {
            self.remove(key);
        }
        Ok(())
    }

    /// Deletes objects whose owners are all gone, until none is left; returns how many.
    pub fn collect_garbage(&mut self) -> usize {
        let mut collected = 0;
        while std::mem::take(&mut self.orphans) {
            let uids: BTreeSet<&str> = self.objects.values().map(|object| object.uid()).collect();
            let owned_by_none = |object: &Object| {
                let owners = object.at("/metadata/ownerReferences");
                let owners = owners.and_then(Value::as_array);
                owners.is_some_and(|owners| {
                    let gone = |owner: &Value| !uids.contains(text(owner, "/uid"));
                    !owners.is_empty() && owners.iter().all(gone)
                })
            };
            let orphans: Vec<Arc<Key>> = self
                .objects
                .values()
                .filter(|object| owned_by_none(object))
                .map(|object| Arc::clone(&object.key))
                .collect();
            for key in orphans {
                self.remove(&key);
                collected += 1;
            }
        }
        collected
    }

    fn expect(&self, key: &Key, expected: &Expected) -> Result<&Arc<Object>, Refusal> {
        let object = self
            .objects
            .get(key)
            .ok_or_else(|| Refusal::NotFound(key.clone()))?;
        let holds = |expected: &Option<String>, pointer: &str| {
            expected
                .as_ref()
                .is_none_or(|expected| expected == object.text(pointer))
        };
        if holds(&expected.uid, "/metadata/uid")
            && holds(&expected.resource_version, "/metadata/resourceVersion")
        {
            Ok(object)
        } else {
            Err(Refusal::Conflict(key.clone()))
        }
    }

    fn replace(&mut self, key: &Key, part: Part, mut new: Fields) -> Result<Arc<Object>, Refusal> {
        let Some(present) = self.objects.get(key).cloned() else {
            return Err(Refusal::NotFound(key.clone()));
        };
        let old = &present.fields;
        if !key.is_of(&new) {
            let why = "the name of the object does not match the name in the URL".to_owned();
            return Err(Refusal::Invalid(key.clone(), why));
        }
        let subresource = STATUS_SUBRESOURCE.contains(&key.kind.as_str());
        if part == Part::Status && subresource {
            let built_in = BUILT_IN.contains(&key.kind.as_str());
            // Of its own kinds the API server takes the metadata too, but for the labels of a Deployment.
            new.restore(old, |field| {
                field == "status" || (built_in && field == "metadata")
            });
            if key.kind == "Deployment"
                && let Some(metadata) = new.edit("metadata")
            {
                let labels = old.at("/metadata/labels").cloned();
                put_or_remove(metadata, "labels", labels);
            }
        } else if subresource {
            new.restore(old, |field| field != "status");
        }
        for field in ["uid", "creationTimestamp", "generation", "resourceVersion"] {
            let known = old.get("metadata").and_then(|metadata| metadata.get(field));
            let now = new.get("metadata").and_then(|metadata| metadata.get(field));
            if now != known
                && let Some(metadata) = new.edit("metadata")
            {
                put_or_remove(metadata, field, known.cloned());
            }
        }
        rules::canonical(&key.kind, &mut new, old);
        let same_content = same_content(&new, old, subresource);
        if same_content && new.same(old, "metadata") && new.same(old, "status") {
            return Ok(present);
        }
        if let Some(why) = rules::refused(&key.kind, Some(old), &new) {
            return Err(Refusal::Invalid(key.clone(), why));
        }
        // The annotations of a Deployment count: they are copied to its sets.
        let annotated = key.kind == "Deployment"
            && part == Part::Main
            && new.at("/metadata/annotations") != old.at("/metadata/annotations");
        let changed = annotated || !same_content;
        if changed && !NO_GENERATION.contains(&key.kind.as_str()) {
            raise_generation(&mut new);
        }
        let deleting = new.at("/metadata/deletionTimestamp").is_some();
        let finalizers = new.at("/metadata/finalizers").and_then(Value::as_array);
        if deleting && finalizers.is_none_or(Vec::is_empty) {
            self.remove(key);
            return Ok(Object::new(Arc::clone(&present.key), self.version, new));
        }
        Ok(self.put(Arc::clone(&present.key), new))
    }

    fn put(&mut self, key: Arc<Key>, mut object: Fields) -> Arc<Object> {
        self.version += 1;
        let version = json!(self.version.to_string());
        set(&mut object, "metadata", "resourceVersion", version);
        let object = Object::new(Arc::clone(&key), self.version, object);
        let before = self.objects.insert(Arc::clone(&key), Arc::clone(&object));
        self.log.push(Change {
            version: self.version,
            before,
            after: Some(Arc::clone(&object)),
            key,
        });
        object
    }

    fn remove(&mut self, key: &Key) {
        if let Some(before) = self.objects.remove(key) {
            self.version += 1;
            self.orphans = true;
            self.log.push(Change {
                version: self.version,
                key: Arc::clone(&before.key),
                before: Some(before),
                after: None,
            });
        }
    }
}

/// The objects of one kind in a map by key.
pub(crate) fn of_kind<'a>(
    objects: &'a BTreeMap<Arc<Key>, Arc<Object>>,
    kind: &'a str,
) -> impl Iterator<Item = &'a Arc<Object>> + 'a {
    objects
        .range::<Key, _>(Key::new(kind, "", "")..)
        .take_while(move |(key, _)| key.kind == kind)
        .map(|(_, object)| object)
}

fn raise_generation(object: &mut Fields) {
    let generation = object.at("/metadata/generation").and_then(Value::as_u64);
    if let Some(generation) = generation {
        set(object, "metadata", "generation", json!(generation + 1));
    }
}

fn set(object: &mut Fields, section: &str, field: &str, value: Value) {
    if let Some(section) = object.edit(section).and_then(Value::as_object_mut) {
        section.insert(field.to_owned(), value);
    }
}

/// Whether two states of an object differ in nothing but metadata and status.
fn same_content(new: &Fields, old: &Fields, subresource: bool) -> bool {
    new.same_but(old, |name| {
        name == "metadata" || (subresource && name == "status")
    })
}
