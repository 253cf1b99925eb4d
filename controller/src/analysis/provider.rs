//! From a request to measure to its outcome: secrets are read, the backend is asked.

use std::sync::Arc;

use sluice_analysis::{CancelRequest, MeasureRequest, Outcome, SecretValues};
use sluice_analysis_providers::{Registry, RunIdentity, Settings};
use sluice_crds::analysis::AnalysisRun;
use sluice_runtime::{Api, Clock};

use super::secrets;

/// The backends, with what they need around them; cheap to clone.
#[derive(Clone)]
pub(super) struct Providers {
    api: Api,
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
}

impl Providers {
    pub(super) fn new(api: &Api, clock: &Arc<dyn Clock>, settings: &Settings) -> Self {
        Self {
            api: api.clone(),
            clock: Arc::clone(clock),
            registry: Arc::new(Registry::new(settings)),
        }
    }

    /// Takes a measurement. The values that it used come back with the outcome, so that nothing shows them.
    pub(super) async fn measure(
        &self,
        run: &AnalysisRun,
        request: &MeasureRequest,
    ) -> (Outcome, SecretValues) {
        let run = identity(run);
        match secrets::read(&self.api, &run.namespace, &request.secrets).await {
            Ok(values) => {
                let outcome = self
                    .registry
                    .measure(request, &values, &run, self.clock.now())
                    .await;
                (outcome, values)
            }
            Err(error) => {
                let outcome = Outcome::Error {
                    message: error.message,
                    transient: error.transient,
                };
                (outcome, SecretValues::new())
            }
        }
    }

    /// Ends the remote part of a measurement that was cancelled.
    pub(super) async fn cancel(&self, run: &AnalysisRun, request: &CancelRequest) {
        let metric = run
            .spec
            .metrics
            .iter()
            .flatten()
            .find(|metric| metric.name == request.metric);
        if let Some(metric) = metric {
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
