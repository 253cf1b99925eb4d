//! Which Services say that a Rollout manages them: the index by which those are found that it names no more, and those of
//! a Rollout that is gone.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use sluice_crds::object_name::is_object_name;
use sluice_runtime::cache::Change;
use sluice_runtime::{Key, Object};

/// The index. It follows the cache of Services.
#[derive(Default)]
pub(crate) struct Managed {
    /// Rollout, and name of a Service in the same namespace.
    pairs: Mutex<BTreeSet<(Key, Arc<str>)>>,
}

impl Managed {
    /// Takes a change over. Gives the Rollouts that managed the Service before, and manage it now.
    pub(super) fn follow(&self, change: &Change<'_>) -> impl Iterator<Item = Key> + use<> {
        let (before, after) = match change {
            Change::Applied { object, previous } => {
                (previous.and_then(|it| manager(it)), manager(object))
            }
            Change::Deleted { object } => (manager(object), None),
        };
        let service = &change.object().key.name;
        if before != after {
            let mut pairs = self.lock();
            if let Some(before) = &before {
                pairs.remove(&(before.clone(), Arc::clone(service)));
            }
            if let Some(after) = &after {
                pairs.insert((after.clone(), Arc::clone(service)));
            }
        }
        let changed = before.filter(|it| after.as_ref() != Some(it));
        changed.into_iter().chain(after)
    }

    /// Keys of the Services that a Rollout manages.
    pub(super) fn of(&self, rollout: &Key) -> Vec<Key> {
        let first = (rollout.clone(), Arc::from(""));
        self.lock()
            .range((Bound::Included(first), Bound::Unbounded))
            .take_while(|(manager, _)| manager == rollout)
            .map(|(_, service)| Key {
                namespace: Arc::clone(&rollout.namespace),
                name: Arc::clone(service),
            })
            .collect()
    }

    /// The Rollouts of a namespace that manage Services, once for each of these.
    pub(super) fn managers(&self, namespace: &str) -> Vec<Key> {
        let first = (Key::new(namespace, ""), Arc::from(""));
        self.lock()
            .range((Bound::Included(first), Bound::Unbounded))
            .take_while(|(manager, _)| &*manager.namespace == namespace)
            .map(|(manager, _)| manager.clone())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(Key, Arc<str>)>> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of a Service that is looked at.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Slim {
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    annotations: Annotations,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "argo-rollouts.argoproj.io/managed-by-rollouts")]
    manager: Option<String>,
}

/// The Rollout that a Service names as its manager, if that is the name of an object at all: it becomes part of a path.
fn manager(service: &Object) -> Option<Key> {
    let manager = service
        .decode::<Slim>()
        .ok()?
        .metadata
        .annotations
        .manager?;
    is_object_name(&manager).then(|| Key {
        namespace: Arc::clone(&service.key.namespace),
        name: manager.into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluice_crds::names::MANAGED_BY_ROLLOUTS;

    use super::*;

    fn service(name: &str, manager: &str) -> Arc<Object> {
        let value = json!({"metadata": {
            "namespace": "a", "name": name, "uid": "u", "resourceVersion": "1",
            "annotations": {MANAGED_BY_ROLLOUTS: manager}
        }});
        Arc::new(Object::from_value(&value).unwrap())
    }

    fn follow(managed: &Managed, object: &Arc<Object>, previous: Option<&Arc<Object>>) -> Vec<Key> {
        managed
            .follow(&Change::Applied { object, previous })
            .collect()
    }

    #[test]
    fn services_are_found_by_the_rollout_that_manages_them() {
        let managed = Managed::default();
        let (web, shop) = (Key::new("a", "web"), Key::new("a", "shop"));
        let first = service("one", "web");
        assert_eq!(follow(&managed, &first, None), std::slice::from_ref(&web));
        follow(&managed, &service("two", "web"), None);
        follow(&managed, &service("three", "web2"), None);
        assert_eq!(
            managed.of(&web),
            [Key::new("a", "one"), Key::new("a", "two")]
        );
        // Who lost it hears of it, too.
        let moved = follow(&managed, &service("one", "shop"), Some(&first));
        assert_eq!(moved, [web.clone(), shop.clone()]);
        assert_eq!(managed.of(&shop), [Key::new("a", "one")]);
        assert_eq!(managed.managers("a").len(), 3);
        assert!(managed.managers("b").is_empty());
        let object = &service("two", "web");
        let gone: Vec<Key> = managed.follow(&Change::Deleted { object }).collect();
        assert_eq!(gone, std::slice::from_ref(&web));
        assert!(managed.of(&web).is_empty());
    }

    #[test]
    fn what_cannot_be_a_name_manages_nothing() {
        for name in [
            "",
            "..",
            "../../secrets",
            "a/b",
            "a?b",
            "Web",
            &"a".repeat(254),
        ] {
            assert_eq!(manager(&service("one", name)), None, "{name}");
        }
    }
}
