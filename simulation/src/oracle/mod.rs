//! Judges: what must hold after every write, and what must hold once faults have stopped.
//!
//! What a single effect must not do to the world that it was decided on is not said here: those are the invariants of
//! `sluice_rollout::invariants`, which the simulated executor asks before each effect as the real one does. An engine that
//! decides something that they refuse has broken the promise "nothing unsafe is decided". What is added here:
//!
//! | what | where |
//! |---|---|
//! | the cluster as it truly is after a write, while caches lag and people interfere | `canary`, `blue_green`, this file |
//! | what rests, and how it ends | [`rest`] |
//! | what is left of a Rollout that was deleted, or whose status was lost | [`left`] |
//! | how often something is looked at | [`pace`] |

mod blue_green;
mod canary;
pub mod left;
pub mod pace;
pub mod rest;

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_crds::names::POD_TEMPLATE_HASH;
use sluice_crds::rollout::Rollout;
use sluice_rollout::Effect;

use crate::controller::Write;
use crate::store::{Change, Key, Object, Store};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Name of the promise.
    pub promise: &'static str,
    /// What was seen.
    pub seen: String,
}

fn broken(promise: &'static str, seen: String) -> Option<Broken> {
    Some(Broken { promise, seen })
}

/// Judges writes.
#[derive(Debug, Clone)]
pub struct Oracle {
    /// The Rollout.
    main: Key,
    /// What nobody may touch.
    pub(crate) bystanders: BTreeSet<Key>,
}

impl Oracle {
    pub(crate) fn new(main: Key) -> Self {
        Self {
            main,
            bystanders: BTreeSet::new(),
        }
    }

    /// Judges the state after one write of the controller, which made these changes.
    #[must_use]
    pub fn after(&self, store: &Store, write: &Write, changes: &[Change]) -> Option<Broken> {
        let mut touched = changes
            .iter()
            .filter(|it| self.bystanders.contains(&*it.key));
        if let Some(change) = touched.next() {
            let seen = format!("{} changed by {write:?}", change.key);
            return broken("what belongs to others is left alone", seen);
        }
        let Write::Effect {
            effect,
            aborted,
            replicas,
        } = write
        else {
            return None;
        };
        let rollout = store.object(&self.main)?.rollout()?;
        let written = Written {
            store,
            key: &self.main,
            rollout,
            effect,
            aborted: *aborted,
            replicas: *replicas,
            changes,
        };
        let strategy = || match rollout.spec.blue_green() {
            Some(strategy) => blue_green::judge(&written, strategy),
            None => canary::judge(&written),
        };
        workload(&written).or_else(strategy)
    }
}

/// One effect, and the cluster as it truly is after it.
struct Written<'a> {
    store: &'a Store,
    key: &'a Key,
    rollout: &'a Rollout,
    effect: &'a Effect,
    /// Whether the decision knew of an abort.
    aborted: bool,
    /// `spec.replicas`, as the decision knew it.
    replicas: i32,
    changes: &'a [Change],
}

impl<'a> Written<'a> {
    /// The ReplicaSet that a Service selects by its hash.
    fn selected(&self, service: &str) -> Option<&'a Object> {
        selected(self.store, self.key, service)
    }

    /// Pods that the ReplicaSets of the Rollout ask for.
    fn pods(&self) -> i64 {
        pods(self.store, self.rollout)
    }
}

/// Pods that the ReplicaSets of a Rollout ask for.
fn pods(store: &Store, rollout: &Rollout) -> i64 {
    let owner = rollout.metadata.uid.as_deref().unwrap_or_default();
    store
        .objects("ReplicaSet")
        .filter(|set| set.owner() == owner)
        .filter_map(|set| Some(i64::from(set.replica_set()?.replicas)))
        .sum()
}

fn selected<'a>(store: &'a Store, rollout: &Key, service: &str) -> Option<&'a Object> {
    let service = store.object(&Key::new("Service", &rollout.namespace, service))?;
    let hash = service.service()?.hash()?;
    let name = format!("{}-{hash}", rollout.name);
    let key = Key::new("ReplicaSet", &rollout.namespace, &name);
    store.object(&key).map(|set| &**set)
}

fn hash_of(set: &Object) -> &str {
    set.label(POD_TEMPLATE_HASH)
}

fn replicas_of(set: &Object) -> i64 {
    let replicas = set.at("/spec/replicas");
    replicas.and_then(Value::as_i64).unwrap_or(1)
}

/// What a Deployment has left, and the pods that the Rollout asks for, are as many as are wanted.
fn workload(written: &Written<'_>) -> Option<Broken> {
    let Effect::ScaleWorkload { name, to, .. } = written.effect else {
        return None;
    };
    let wanted = i64::from(written.replicas.min(written.rollout.spec.replicas()));
    let pods = written.pods();
    if pods + i64::from(*to) >= wanted {
        return None;
    }
    let key = written.key;
    broken(
        "a workload that is taken over makes no more room than is taken",
        format!("{key}: {name} has {to} pods left beside {pods} of {wanted}"),
    )
}
