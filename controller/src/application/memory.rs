//! What the process remembers of each Application. All of it may be lost at any time: it only saves work.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use sluice_crds::application::{Application, Operation};
use sluice_crds::names;
use sluice_gitops::application::RenderRequest;
use sluice_gitops::diff;
use sluice_gitops::digest;
use sluice_gitops::key::Key as ObjectKey;
use sluice_gitops::refresh;
use sluice_runtime::Key;

use super::git::{Failure, Snapshot};

/// Renderings of other revisions that are kept.
const OTHERS: usize = 4;

/// One Application.
#[derive(Default)]
pub(crate) struct Memory {
    /// When to look at Git.
    pub(crate) refresh: refresh::Memory,
    /// The last rendering that went well.
    pub(crate) head: Option<Arc<Snapshot>>,
    /// Why the last look did not go well.
    pub(crate) failure: Option<Failure>,
    /// A look at Git is under way.
    pub(crate) looking: bool,
    /// Git was looked at since the last decision that was written down.
    pub(crate) looked: bool,
    /// What the look under way was asked for, and what the last one answered.
    pub(crate) asked: Asked,
    pub(crate) answered: Asked,
    /// Renderings of other revisions that decisions needed.
    pub(crate) others: Vec<(RenderRequest, Result<Arc<Snapshot>, String>)>,
    /// Such renderings that are under way.
    pub(crate) fetching: Vec<RenderRequest>,
    /// Live objects.
    pub(crate) live: BTreeMap<ObjectKey, Remembered>,
    /// What the API server predicted.
    pub(crate) predictions: BTreeMap<ObjectKey, Predicted>,
}

/// Orders on an Application that are carried out by looking at Git.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Asked {
    /// The value of the refresh annotation.
    pub(crate) refresh: Option<String>,
    /// An order to sync to the newest revision.
    pub(crate) operation: Option<Operation>,
}

impl Asked {
    /// What an Application asks for.
    pub(crate) fn of(app: &Application) -> Self {
        let annotations = app.metadata.annotations.as_ref();
        Self {
            refresh: annotations.and_then(|map| map.get(names::REFRESH)).cloned(),
            operation: app.operation.clone().filter(|_| refresh::wants_newest(app)),
        }
    }
}

/// A live object, as JSON text.
pub(crate) struct Remembered {
    pub(crate) resource_version: String,
    json: Box<[u8]>,
}

impl Remembered {
    pub(crate) fn new(value: &Value) -> Self {
        Self {
            resource_version: sluice_gitops::key::text(value, "/metadata/resourceVersion")
                .to_owned(),
            json: value.to_string().into_bytes().into_boxed_slice(),
        }
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or(Value::Null)
    }
}

/// A prediction, and what it depends on.
pub(crate) struct Predicted {
    basis: String,
    /// `None`: nothing would change.
    json: Option<Box<[u8]>>,
}

impl Predicted {
    pub(crate) fn new(basis: String, live: Option<&Value>, predicted: &Value) -> Self {
        let same = live.is_some_and(|live| diff::normalized(live) == diff::normalized(predicted));
        let json = (!same).then(|| predicted.to_string().into_bytes().into_boxed_slice());
        Self { basis, json }
    }

    /// The prediction, if it still holds.
    pub(crate) fn value(&self, basis: &str, live: Option<&Value>) -> Option<Value> {
        if self.basis != basis {
            return None;
        }
        match (&self.json, live) {
            (Some(json), _) => serde_json::from_slice(json).ok(),
            (None, live) => live.cloned(),
        }
    }
}

/// What a prediction depends on: the target, and everything of the live object but its status.
pub(crate) fn basis(target: &Value, live: Option<&Value>) -> String {
    let live = live.map(|live| {
        let owners: Vec<Value> = sluice_gitops::key::list(live, "/metadata/managedFields")
            .iter()
            .filter(|entry| entry.get("subresource").is_none())
            .map(|entry| {
                serde_json::json!([
                    entry.get("manager"),
                    entry.get("operation"),
                    entry.get("fieldsV1")
                ])
            })
            .collect();
        serde_json::json!([diff::normalized(live), owners])
    });
    digest::value(&serde_json::json!([target, live]))
}

impl Memory {
    /// Keeps a rendering of another revision; the oldest goes.
    pub(crate) fn keep(&mut self, request: RenderRequest, result: Result<Arc<Snapshot>, String>) {
        self.fetching.retain(|other| *other != request);
        self.others.retain(|(other, _)| *other != request);
        self.others.push((request, result));
        let excess = self.others.len().saturating_sub(OTHERS);
        self.others.drain(..excess);
    }

    /// Drops failures to render other revisions, so that they are tried again.
    pub(crate) fn drop_failures(&mut self) {
        self.others.retain(|(_, result)| result.is_ok());
    }
}

/// All Applications.
#[derive(Default)]
pub(crate) struct Memories {
    apps: Mutex<HashMap<Key, Memory>>,
}

impl Memories {
    /// Works on what is remembered of an Application; quick, and without waiting for anything.
    pub(crate) fn with<T>(&self, key: &Key, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(self.lock().entry(key.clone()).or_default())
    }

    /// Drops what is remembered of an Application that is gone.
    pub(crate) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Memory>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_prediction_outlives_changes_of_the_status_alone() {
        let target = json!({"spec": {"a": 1}});
        let live = |version: &str, a: i64, phase: &str| {
            json!({"metadata": {"resourceVersion": version, "managedFields": [
                {"manager": "status", "subresource": "status", "time": version, "fieldsV1": {}},
                {"manager": "x", "operation": "Apply", "time": version, "fieldsV1": {"f:spec": {}}}]},
                "spec": {"a": a}, "status": {"phase": phase}})
        };
        let first = basis(&target, Some(&live("1", 1, "x")));
        assert_eq!(first, basis(&target, Some(&live("2", 1, "y"))));
        assert_ne!(first, basis(&target, Some(&live("2", 2, "x"))));
        assert_ne!(
            first,
            basis(&json!({"spec": {"a": 2}}), Some(&live("1", 1, "x")))
        );
        assert_ne!(first, basis(&target, None));
    }

    #[test]
    fn a_prediction_without_a_change_is_the_live_object() {
        let live = json!({"metadata": {"resourceVersion": "1"}, "spec": {}});
        let predicted = Predicted::new("b".to_owned(), Some(&live), &live);
        assert!(predicted.json.is_none());
        assert_eq!(predicted.value("b", Some(&live)), Some(live));
        assert_eq!(predicted.value("other", None), None);
    }

    #[test]
    fn only_some_renderings_of_other_revisions_are_kept() {
        let mut memory = Memory::default();
        for n in 0..9 {
            let request = RenderRequest {
                revisions: vec![n.to_string()],
                ..RenderRequest::default()
            };
            memory.keep(request, Err("no".to_owned()));
        }
        assert_eq!(memory.others.len(), OTHERS);
        memory.drop_failures();
        assert!(memory.others.is_empty());
    }
}
