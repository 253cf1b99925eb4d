//! From a request to measure to its outcome: secrets are read, the backend is asked.

use std::sync::Arc;

use sluice_analysis::{CancelRequest, MeasureRequest, Outcome, SecretValues};
use sluice_analysis_providers::{Credentials, Registry, RunIdentity, Settings};
use sluice_crds::analysis::AnalysisRun;
use sluice_runtime::{Api, Clock, Context};

use super::job::Jobs;
use super::job_site::JobSite;
use super::secrets::{self, SecretError};

/// The backends, with what they need around them; cheap to clone.
#[derive(Clone)]
pub(super) struct Providers {
    api: Api,
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    jobs: Jobs,
    own_namespace: Arc<str>,
}

impl Providers {
    pub(super) fn new(ctx: &Context, jobs: &Arc<JobSite>, settings: &Settings) -> Self {
        Self {
            api: ctx.api.clone(),
            clock: Arc::clone(&ctx.clock),
            registry: Arc::new(Registry::new(settings)),
            jobs: Jobs::new(jobs),
            own_namespace: Arc::from(ctx.own_namespace.as_str()),
        }
    }

    /// Takes a measurement. The values that it used come back with the outcome, so that nothing shows them.
    pub(super) async fn measure(
        &self,
        run: &AnalysisRun,
        request: &MeasureRequest,
    ) -> (Outcome, SecretValues) {
        let whole = run;
        let run = identity(run);
        match secrets::read(&self.api, &run.namespace, &request.secrets).await {
            Ok(values) if request.metric.provider.job.is_some() => {
                let outcome = match request.resolve(&values) {
                    Ok(metric) => {
                        let now = self.clock.now();
                        self.jobs.measure(whole, request, &metric, now).await
                    }
                    Err(error) => Outcome::Error {
                        message: error.to_string(),
                        transient: false,
                    },
                };
                (outcome, values)
            }
            Ok(mut values) => {
                let credentials = match self.credentials(&run, request).await {
                    Ok(credentials) => credentials,
                    Err(error) => return (error.into(), values),
                };
                // Nothing shows these either.
                for (key, value) in credentials.iter().flatten() {
                    values.insert(format!("credentials {key}"), value.as_str());
                }
                let now = self.clock.now();
                let credentials = credentials.as_ref();
                let outcome = self
                    .registry
                    .measure_as(request, &values, credentials, &run, now)
                    .await;
                (outcome, values)
            }
            Err(error) => (error.into(), SecretValues::new()),
        }
    }

    /// The credentials of a backend, from the Secret that it names.
    async fn credentials(
        &self,
        run: &RunIdentity,
        request: &MeasureRequest,
    ) -> Result<Option<Credentials>, SecretError> {
        let Some(wanted) = self.registry.credentials(&request.metric) else {
            return Ok(None);
        };
        let namespace = if wanted.of_run {
            &run.namespace
        } else {
            &*self.own_namespace
        };
        secrets::read_all(&self.api, namespace, &wanted.secret)
            .await
            .map(Some)
    }

    /// Ends the remote part of a measurement that was cancelled.
    pub(super) async fn cancel(&self, run: &AnalysisRun, request: &CancelRequest) {
        let metric = run
            .spec
            .metrics
            .iter()
            .flatten()
            .find(|metric| metric.name == request.metric);
        if let Some(metric) = metric.filter(|metric| metric.provider.job.is_some()) {
            self.jobs.cancel(run, request, metric).await;
        } else if let Some(metric) = metric {
            self.registry
                .cancel(request, metric, &identity(run), self.clock.now())
                .await;
        }
    }
}

fn identity(run: &AnalysisRun) -> RunIdentity {
    RunIdentity {
        namespace: run.metadata.namespace.clone().unwrap_or_default(),
        name: run.metadata.name.clone().unwrap_or_default(),
        uid: run.metadata.uid.clone().unwrap_or_default(),
    }
}
