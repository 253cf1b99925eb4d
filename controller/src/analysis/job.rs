//! The `job` provider: Jobs in the namespace of the run, or where the [`JobSite`] says.
//!
//! What a Job looks like and what its state means is `sluice_analysis::job`, pure; here it is made, looked at and
//! deleted. Names are derived from the run, the metric and the number of the measurement, so that a Job which was made
//! just before a crash is found again instead of made twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::core::params::PropagationPolicy;
use serde_json::Value;
use sluice_analysis::{CancelRequest, MeasureRequest, Outcome, job, validate};
use sluice_crds::analysis::{AnalysisRun, Measurement, Metric};
use sluice_runtime::kind::{JOB, POD};
use sluice_runtime::{Key, Must, WriteError};

use super::job_site::JobSite;

/// Finished Jobs of a metric that are kept unless `measurementRetention` says otherwise.
const KEPT: u32 = 10;
/// Attempts to delete a Job that is not needed any more; it goes with the run in the end.
const ATTEMPTS: u32 = 5;

/// Makes, looks at and deletes Jobs; cheap to clone.
#[derive(Clone)]
pub(super) struct Jobs {
    site: Arc<JobSite>,
}

impl Jobs {
    pub(super) fn new(site: &Arc<JobSite>) -> Self {
        Self {
            site: Arc::clone(site),
        }
    }

    /// Begins a measurement, or looks at one that is under way. `metric` has its arguments in place.
    pub(super) async fn measure(
        &self,
        run: &AnalysisRun,
        request: &MeasureRequest,
        metric: &Metric,
        now: Timestamp,
    ) -> Outcome {
        match &request.resume {
            Some(measurement) => {
                let derived = || derived(run, metric, request.number);
                let key = self.site.key(run, Some(measurement), derived);
                self.look(run, metric, &key, measurement, now).await
            }
            None => self.begin(run, metric, request.number, now).await,
        }
        .unwrap_or_else(|outcome| outcome)
    }

    async fn begin(
        &self,
        run: &AnalysisRun,
        metric: &Metric,
        number: u32,
        now: Timestamp,
    ) -> Result<Outcome, Outcome> {
        let JobSite { ctx, place, .. } = &*self.site;
        let maker = if place.owned_by(run) {
            None
        } else {
            let maker = self.site.maker().await;
            maker.map_err(|error| Outcome::Error {
                message: error.to_string(),
                transient: true,
            })?
        };
        let object =
            job::object(run, metric, number, place, maker).map_err(|message| Outcome::Error {
                message,
                transient: false,
            })?;
        let key = self.site.key(run, None, || derived(run, metric, number));
        match ctx.executor.create(&JOB, &key.namespace, &object).await {
            Ok(_) => {}
            Err(WriteError::AlreadyExists(error)) => {
                let existing = ctx.api.get(&JOB, &key).await;
                let existing = existing.map_err(|error| self.site.refused(&error.into()))?;
                if !existing.is_some_and(|existing| is_ours(&existing, run, metric)) {
                    return Err(self.site.refused(&WriteError::AlreadyExists(error)));
                }
            }
            Err(error) => return Err(self.site.refused(&error)),
        }
        // One in, one out: the number says which is the oldest.
        if let Some(old) = number.checked_sub(kept(run, metric)).filter(|old| *old > 0) {
            let old = self.site.key(run, None, || derived(run, metric, old));
            self.delete(run, metric, &old).await;
        }
        Ok(job::begun(&key.name, &key.namespace, now))
    }

