//! Jobs of runs, watched from the first one on: the end of a Job is seen at once, and not only when its measurement is
//! due to be looked at again. Without the right to watch Jobs everything works, a little later.

use std::sync::{Arc, OnceLock};

use sluice_analysis::{Phase, job};
use sluice_crds::analysis::AnalysisRun;
use sluice_runtime::kind::JOB;
use sluice_runtime::watch::WatchOptions;
use sluice_runtime::{Cache, Change, Key, Queue};

use super::USAGE;
use super::job_orphans::Orphans;
use super::job_site::JobSite;

/// The watch, once it is needed.
pub(super) struct JobWatch {
    site: Arc<JobSite>,
    queue: Queue<Key>,
    runs: Arc<Cache>,
    /// Hears of Jobs without a run, where there may be some.
    orphans: Option<Orphans>,
    cache: OnceLock<Arc<Cache>>,
}

impl JobWatch {
    /// A watch that wakes runs by `queue`.
    pub(super) fn new(
        site: &Arc<JobSite>,
        queue: &Queue<Key>,
        runs: &Arc<Cache>,
        orphans: Option<Orphans>,
    ) -> Self {
        Self {
            site: Arc::clone(site),
            queue: queue.clone(),
            runs: Arc::clone(runs),
            orphans,
            cache: OnceLock::new(),
        }
    }

    /// Makes measurements due whose Job has ended. The first run with a Job starts the watch.
    pub(super) fn hurry(&self, run: &mut AnalysisRun) {
        let mut metrics = run.spec.metrics.iter().flatten();
        if !metrics.any(|metric| metric.provider.job.is_some()) {
            return;
        }
        let cache = self.start();
        let mut status = run.status.take();
        let results = status.as_mut().and_then(|it| it.metric_results.as_mut());
        for result in results.into_iter().flatten() {
            let Some(last) = result.measurements.iter_mut().flatten().last() else {
                continue;
            };
            let ended = !Phase::parse(&last.phase).completed()
                && job::of_measurement(last).is_some()
                && cache
                    .get(&self.site.key(run, Some(last), String::new))
                    .is_some_and(|found| job::ended(&found.value()).is_some());
            if ended {
                last.resume_at = None;
            }
        }
        run.status = status;
    }

    /// Starts the watch if that has not been done.
    pub(super) fn start(&self) -> &Arc<Cache> {
        self.cache.get_or_init(|| {
            let options = WatchOptions {
                namespace: self.site.place.namespace.clone(),
                labels: Some(job::UID_LABEL.to_owned()),
                ..WatchOptions::default()
            };
            let (queue, runs) = (self.queue.clone(), Arc::clone(&self.runs));
            let orphans = self.orphans.clone();
            let wake: sluice_runtime::cache::Subscriber = Box::new(move |change| {
                let Some(of) = job::run_of(&change.object().value()) else {
                    return;
                };
                let run = Key::new(&of.namespace, &of.name);
                let known = runs.get(&run).is_some_and(|run| *run.uid == *of.uid);
                match (change, &orphans) {
                    _ if known => queue.add(run),
                    (Change::Applied { .. }, Some(orphans)) => orphans.suspect(of),
                    _ => {}
                }
            });
            let caches = &self.site.ctx.caches;
            caches.start(&JOB, USAGE, options, vec![wake])
        })
    }
}
