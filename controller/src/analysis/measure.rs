//! Measurements under way: each is a task of its own, so a slow provider holds neither a worker nor another run.
//!
//! A measurement belongs to one metric of one run (by uid). Its outcome is kept until [`Measurements::absorbed`] says that
//! a status which contains it was confirmed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use sluice_analysis::{CancelRequest, MeasureRequest, Outcome, SecretValues};
use sluice_crds::analysis::AnalysisRun;
use sluice_runtime::{Context, Key, Object, Queue};
use tokio::task::AbortHandle;

use super::provider::Providers;

/// The outcome of one measurement.
#[derive(Clone)]
pub(super) struct Finished {
    number: u64,
    pub(super) metric: String,
    pub(super) outcome: Outcome,
    pub(super) started_at: Timestamp,
    /// Values that the measurement used: messages must not show them.
    pub(super) secrets: SecretValues,
}

/// All measurements under way, and outcomes that no status contains yet.
pub(super) struct Measurements {
    shared: Arc<Shared>,
}

struct Shared {
    ctx: Context,
    queue: Queue<Key>,
    providers: Providers,
    number: AtomicU64,
    runs: Mutex<HashMap<Key, PerRun>>,
}

#[derive(Default)]
struct PerRun {
    uid: Box<str>,
    under_way: BTreeMap<String, AbortHandle>,
    finished: Vec<Finished>,
}

impl Measurements {
    pub(super) fn new(ctx: &Context, queue: &Queue<Key>, providers: Providers) -> Self {
        let shared = Shared {
            providers,
            ctx: ctx.clone(),
            queue: queue.clone(),
            number: AtomicU64::new(0),
            runs: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Names of the metrics of a run that are being measured.
    pub(super) fn in_flight(&self, key: &Key, uid: &str) -> BTreeSet<String> {
        let runs = self.shared.lock();
        let run = runs.get(key).filter(|run| &*run.uid == uid);
        run.into_iter()
            .flat_map(|run| run.under_way.keys().cloned())
            .collect()
    }

    /// Outcomes of a run that no confirmed status contains, in the order in which they came.
    pub(super) fn finished(&self, key: &Key, uid: &str) -> Vec<Finished> {
        let runs = self.shared.lock();
        runs.get(key)
            .filter(|run| &*run.uid == uid)
            .map(|run| run.finished.clone())
            .unwrap_or_default()
    }

    /// Drops outcomes that a confirmed status contains.
    pub(super) fn absorbed(&self, key: &Key, done: &[Finished]) {
        if let Some(run) = self.shared.lock().get_mut(key) {
            run.finished
                .retain(|finished| !done.iter().any(|done| done.number == finished.number));
        }
    }

    /// Starts a measurement, unless the metric is being measured.
    pub(super) fn start(&self, object: &Object, run: &AnalysisRun, request: MeasureRequest) {
        let mut runs = self.shared.lock();
        let entry = runs.entry(object.key.clone()).or_default();
        if entry.uid != object.uid {
            entry.end();
            *entry = PerRun {
                uid: object.uid.clone(),
                ..PerRun::default()
            };
        }
        let metric = request.metric.name.clone();
        if entry.under_way.contains_key(&metric) {
            return;
        }
        let (shared, key, uid) = (
            Arc::clone(&self.shared),
            object.key.clone(),
            object.uid.clone(),
        );
        let run = run.clone();
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed);
        let task = tokio::spawn(async move {
            let started_at = shared.ctx.clock.now();
            // A task inside the task: a panic of a provider is an error of its metric.
            let (providers, resolving) = (shared.providers.clone(), request.clone());
            let asked = tokio::spawn(async move { providers.measure(&run, &resolving).await });
            let _ended_with_us = AbortOnDrop(asked.abort_handle());
            let (outcome, secrets) = asked.await.unwrap_or_else(|_| {
                metrics::counter!("sluice_panics_total", "queue" => "measurements").increment(1);
                let message = "the provider panicked; see the controller's log".to_owned();
                (
                    Outcome::Error {
                        message,
                        transient: true,
                    },
                    SecretValues::new(),
                )
            });
            let finished = Finished {
                number,
                metric: request.metric.name,
                outcome,
                started_at,
                secrets,
            };
            shared.finish(&key, &uid, finished);
        });
        entry.under_way.insert(metric, task.abort_handle());
    }

    /// Ends a measurement whose outcome no longer matters.
    pub(super) fn cancel(&self, object: &Object, run: &AnalysisRun, request: &CancelRequest) {
        let handle = self
            .shared
            .lock()
            .get_mut(&object.key)
            .filter(|entry| entry.uid == object.uid)
            .and_then(|entry| entry.under_way.remove(&request.metric));
        if let Some(handle) = handle {
            handle.abort();
        }
        let job = run
            .spec
            .metrics
            .iter()
            .flatten()
            .any(|metric| metric.name == request.metric && metric.provider.job.is_some());
        // A Job may have been made a moment ago, and nobody wrote that down.
        if request.measurement.is_some() || job {
            let (providers, run, request) =
                (self.shared.providers.clone(), run.clone(), request.clone());
            tokio::spawn(async move { providers.cancel(&run, &request).await });
        }
    }

    /// Ends everything of a run.
    pub(super) fn forget(&self, key: &Key) {
        if let Some(run) = self.shared.lock().remove(key) {
            run.end();
        }
    }

    /// Ends everything: after a restart each measurement is asked for again, since no status contains it.
    pub(super) fn end(&self) {
        for (_, run) in self.shared.lock().drain() {
            run.end();
        }
    }
}

impl Shared {
    fn finish(&self, key: &Key, uid: &str, finished: Finished) {
        {
            let mut runs = self.lock();
            let Some(run) = runs.get_mut(key).filter(|run| &*run.uid == uid) else {
                return;
            };
            // One that was cancelled while it finished does not count.
            if run.under_way.remove(&finished.metric).is_none() {
                return;
            }
            run.finished.push(finished);
        }
        self.queue.add(key.clone());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, PerRun>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PerRun {
    fn end(&self) {
        for task in self.under_way.values() {
            task.abort();
        }
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
