//! The `job` provider: Jobs in the namespace of the run.
//!
//! What a Job looks like and what its state means is `sluice_analysis::job`, pure; here it is made, looked at and
//! deleted. Names are derived from the run, the metric and the number of the measurement, so that a Job which was made
//! just before a crash is found again instead of made twice.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::core::params::PropagationPolicy;
use serde_json::Value;
use sluice_analysis::{CancelRequest, MeasureRequest, Outcome, job, validate};
use sluice_crds::analysis::{AnalysisRun, Metric};
use sluice_runtime::kind::{JOB, POD};
use sluice_runtime::{Api, Executor, Key, Must, WriteError};

/// Finished Jobs of a metric that are kept unless `measurementRetention` says otherwise.
const KEPT: u32 = 10;
/// Attempts to delete a Job that is not needed any more; the run takes it along in the end.
const ATTEMPTS: u32 = 5;

/// Makes, looks at and deletes Jobs; cheap to clone.
#[derive(Clone)]
pub(super) struct Jobs {
    api: Api,
    executor: Executor,
}

impl Jobs {
    pub(super) fn new(api: &Api, executor: &Executor) -> Self {
        Self {
            api: api.clone(),
            executor: executor.clone(),
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
                let name = job::of_measurement(measurement)
                    .map_or_else(|| derived(run, metric, request.number), str::to_owned);
                self.look(run, &name, measurement, now).await
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
        let object = job::object(run, metric, number).map_err(|message| Outcome::Error {
            message,
            transient: false,
        })?;
        let key = key(run, &derived(run, metric, number));
        match self.executor.create(&JOB, &key.namespace, &object).await {
            Ok(_) => {}
            Err(WriteError::AlreadyExists(error)) => {
                let existing = self.api.get(&JOB, &key).await;
                let existing = existing.map_err(|error| refused(&error.into()))?;
                let uid = run.metadata.uid.as_deref().unwrap_or_default();
                let ours = existing.is_some_and(|job| job::is_ours(&job, uid, &metric.name));
                if !ours {
                    return Err(refused(&WriteError::AlreadyExists(error)));
                }
            }
            Err(error) => return Err(refused(&error)),
        }
        // One in, one out: the number says which is the oldest.
        if let Some(old) = number.checked_sub(kept(run, metric)).filter(|old| *old > 0) {
            self.delete(run, &derived(run, metric, old)).await;
        }
        Ok(job::begun(&key.name, &key.namespace, now))
    }

    async fn look(
        &self,
        run: &AnalysisRun,
        name: &str,
        measurement: &sluice_crds::analysis::Measurement,
        now: Timestamp,
    ) -> Result<Outcome, Outcome> {
        let key = key(run, name);
        let unknown = |error| refused(&WriteError::from(error));
        let found = self.api.get(&JOB, &key).await.map_err(unknown)?;
        let Some(found) = found else {
            return Err(Outcome::Error {
                message: format!("jobs.batch \"{name}\" not found"),
                transient: false,
            });
        };
        let mut pods: Vec<Value> = Vec::new();
        if job::ended(&found).is_none()
            && let Some(uid) = found.pointer("/metadata/uid").and_then(Value::as_str)
        {
            let labels = format!("batch.kubernetes.io/controller-uid={uid}");
            let listed = self
                .api
                .list(&POD, Some(&key.namespace), Some(&labels), false);
            // Without the right to look at pods a Job is judged by its own state alone.
            pods = listed.await.map(|(pods, _)| pods).unwrap_or_default();
        }
        let outcome = job::observe(&found, &pods, measurement, now);
        if job::ended(&found).is_none() && matches!(outcome, Outcome::Finished { .. }) {
            // Given up: it would go on trying for ever.
            self.delete(run, name).await;
        }
        Ok(outcome)
    }

    /// Deletes the Job of a measurement that was cancelled, be it known or perhaps just made.
    pub(super) async fn cancel(&self, run: &AnalysisRun, request: &CancelRequest, metric: &Metric) {
        let known = request.measurement.as_ref().and_then(job::of_measurement);
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
        let name = known.map_or_else(
            || derived(run, metric, taken.saturating_add(1)),
            str::to_owned,
        );
        let mut wait = Duration::from_secs(1);
        for _ in 0..ATTEMPTS {
            if self.delete(run, &name).await {
                return;
            }
            tokio::time::sleep(wait).await;
            wait *= 4;
        }
    }

    /// Deletes a Job with its pods; true when it is gone or going.
    async fn delete(&self, run: &AnalysisRun, name: &str) -> bool {
        let (key, must) = (key(run, name), Must::exist());
        let policy = PropagationPolicy::Foreground;
        match self.executor.delete(&JOB, &key, &must, policy).await {
            Ok(_) | Err(WriteError::Gone(_)) => true,
            Err(error) => {
                tracing::warn!(job = %key, %error, "the Job cannot be deleted");
                false
            }
        }
    }
}

fn refused(error: &WriteError) -> Outcome {
    Outcome::Error {
        message: error.to_string(),
        transient: error.is_transient(),
    }
}

fn derived(run: &AnalysisRun, metric: &Metric, number: u32) -> String {
    let uid = run.metadata.uid.as_deref().unwrap_or_default();
    job::name(uid, &metric.name, number)
}

fn key(run: &AnalysisRun, name: &str) -> Key {
    Key::new(run.metadata.namespace.as_deref().unwrap_or_default(), name)
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
