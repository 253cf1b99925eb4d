//! Jobs of runs, watched from the first one on: the end of a Job is seen at once, and not only when its measurement is
//! due to be looked at again. Without the right to watch Jobs everything works, a little later.

use std::sync::{Arc, OnceLock};

use sluice_analysis::{Phase, job};
use sluice_crds::analysis::AnalysisRun;
use sluice_runtime::kind::JOB;
use sluice_runtime::watch::WatchOptions;
use sluice_runtime::{Cache, Context, Key, Queue};

use super::USAGE;

/// The watch, once it is needed.
#[derive(Default)]
pub(super) struct JobWatch {
    cache: OnceLock<Arc<Cache>>,
}

impl JobWatch {
    /// Makes measurements due whose Job has ended. The first run with a Job starts the watch.
    pub(super) fn hurry(&self, ctx: &Context, queue: &Queue<Key>, run: &mut AnalysisRun) {
        let mut metrics = run.spec.metrics.iter().flatten();
        if !metrics.any(|metric| metric.provider.job.is_some()) {
            return;
        }
        let cache = self.cache.get_or_init(|| start(ctx, queue));
        let namespace = run.metadata.namespace.clone().unwrap_or_default();
        let results = run
            .status
            .as_mut()
            .and_then(|it| it.metric_results.as_mut());
        for result in results.into_iter().flatten() {
            let Some(last) = result.measurements.iter_mut().flatten().last() else {
                continue;
            };
            let ended = !Phase::parse(&last.phase).completed()
                && job::of_measurement(last)
                    .and_then(|name| cache.get(&Key::new(&namespace, name)))
                    .is_some_and(|found| job::ended(&found.value()).is_some());
            if ended {
                last.resume_at = None;
            }
        }
    }
}

fn start(ctx: &Context, queue: &Queue<Key>) -> Arc<Cache> {
    let options = WatchOptions {
        labels: Some(job::UID_LABEL.to_owned()),
        ..WatchOptions::default()
    };
    let queue = queue.clone();
    let wake: sluice_runtime::cache::Subscriber = Box::new(move |change| {
        let object = change.object();
        if let Some(owner) = object
            .owner
            .as_ref()
            .filter(|it| &*it.kind == "AnalysisRun")
        {
            queue.add(Key::new(&object.key.namespace, &owner.name));
        }
    });
    ctx.caches.start(&JOB, USAGE, options, vec![wake])
}
