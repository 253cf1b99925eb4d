//! The freshness gate: no decision on a view that is older than what this process itself wrote.
//!
//! A watch shows a write some moments after the API has confirmed it. Deciding in between on the old view would do
//! things twice or undo them; this is the largest class of controller bugs (Kubernetes' own controllers check it since
//! 1.36, KEP-5647). So every write is remembered for the object on whose behalf it was made, and [`Freshness::check`]
//! says whether the caches show all of them. When they do not for longer than [`BOUND`], the objects are read directly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::Api;
use crate::cache::{Cache, SyncState};
use crate::object::{Key, Object};

/// How long the watch may lag before objects are read directly.
pub const BOUND: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whether a decision may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The caches show everything that was written.
    Fresh,
    /// They do not; look again after this time (the watch events will come earlier, as a rule).
    Stale(Duration),
}

struct Expectation {
    cache: Arc<Cache>,
    target: Key,
    uid: Box<str>,
    /// What the cache must reach; `None` when the object must be gone.
    version: Option<Box<str>>,
    since: Instant,
}

impl Expectation {
    fn is_met(&self) -> bool {
        // A kind that is not there any more has nothing to be waited for.
        if self.cache.state() == SyncState::Absent {
            return true;
        }
        match (self.cache.get(&self.target), &self.version) {
            (Some(object), Some(version)) => object.uid != self.uid || object.is_at_least(version),
            (Some(object), None) => object.uid != self.uid,
            (None, Some(_)) => false,
            (None, None) => true,
        }
    }
}

/// What was written on behalf of each object.
#[derive(Default)]
pub struct Freshness {
    pending: Mutex<HashMap<Key, Vec<Expectation>>>,
}

impl Freshness {
    /// Remembers a write: the cache must show `target` at `version` or later.
    pub fn wrote(&self, work: &Key, cache: &Arc<Cache>, target: Key, uid: &str, version: &str) {
        self.expect(work, cache, target, uid, Some(version.into()));
    }

    /// Remembers a deletion: the cache must not show the object of that uid.
    pub fn deleted(&self, work: &Key, cache: &Arc<Cache>, target: Key, uid: &str) {
        self.expect(work, cache, target, uid, None);
    }

    fn expect(
        &self,
        work: &Key,
        cache: &Arc<Cache>,
        target: Key,
        uid: &str,
        version: Option<Box<str>>,
    ) {
        let expectation = Expectation {
            cache: Arc::clone(cache),
            target,
            uid: uid.into(),
            version,
            since: Instant::now(),
        };
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let list = pending.entry(work.clone()).or_default();
        list.retain(|old| {
            !(old.target == expectation.target && Arc::ptr_eq(&old.cache, &expectation.cache))
        });
        list.push(expectation);
    }

    /// Drops what is remembered for an object that is gone.
    pub fn forget(&self, work: &Key) {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(work);
    }

    /// Whether the caches show everything that was written on behalf of `work`.
    pub async fn check(&self, api: &Api, work: &Key) -> Gate {
        let overdue = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(list) = pending.get_mut(work) else {
                return Gate::Fresh;
            };
            list.retain(|expectation| !expectation.is_met());
            if list.is_empty() {
                pending.remove(work);
                return Gate::Fresh;
            }
            let oldest = list
                .iter()
                .map(|expectation| expectation.since.elapsed())
                .max();
            if oldest.unwrap_or_default() < BOUND {
                metrics::counter!("sluice_stale_skips_total").increment(1);
                return Gate::Stale(LOOK_AGAIN);
            }
            pending.remove(work).unwrap_or_default()
        };
        self.read_directly(api, work, overdue).await
    }

    async fn read_directly(&self, api: &Api, work: &Key, overdue: Vec<Expectation>) -> Gate {
        let mut failed = Vec::new();
        for expectation in overdue {
            metrics::counter!("sluice_direct_reads_total").increment(1);
            tracing::warn!(
                kind = %expectation.cache.kind(), object = %expectation.target,
                "the watch is late by more than {BOUND:?}; reading the object directly"
            );
            match api.get(expectation.cache.kind(), &expectation.target).await {
                Ok(Some(value)) => match Object::from_value(&value) {
                    Ok(object) => {
                        let cache = &expectation.cache;
                        cache.apply(cache.packed(object));
                    }
                    Err(error) => {
                        tracing::warn!(%error, object = %expectation.target, "cannot be read")
                    }
                },
                Ok(None) => {
                    expectation.cache.remove(&expectation.target, None);
                }
                Err(error) => {
                    tracing::warn!(%error, "direct read failed");
                    failed.push(expectation);
                }
            }
        }
        if failed.is_empty() {
            return Gate::Fresh;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.entry(work.clone()).or_default().extend(failed);
        Gate::Stale(Duration::from_secs(1))
    }
}
