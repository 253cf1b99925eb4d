//! The caches of a process: each is started when it is first asked for, and runs until the end.
//!
//! A cache is known by its kind and by a name for its use, since two loops may keep different parts of the same kind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::cache::{Cache, Subscriber, SyncState};
use crate::kind::Kind;
use crate::watch::{self, WatchOptions};

/// All watch caches; cheap to clone.
#[derive(Clone)]
pub struct Caches {
    inner: Arc<Inner>,
}

struct Inner {
    api: Api,
    /// `--namespaced`: watches are limited to this namespace.
    namespace: Option<String>,
    stop: CancellationToken,
    tasks: TaskTracker,
    started: Mutex<HashMap<(Kind, &'static str), Arc<Cache>>>,
}

impl Caches {
    /// No caches yet. With `namespace`, every watch of a namespaced kind is limited to it.
    #[must_use]
    pub fn new(api: Api, namespace: Option<String>, stop: CancellationToken) -> Self {
        let inner = Inner {
            api,
            namespace,
            stop,
            tasks: TaskTracker::new(),
            started: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The cache of a kind for a use, started with these options if it is new. `subscribers` are added only then.
    pub fn start(
        &self,
        kind: &Kind,
        usage: &'static str,
        mut options: WatchOptions,
        subscribers: Vec<Subscriber>,
    ) -> Arc<Cache> {
        let mut started = self
            .inner
            .started
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(cache) = started.get(&(kind.clone(), usage)) {
            return Arc::clone(cache);
        }
        let cache = Arc::new(Cache::new(kind.clone()));
        for subscriber in subscribers {
            cache.subscribe(subscriber);
        }
        started.insert((kind.clone(), usage), Arc::clone(&cache));
        drop(started);
        if kind.namespaced && options.namespace.is_none() {
            options.namespace.clone_from(&self.inner.namespace);
        }
        self.inner.tasks.spawn(watch::run(
            self.inner.api.clone(),
            Arc::clone(&cache),
            options,
            self.inner.stop.clone(),
        ));
        cache
    }

    /// The cache of a kind for a use, if it was started.
    #[must_use]
    pub fn get(&self, kind: &Kind, usage: &'static str) -> Option<Arc<Cache>> {
        let started = self
            .inner
            .started
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        started.get(&(kind.clone(), usage)).cloned()
    }

    /// Every cache that was started, with its use, in the order of the kinds' names.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, Arc<Cache>)> {
        let started = self
            .inner
            .started
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = started
            .iter()
            .map(|((_, usage), cache)| (*usage, Arc::clone(cache)))
            .collect();
        drop(started);
        all.sort_by(|left, right| (left.1.kind(), left.0).cmp(&(right.1.kind(), right.0)));
        all
    }

    /// Kinds whose content cannot be relied on yet, with their state; empty means ready.
    #[must_use]
    pub fn unsettled(&self) -> Vec<(Kind, SyncState)> {
        self.all()
            .into_iter()
            .filter(|(_, cache)| !cache.is_settled())
            .map(|(_, cache)| (cache.kind().clone(), cache.state()))
            .collect()
    }

    /// Waits until every cache that was started so far can be relied on, or until a time limit.
    ///
    /// # Errors
    /// The kinds that are not there yet when the time is over.
    pub async fn settled(&self, limit: Duration) -> Result<(), Vec<(Kind, SyncState)>> {
        let waiting = self.all();
        let all = futures::future::join_all(waiting.iter().map(|(_, cache)| cache.settled()));
        match tokio::time::timeout(limit, all).await {
            Ok(_) => Ok(()),
            Err(_) => Err(self.unsettled()),
        }
    }
}
