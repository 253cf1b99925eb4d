//! Which Rollouts name which objects: the index that leads from a changed Service, route or workload to the Rollouts that
//! depend on it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use sluice_runtime::Key;

/// An object that a Rollout names: group, kind and key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reference {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) key: Key,
}

/// The index. It holds what each Rollout named when it was last observed.
#[derive(Default)]
pub(crate) struct References {
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    by_rollout: HashMap<Key, BTreeSet<Reference>>,
    by_target: HashMap<Reference, BTreeSet<Key>>,
}

impl References {
    /// Replaces what a Rollout names.
    pub(crate) fn set(&self, rollout: &Key, targets: BTreeSet<Reference>) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.by_rollout.get(rollout) == Some(&targets) {
            return;
        }
        for old in index.by_rollout.remove(rollout).unwrap_or_default() {
            if let Some(rollouts) = index.by_target.get_mut(&old) {
                rollouts.remove(rollout);
                if rollouts.is_empty() {
                    index.by_target.remove(&old);
                }
            }
        }
        for target in &targets {
            index
                .by_target
                .entry(target.clone())
                .or_default()
                .insert(rollout.clone());
        }
        if !targets.is_empty() {
            index.by_rollout.insert(rollout.clone(), targets);
        }
    }

    /// The Rollouts that name an object.
    pub(crate) fn referrers(&self, target: &Reference) -> Vec<Key> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index
            .by_target
            .get(target)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> Reference {
        Reference {
            group: String::new(),
            kind: "Service".into(),
            key: Key::new("a", name),
        }
    }

    #[test]
    fn the_index_follows_what_rollouts_name() {
        let references = References::default();
        let (one, two) = (Key::new("a", "one"), Key::new("a", "two"));
        references.set(&one, [service("x"), service("y")].into());
        references.set(&two, [service("y")].into());
        assert_eq!(
            references.referrers(&service("y")),
            [one.clone(), two.clone()]
        );
        references.set(&one, [service("x")].into());
        assert_eq!(references.referrers(&service("y")), [two]);
        references.set(&one, BTreeSet::new());
        assert!(references.referrers(&service("x")).is_empty());
    }
}
