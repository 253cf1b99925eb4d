//! A work queue of keys: each key is worked on by one worker at a time, however often it is added.
//!
//! * A key that is added while it waits is one piece of work; one that is added while it is worked on is worked on
//!   once more afterwards.
//! * A key may be added before all others: what sends bad traffic back does not wait for a fleet that is updated.
//! * A key may ask to be woken at an instant; each run replaces the wish of the run before.
//! * Errors are retried after 1 ms, 2 ms, 4 ms, … 10 s, for each key by itself; an event does not wait for that.
//! * A panic is an error of its key and of nothing else.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

const FIRST_RETRY: Duration = Duration::from_millis(1);
const MAX_RETRY: Duration = Duration::from_secs(10);

/// How a piece of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing to do until an event.
    Done,
    /// Work on it again after this time, if no event comes before.
    After(Duration),
    /// It failed: work on it again after the backoff of the key.
    Retry,
}

/// The queue; cheap to clone.
pub struct Queue<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

struct Shared<K> {
    name: &'static str,
    state: Mutex<State<K>>,
    changed: Notify,
}

struct State<K> {
    ready: VecDeque<K>,
    timers: BTreeSet<(Instant, K)>,
    entries: HashMap<K, Entry>,
}

#[derive(Default)]
struct Entry {
    queued: bool,
    running: bool,
    again: bool,
    /// Whether it goes before others the next time.
    first: bool,
    failures: u32,
    wake: Option<Instant>,
}

impl<K: Clone + Eq + Ord + Hash + Display + Send + 'static> Queue<K> {
    /// An empty queue; the name labels its metrics.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let state = State {
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            entries: HashMap::new(),
        };
        Self {
            shared: Arc::new(Shared {
                name,
                state: Mutex::new(state),
                changed: Notify::new(),
            }),
        }
    }

    /// Adds a key, to be worked on as soon as a worker is free.
    pub fn add(&self, key: K) {
        metrics::counter!("workqueue_adds_total", "name" => self.shared.name).increment(1);
        let mut state = self.lock();
        let entry = state.entries.entry(key.clone()).or_default();
        if entry.running {
            entry.again = true;
        } else if !entry.queued {
            entry.queued = true;
            state.ready.push_back(key);
            drop(state);
            self.shared.changed.notify_one();
        }
    }

    /// Adds a key, to be worked on before all that wait.
    pub fn add_first(&self, key: K) {
        metrics::counter!("workqueue_adds_total", "name" => self.shared.name).increment(1);
        let mut state = self.lock();
        let entry = state.entries.entry(key.clone()).or_default();
        if entry.running {
            entry.again = true;
            entry.first = true;
            return;
        }
        if std::mem::replace(&mut entry.queued, true) {
            state.ready.retain(|waiting| *waiting != key);
        }
        state.ready.push_front(key);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Adds a key, to be worked on after some time, or earlier if it is woken for something else.
    pub fn add_after(&self, key: &K, delay: Duration) {
        let mut state = self.lock();
        let at = Instant::now() + delay;
        let earlier = state
            .entries
            .get(key)
            .and_then(|entry| entry.wake)
            .is_some_and(|wake| wake <= at);
        if !earlier {
            state.set_timer(key, Some(at));
            drop(state);
            self.shared.changed.notify_one();
        }
    }

    /// Number of keys that wait for a worker.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.lock().ready.len()
    }

    /// Works on the keys with at most `concurrency` workers until `stop`; then finishes what is under way.
    pub async fn run<H, F>(&self, concurrency: usize, stop: CancellationToken, handle: H)
    where
        H: Fn(K) -> F,
        F: Future<Output = Next> + Send + 'static,
    {
        let mut workers: JoinSet<(K, Next)> = JoinSet::new();
        loop {
            while workers.len() < concurrency.max(1) && !stop.is_cancelled() {
                let Some(key) = self.take() else { break };
                let work = AssertUnwindSafe(handle(key.clone())).catch_unwind();
                let name = self.shared.name;
                workers.spawn(async move {
                    let next = work.await.unwrap_or_else(|panic| {
                        metrics::counter!("sluice_panics_total", "queue" => name).increment(1);
                        tracing::error!(%key, panic = text_of(&*panic), "work on this object panicked; others go on");
                        Next::Retry
                    });
                    (key, next)
                });
            }
            metrics::gauge!("workqueue_depth", "name" => self.shared.name).set(self.depth() as f64);
            let timer = self.lock().timers.first().map(|(at, _)| *at);
            let free = workers.len() < concurrency.max(1);
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = workers.join_next() => self.finished(done.ok()),
                () = self.shared.changed.notified(), if free => {}
                () = sleep_until(timer.unwrap_or_else(Instant::now)), if timer.is_some() && free => {}
            }
        }
        while workers.join_next().await.is_some() {}
    }

    fn take(&self) -> Option<K> {
        let mut state = self.lock();
        let now = Instant::now();
        while let Some((at, key)) = state.timers.first().cloned() {
            if at > now {
                break;
            }
            state.set_timer(&key, None);
            let entry = state.entries.entry(key.clone()).or_default();
            if entry.running {
                entry.again = true;
            } else if !entry.queued {
                entry.queued = true;
                state.ready.push_back(key);
            }
        }
        let key = state.ready.pop_front()?;
        let entry = state.entries.entry(key.clone()).or_default();
        entry.queued = false;
        entry.running = true;
        // The run sees everything that the timer was set for, and sets a new one.
        state.set_timer(&key, None);
        Some(key)
    }

    fn finished(&self, done: Option<(K, Next)>) {
        // A worker cannot fail to join: panics are caught inside, and nothing aborts it.
        let Some((key, next)) = done else { return };
        let mut state = self.lock();
        let Some(entry) = state.entries.get_mut(&key) else {
            return;
        };
        entry.running = false;
        let delay = match next {
            Next::Done => None,
            Next::After(delay) => Some(delay),
            Next::Retry => Some(retry_delay(entry.failures)),
        };
        entry.failures = if next == Next::Retry {
            entry.failures.saturating_add(1)
        } else {
            0
        };
        if next == Next::Retry {
            metrics::counter!("workqueue_retries_total", "name" => self.shared.name).increment(1);
        }
        if std::mem::take(&mut entry.again) {
            entry.queued = true;
            if std::mem::take(&mut entry.first) {
                state.ready.push_front(key.clone());
            } else {
                state.ready.push_back(key.clone());
            }
        }
        if let Some(delay) = delay {
            let at = Instant::now() + delay;
            let entry = state.entries.entry(key.clone()).or_default();
            let at = entry.wake.map_or(at, |wake| wake.min(at));
            state.set_timer(&key, Some(at));
        }
        // A key with nothing left to remember takes no memory.
        if let Some(entry) = state.entries.get(&key)
            && !entry.queued
            && entry.wake.is_none()
            && entry.failures == 0
        {
            state.entries.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Ord + Hash> State<K> {
    fn set_timer(&mut self, key: &K, at: Option<Instant>) {
        let entry = self.entries.entry(key.clone()).or_default();
        if let Some(old) = std::mem::replace(&mut entry.wake, at) {
            self.timers.remove(&(old, key.clone()));
        }
        if let Some(at) = at {
            self.timers.insert((at, key.clone()));
        }
    }
}

/// The wait before the retry after `failures` earlier failures in a row.
#[must_use]
pub fn retry_delay(failures: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX))
        .min(MAX_RETRY)
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}
