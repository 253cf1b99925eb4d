//! Where the Jobs of runs are, and with which handles they are reached.

use std::sync::Arc;

use serde_json::Value;
use sluice_analysis::Outcome;
use sluice_analysis::job::{self, Place};
use sluice_crds::analysis::{AnalysisRun, Measurement};
use sluice_runtime::api::ErrorKind;
use sluice_runtime::kind::LEASE;
use sluice_runtime::{Api, ApiError, Context, Key, WriteError};
use tokio::sync::OnceCell;

use crate::config::Config;

/// The place of the Jobs, and the handles of its cluster.
pub(super) struct JobSite {
    /// Handles of the cluster in which the Jobs are.
    pub(super) ctx: Context,
    /// Namespace and cluster.
    pub(super) place: Place,
    home: Api,
    lease: Option<Key>,
    maker: OnceCell<Option<String>>,
}

impl JobSite {
    /// The site that the configuration names; `other` has the handles of another cluster.
    pub(super) fn new(home: &Context, other: Option<Context>, config: &Config) -> Arc<Self> {
        let place = Place {
            namespace: config.analysis_job_namespace.clone(),
            other_cluster: other.is_some(),
        };
        let lease = Key::new(&config.lease_namespace, &config.lease_name());
        Arc::new(Self {
            place,
            home: home.api.clone(),
            ctx: other.unwrap_or_else(|| home.clone()),
            lease: config.leader_elect.then_some(lease),
            maker: OnceCell::new(),
        })
    }

    /// What marks Jobs without an owner as ours: the uid of our Lease, which no other controller of any cluster has. `None`
    /// when there is no Lease, or when it may not be read.
    ///
    /// # Errors
    /// When our own cluster does not answer.
    pub(super) async fn maker(&self) -> Result<Option<&str>, ApiError> {
        let ask = || async {
            let Some(key) = &self.lease else {
                return Ok(None);
            };
            match self.home.get(&LEASE, key).await {
                Ok(lease) => {
                    let lease = lease.unwrap_or_default();
                    let uid = lease.pointer("/metadata/uid").and_then(Value::as_str);
                    Ok(uid.map(str::to_owned))
                }
                Err(error) if error.kind == ErrorKind::Denied => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.maker.get_or_try_init(ask).await.map(Option::as_deref)
    }

    /// Namespace and name of the Job of a measurement: where the measurement says, else where it would be made now.
    pub(super) fn key(
        &self,
        run: &AnalysisRun,
        measurement: Option<&Measurement>,
        derived: impl FnOnce() -> String,
    ) -> Key {
        let namespace = measurement.and_then(job::namespace_of_measurement);
        let namespace = namespace.unwrap_or_else(|| self.place.namespace_for(run));
        let name = measurement.and_then(job::of_measurement);
        Key::new(namespace, &name.map_or_else(derived, str::to_owned))
    }

    /// What a refusal means for a measurement.
    pub(super) fn refused(&self, error: &WriteError) -> Outcome {
        let message = if self.place.other_cluster {
            format!("in the cluster of --analysis-job-kubeconfig: {error}")
        } else {
            error.to_string()
        };
        Outcome::Error {
            message,
            transient: error.is_transient(),
        }
    }
}