    async fn look(
        &self,
        run: &AnalysisRun,
        metric: &Metric,
        key: &Key,
        measurement: &Measurement,
        now: Timestamp,
    ) -> Result<Outcome, Outcome> {
        let api = &self.site.ctx.api;
        let unknown = |error| self.site.refused(&WriteError::from(error));
        let found = api.get(&JOB, key).await.map_err(unknown)?;
        // A status is written by many, and may name any Job.
        let Some(found) = found.filter(|found| is_ours(found, run, metric)) else {
            return Err(Outcome::Error {
                message: format!("jobs.batch \"{}\" not found", key.name),
                transient: false,
            });
        };
        let mut pods: Vec<Value> = Vec::new();
        if job::ended(&found).is_none()
            && let Some(uid) = found.pointer("/metadata/uid").and_then(Value::as_str)
        {
            let labels = format!("batch.kubernetes.io/controller-uid={uid}");
            let listed = api.list(&POD, Some(&key.namespace), Some(&labels), false);
            // Without the right to look at pods a Job is judged by its own state alone.
            pods = listed.await.map(|(pods, _)| pods).unwrap_or_default();
        }
        let outcome = job::observe(&found, &pods, measurement, now);
        if job::ended(&found).is_none() && matches!(outcome, Outcome::Finished { .. }) {
            // Given up: it would go on trying for ever.
            self.delete(run, metric, key).await;
        }
        Ok(outcome)
    }

    /// Deletes the Job of a measurement that was cancelled, be it known or perhaps just made.
    pub(super) async fn cancel(&self, run: &AnalysisRun, request: &CancelRequest, metric: &Metric) {
        let results = run
            .status
            .as_ref()
            .and_then(|it| it.metric_results.as_ref());
        let result = results
            .into_iter()
            .flatten()
            .find(|result| result.name == metric.name);
        let taken = result.map_or(0, |result| {
            let number = |count: Option<i32>| count.unwrap_or(0).max(0).unsigned_abs();
            number(result.count).saturating_add(number(result.error))
        });
        let derived = || derived(run, metric, taken.saturating_add(1));
        let key = self.site.key(run, request.measurement.as_ref(), derived);
        let mut wait = Duration::from_secs(1);
        for _ in 0..ATTEMPTS {
            if self.delete(run, metric, &key).await {
                return;
            }
            tokio::time::sleep(wait).await;
            wait *= 4;
        }
    }

    /// Deletes a Job with its pods, if it is the one of this run and metric; true when it is gone or going.
    async fn delete(&self, run: &AnalysisRun, metric: &Metric, key: &Key) -> bool {
        match self.try_delete(run, metric, key).await {
            Ok(()) | Err(WriteError::Gone(_) | WriteError::Conflict(_)) => true,
            Err(error) => {
                tracing::warn!(job = %key, %error, "the Job cannot be deleted");
                false
            }
        }
    }

    async fn try_delete(
        &self,
        run: &AnalysisRun,
        metric: &Metric,
        key: &Key,
    ) -> Result<(), WriteError> {
        let ctx = &self.site.ctx;
        let found = ctx.api.get(&JOB, key).await?;
        let Some(found) = found.filter(|found| is_ours(found, run, metric)) else {
            return Ok(());
        };
        let uid = found.pointer("/metadata/uid").and_then(Value::as_str);
        let must = Must::be_uid(uid.unwrap_or_default());
        let policy = PropagationPolicy::Foreground;
        ctx.executor.delete(&JOB, key, &must, policy).await?;
        Ok(())
    }
}

fn is_ours(found: &Value, run: &AnalysisRun, metric: &Metric) -> bool {
    let uid = run.metadata.uid.as_deref().unwrap_or_default();
    job::is_ours(found, uid, &metric.name)
}

fn derived(run: &AnalysisRun, metric: &Metric, number: u32) -> String {
    let uid = run.metadata.uid.as_deref().unwrap_or_default();
    job::name(uid, &metric.name, number)
}

/// Number of Jobs of a metric that are kept: as many as its measurements.
fn kept(run: &AnalysisRun, metric: &Metric) -> u32 {
    let rules = run
        .spec
        .measurement_retention
        .as_deref()
        .unwrap_or_default();
    let metrics = run.spec.metrics.as_deref().unwrap_or_default();
    let limits: BTreeMap<String, usize> =
        validate::retention_limits(rules, metrics).unwrap_or_default();
    limits
        .get(&metric.name)
        .map_or(KEPT, |limit| u32::try_from(*limit).unwrap_or(KEPT).max(1))
}
