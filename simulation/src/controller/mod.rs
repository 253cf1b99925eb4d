//! Sluice's loops over the in-memory cluster: observe → decide → act, as in production, through a cache that may lag, with
//! a crash after any write.
//!
//! | step | file |
//! |---|---|
//! | what wakes an object; one pass over it | this file |
//! | observe: cache → world | `observe` |
//! | decide | `engine`, by the pure crates |
//! | act: effects, status | `act`, and for each kind `rollout`, `experiment`, `run` |
//! | what a Rollout that is gone has left | `gone` |

mod act;
pub mod engine;
mod experiment;
mod gone;
mod observe;
mod rollout;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sluice_crds::names::INSTANCE_ID;
use sluice_rollout::{EventNote, Settings};

use crate::coverage::Coverage;
use crate::metrics::Metrics;
use crate::store::{Key, Object, Refusal, Store};
use crate::view::View;
use act::Act;
pub use act::{Faults, Observer, Write};
use engine::Engine;
use observe::Seen;

/// How one pass over one object ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Pass {
    /// Everything was written; `writes` says how much.
    Done {
        /// Number of writes that changed something.
        writes: usize,
    },
    /// The cache has not seen this controller's own last write yet: nothing was decided.
    Stale,
    /// The object is gone from the cache.
    Gone,
    /// A write was refused; the rest of the plan was dropped.
    Refused(Refusal),
    /// A safety invariant refused an effect; the rest of the plan was dropped.
    Unsafe(String),
    /// The controller died here: after the write with this number, counted from 0.
    Crashed(usize),
}

/// The cluster around the loops, for one pass.
pub struct Around<'a> {
    /// The API server.
    pub store: &'a mut Store,
    /// Prometheus and the pods.
    pub metrics: &'a mut Metrics,
    /// What goes wrong.
    pub faults: Faults,
    /// Called after each write that changed something.
    pub observe: &'a mut Observer<'a>,
    /// What occurred is counted here.
    pub coverage: &'a mut Coverage,
}

/// The loops, with their caches and nothing else that a restart would miss.
#[derive(Debug, Clone)]
pub struct Controller {
    /// The watch caches.
    pub view: View,
    /// What decides.
    pub engine: Engine,
    /// How far the controller's clock is ahead of the cluster's.
    pub skew: SignedDuration,
    /// `--instance-id` and such.
    pub settings: Settings,
    /// By object that was worked on: kinds and versions of what was written for it.
    wrote: BTreeMap<Arc<Key>, BTreeMap<String, u64>>,
    wake: BTreeMap<Arc<Key>, Timestamp>,
    dirty: BTreeSet<Arc<Key>>,
    seen: BTreeMap<Arc<Key>, Seen>,
    /// Events that were emitted, in order.
    pub events: Vec<(Timestamp, EventNote)>,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            view: View::default(),
            engine: Engine::default(),
            skew: SignedDuration::ZERO,
            settings: Settings {
                instance_id: String::new(),
            },
            wrote: BTreeMap::new(),
            wake: BTreeMap::new(),
            dirty: BTreeSet::new(),
            seen: BTreeMap::new(),
            events: Vec::new(),
        }
    }
}

/// Seconds after which a pass that was refused, or that saw too little, is tried again.
const AGAIN: i64 = 1;

impl Controller {
    /// Starts anew: what was in memory is gone, the caches are listed, everything is looked at.
    pub fn restart(&mut self, store: &Store) {
        self.wrote.clear();
        self.wake.clear();
        self.seen.clear();
        self.relist(store);
    }

    /// Lists all caches anew, as after a watch that cannot be continued.
    pub fn relist(&mut self, store: &Store) {
        self.view.relist(store);
        self.dirty.extend(self.keys());
        self.wake_managers();
    }

    /// The controller's clock.
    #[must_use]
    pub fn now(&self, store: &Store) -> Timestamp {
        store.now.checked_add(self.skew).unwrap_or(store.now)
    }

