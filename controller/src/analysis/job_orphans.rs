//! Jobs whose run is gone, in a place where no garbage collector knows of the run: they are deleted here.
//!
//! Two things raise a suspicion: a run that is seen to go, and a Job whose run is not there. Before anything is deleted the
//! API is asked whether the run is gone. Of a run that was seen here every Job is ours. Otherwise only those are that carry
//! our mark, since other clusters may run theirs in the same place, and of their runs nothing is known.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kube::core::params::PropagationPolicy;
use serde_json::Value;
use sluice_analysis::job::{self, RunOfJob};
use sluice_crds::analysis::AnalysisRun;
use sluice_runtime::kind::{ANALYSIS_RUN, JOB};
use sluice_runtime::{Cache, Change, Context, Key, Must, Next, Object, Queue, WriteError};

use super::job_site::JobSite;

/// Suspicions that are looked into at once.
const WORKERS: usize = 2;
/// How long a suspicion is left alone that we may not look into.
const DENIED: Duration = Duration::from_secs(300);

/// A run that is gone, perhaps, and may have left Jobs behind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Suspicion {
    run: Key,
    uid: String,
    /// The mark of the Job; `None` when the run itself was seen to go.
    maker: Option<String>,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jobs of {}", self.run)
    }
}

/// The suspicions, and what is needed to look into them; cheap to clone.
#[derive(Clone)]
pub(super) struct Orphans {
    home: Context,
    site: Arc<JobSite>,
    queue: Queue<Suspicion>,
}

impl Orphans {
    pub(super) fn new(home: &Context, site: &Arc<JobSite>) -> Self {
        Self {
            home: home.clone(),
            site: Arc::clone(site),
            queue: Queue::new("Jobs"),
        }
    }

    /// A Job whose run is not in the cache.
    pub(super) fn suspect(&self, run: RunOfJob) {
        if run.owned || run.maker.is_none() {
            return;
        }
        self.queue.add(Suspicion {
            run: Key::new(&run.namespace, &run.name),
            uid: run.uid,
            maker: run.maker,
        });
    }

    /// Looks into suspicions until the context's `stop`.
    pub(super) async fn run(self, runs: Arc<Cache>) {
        let queue = self.queue.clone();
        runs.subscribe(Box::new(move |change| {
            let run = change.object();
            let goes = matches!(change, Change::Deleted { .. }) || run.deleting;
            if goes && may_have_jobs(run) {
                queue.add(Suspicion {
                    run: run.key.clone(),
                    uid: run.uid.to_string(),
                    maker: None,
                });
            }
        }));
        let (queue, stop) = (self.queue.clone(), self.home.stop.clone());
        queue
            .run(WORKERS, stop, move |suspicion| {
                let this = self.clone();
                async move { this.look_into(&suspicion).await }
            })
            .await;
    }

    async fn look_into(&self, suspicion: &Suspicion) -> Next {
        match self.collect(suspicion).await {
            Ok(()) => Next::Done,
            Err(error @ WriteError::Denied(_)) => {
                tracing::warn!(run = %suspicion.run, %error, "Jobs of a run that is gone may be left behind");
                Next::After(DENIED)
            }
            Err(error) => {
                tracing::debug!(run = %suspicion.run, %error, "Jobs of a run that is gone: trying again");
                Next::Retry
            }
        }
    }

    /// Deletes the Jobs of the run if it is gone.
    async fn collect(&self, suspicion: &Suspicion) -> Result<(), WriteError> {
        let Suspicion { run, uid, maker } = suspicion;
        if maker.is_some() && self.site.maker().await? != maker.as_deref() {
            return Ok(());
        }
        // The cache shows only what this instance takes care of.
        let found = self.home.api.get(&ANALYSIS_RUN, run).await?;
        if found.is_some_and(|found| lives(&found, uid)) {
            return Ok(());
        }
        let place = &self.site.place;
        let namespace = place.namespace.as_deref().unwrap_or(&run.namespace);
        let labels = format!("{}={uid}", job::UID_LABEL);
        let ctx = &self.site.ctx;
        let listed = ctx.api.list(&JOB, Some(namespace), Some(&labels), false);
        for object in listed.await?.0 {
            let ours = job::run_of(&object).is_some_and(|of| {
                of.uid == *uid && !of.owned && (maker.is_none() || of.maker == *maker)
            });
            let Some(object) = Object::from_value(&object).ok().filter(|_| ours) else {
                continue;
            };
            if object.deleting {
                continue;
            }
            let must = Must::be_uid(&*object.uid);
            let policy = PropagationPolicy::Foreground;
            match ctx.executor.delete(&JOB, &object.key, &must, policy).await {
                Ok(_) | Err(WriteError::Gone(_) | WriteError::Conflict(_)) => {
                    tracing::info!(job = %object.key, %run, "deleted the Job of a run that is gone");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether a run that was found is the one of this uid, and stays.
fn lives(run: &Value, uid: &str) -> bool {
    let metadata = &run["metadata"];
    metadata["uid"] == *uid && metadata["deletionTimestamp"].is_null()
}

/// A run that cannot be read may have had Jobs before.
fn may_have_jobs(run: &Object) -> bool {
    run.decode::<AnalysisRun>().map_or(true, |run| {
        let mut metrics = run.spec.metrics.iter().flatten();
        metrics.any(|metric| metric.provider.job.is_some())
    })
}
