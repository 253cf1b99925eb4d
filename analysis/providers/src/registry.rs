//! Which backend a metric is measured with.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sluice_analysis::{CancelRequest, MeasureRequest, Outcome, SecretValues};
use sluice_crds::analysis::Metric;

use crate::aws::AwsEnvironment;
use crate::backend::{Credentials, CredentialsRef};
use crate::cloud_watch::CloudWatch;
use crate::datadog::Datadog;
use crate::graphite::Graphite;
use crate::http::{Clients, Failure};
use crate::influxdb::InfluxDb;
use crate::kayenta::Kayenta;
use crate::new_relic::NewRelic;
use crate::prometheus::Prometheus;
use crate::provider::{Provider, RunIdentity, Task};
use crate::skywalking::SkyWalking;
use crate::wavefront::Wavefront;
use crate::web::Web;

/// Settings of the controller that backends depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where Prometheus is when a metric does not say (`ARGO_ROLLOUTS_PROMETHEUS_ADDRESS`).
    pub prometheus_address: Option<String>,
    /// Let metrics reach link-local addresses, cloud metadata services among them. Default: no.
    pub allow_link_local: bool,
    /// Where keys for AWS are, whose region CloudWatch is asked in, and other addresses than those of AWS.
    pub aws: AwsEnvironment,
}

/// The backends that are built in.
pub struct Registry {
    providers: BTreeMap<&'static str, Arc<dyn Provider>>,
}

impl Registry {
    /// Every backend that speaks HTTP. The crypto provider of the process is set if none is.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let clients =
            Arc::new(Clients::new(settings.allow_link_local).with_aws(settings.aws.clone()));
        let mut registry = Self {
            providers: BTreeMap::new(),
        };
        registry.register(Arc::new(Prometheus::new(
            Arc::clone(&clients),
            settings.prometheus_address.clone(),
        )));
        registry.register(Arc::new(Web::new(Arc::clone(&clients))));
        registry.register(Arc::new(CloudWatch(Arc::clone(&clients))));
        registry.register(Arc::new(Datadog(Arc::clone(&clients))));
        registry.register(Arc::new(Graphite(Arc::clone(&clients))));
        registry.register(Arc::new(InfluxDb(Arc::clone(&clients))));
        registry.register(Arc::new(Kayenta(Arc::clone(&clients))));
        registry.register(Arc::new(NewRelic(Arc::clone(&clients))));
        registry.register(Arc::new(SkyWalking(Arc::clone(&clients))));
        registry.register(Arc::new(Wavefront(clients)));
        registry
    }

    /// Adds a backend, or replaces the one of the same kind.
    pub fn register(&mut self, provider: Arc<dyn Provider>) {
        self.providers.insert(provider.kind(), provider);
    }

    /// The Secret that the backend of a metric has its credentials in.
    #[must_use]
    pub fn credentials(&self, metric: &Metric) -> Option<CredentialsRef> {
        self.provider(metric).ok()?.credentials(metric)
    }

    /// Takes a measurement with the backend of the metric.
    pub async fn measure(
        &self,
        request: &MeasureRequest,
        secrets: &SecretValues,
        run: &RunIdentity,
        now: Timestamp,
    ) -> Outcome {
        self.measure_as(request, secrets, None, run, now).await
    }

    /// The same with the values of the Secret that [`Registry::credentials`] names.
    pub async fn measure_as(
        &self,
        request: &MeasureRequest,
        secrets: &SecretValues,
        credentials: Option<&Credentials>,
        run: &RunIdentity,
        now: Timestamp,
    ) -> Outcome {
        let metric = match request.resolve(secrets) {
            Ok(metric) => metric,
            Err(error) => return Failure::permanent(error.to_string()).into(),
        };
        match self.provider(&metric) {
            Ok(provider) => {
                provider
                    .measure(Task {
                        metric: &metric,
                        number: request.number,
                        resume: request.resume.as_ref(),
                        run,
                        now,
                        credentials,
                    })
                    .await
            }
            Err(failure) => failure.into(),
        }
    }

    /// Ends the remote part of a cancelled measurement, if it has one. `metric` is the metric of the run's spec.
    pub async fn cancel(
        &self,
        request: &CancelRequest,
        metric: &Metric,
        run: &RunIdentity,
        now: Timestamp,
    ) {
        let Some(measurement) = &request.measurement else {
            return;
        };
        if let Ok(provider) = self.provider(metric) {
            provider
                .end(Task {
                    metric,
                    number: 0,
                    resume: Some(measurement),
                    run,
                    now,
                    credentials: None,
                })
                .await;
        }
    }

    fn provider(&self, metric: &Metric) -> Result<&Arc<dyn Provider>, Failure> {
        let kinds = metric.provider.kinds();
        let kind = match kinds.as_slice() {
            [kind] => *kind,
            [] => return Err(Failure::permanent("the metric names no provider")),
            several => {
                return Err(Failure::permanent(format!(
                    "the metric names several providers: {}",
                    several.join(", ")
                )));
            }
        };
        self.providers.get(kind).ok_or_else(|| {
            let plugins = metric
                .provider
                .plugin
                .iter()
                .flat_map(|plugins| plugins.keys());
            let name = match plugins.map(String::as_str).collect::<Vec<_>>().join(", ") {
                names if names.is_empty() => kind.to_owned(),
                names => format!("{kind} {names}"),
            };
            let known = self
                .providers
                .keys()
                .copied()
                .collect::<Vec<_>>()
                .join(", ");
            Failure::permanent(format!(
                "metric provider {name} is not built into this controller, which has {known}"
            ))
        })
    }
}