    /// When the next object asks to be looked at again, on the cluster's clock.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let next = self.wake.values().copied().min()?;
        next.checked_sub(self.skew).ok()
    }

    /// Keys of the objects that the loops look after: those of their instance.
    #[must_use]
    pub fn keys(&self) -> Vec<Arc<Key>> {
        let ours = |object: &&Arc<Object>| object.label(INSTANCE_ID) == self.settings.instance_id;
        ["Rollout", "Experiment", "AnalysisRun"]
            .into_iter()
            .flat_map(|kind| self.view.list(kind))
            .filter(ours)
            .map(|object| Arc::clone(&object.key))
            .collect()
    }

    /// Marks what the news of the caches are about.
    pub fn wake_for_news(&mut self) {
        for change in self.view.take_news() {
            let (before, after) = (change.before.as_deref(), change.after.as_deref());
            // What it was wakes somebody else only when it belonged to somebody else.
            let before =
                before.filter(|before| after.is_none_or(|after| !same_owner(before, after)));
            for object in [before, after].into_iter().flatten() {
                self.wake_for(object);
            }
        }
    }

    fn wake_for(&mut self, object: &Object) {
        let instance = self.settings.instance_id.clone();
        let ours = |it: &Object| it.label(INSTANCE_ID) == instance;
        let owner = object.owner();
        match object.key.kind.as_str() {
            "Rollout" => {
                if ours(object) {
                    self.dirty.insert(Arc::clone(&object.key));
                }
                let experiments = self.view.list("Experiment");
                let owned = experiments.filter(|it| it.owner() == object.uid() && ours(it));
                self.dirty.extend(owned.map(|it| Arc::clone(&it.key)));
                return;
            }
            "AnalysisRun" | "Experiment" if ours(object) => {
                self.dirty.insert(Arc::clone(&object.key));
            }
            _ => {}
        }
        // What belongs to an Experiment is that one's business; what nobody owns may be named by any Rollout.
        let is_owner = |it: &&Arc<Object>| !owner.is_empty() && it.uid() == owner;
        let of = self.view.list("Experiment").find(is_owner).cloned();
        match of.map(|it| (ours(&it), Arc::clone(&it.key))) {
            Some((true, key)) => {
                self.dirty.insert(key);
            }
            Some(_) => {}
            None => self.wake_rollouts(),
        }
    }

    /// Marks every Rollout of this instance: something that it may name, or a pod, changed.
    pub fn wake_rollouts(&mut self) {
        let rollouts = self.view.list("Rollout");
        let ours = rollouts.filter(|it| it.label(INSTANCE_ID) == self.settings.instance_id);
        self.dirty.extend(ours.map(|it| Arc::clone(&it.key)));
        self.wake_managers();
    }

    /// Takes out what has to be looked at now.
    pub fn take_due(&mut self, store: &Store) -> Vec<Arc<Key>> {
        let now = self.now(store);
        let mut due = std::mem::take(&mut self.dirty);
        due.extend(
            self.wake
                .iter()
                .filter(|(_, at)| **at <= now)
                .map(|(key, _)| Arc::clone(key)),
        );
        due.into_iter().collect()
    }

    /// When an object asks to be looked at again, on the controller's clock.
    #[must_use]
    pub fn wake_of(&self, key: &Key) -> Option<Timestamp> {
        self.wake.get(key).copied()
    }

    /// Looks at one object.
    pub fn pass(&mut self, key: &Arc<Key>, around: Around<'_>) -> Pass {
        self.dirty.remove(key);
        let now = self.now(around.store);
        if !self.fresh(key) {
            around.coverage.fault("stale view");
            self.again(key, now);
            return Pass::Stale;
        }
        let metrics = around.metrics;
        let mut act = Act {
            now,
            store: around.store,
            faults: around.faults,
            number: 0,
            writes: 0,
            wrote: Vec::new(),
            observe: around.observe,
            coverage: around.coverage,
        };
        let Some(object) = self.view.get(key).cloned() else {
            self.wake.remove(key);
            self.seen.remove(key);
            self.wrote.remove(key);
            return self.gone(key, act);
        };
        let mut seen = self.seen.remove(key).unwrap_or_default();
        let outcome = match key.kind.as_str() {
            "Rollout" => self.rollout(&object, &mut seen, &mut metrics.workloads, &mut act),
            "Experiment" => self.experiment(&object, &mut seen, &mut act),
            _ => self.run(&object, metrics, &mut act),
        };
        let writes = act.writes;
        if !act.wrote.is_empty() {
            let wrote = self.wrote.entry(Arc::clone(key)).or_default();
            wrote.extend(act.wrote);
        }
        self.seen.insert(Arc::clone(key), seen);
        match outcome {
            Err(pass) => {
                self.again(key, now);
                pass
            }
            Ok(wake) => {
                match wake {
                    Some(at) => self.wake.insert(Arc::clone(key), at),
                    None => self.wake.remove(key),
                };
                Pass::Done { writes }
            }
        }
    }

    fn again(&mut self, key: &Arc<Key>, now: Timestamp) {
        let again = now.checked_add(SignedDuration::from_secs(AGAIN));
        self.wake.insert(Arc::clone(key), again.unwrap_or(now));
    }

    /// Whether the cache has seen what this controller wrote for an object.
    fn fresh(&mut self, key: &Key) -> bool {
        let Some(wrote) = self.wrote.get_mut(key) else {
            return true;
        };
        let view = &self.view;
        wrote.retain(|kind, version| view.version(kind) < *version);
        wrote.is_empty()
    }
}

/// Whether two states of an object belong to the same owner and the same instance.
fn same_owner(before: &Object, after: &Object) -> bool {
    before.owner() == after.owner() && before.label(INSTANCE_ID) == after.label(INSTANCE_ID)
}
