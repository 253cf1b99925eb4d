//! What every loop of the controller is given.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::caches::Caches;
use crate::clock::Clock;
use crate::decision_log::DecisionLog;
use crate::events::Events;
use crate::execute::Executor;
use crate::fence::Fence;
use crate::telemetry::Metrics;

/// Handles that loops share; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Reads.
    pub api: Api,
    /// Watch caches.
    pub caches: Caches,
    /// Writes, under the field manager of the Rollout loop; see [`Executor::with_manager`].
    pub executor: Executor,
    /// Whether writes are allowed now.
    pub fence: Fence,
    /// Kubernetes Events.
    pub events: Events,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Decisions, for `explain`.
    pub decisions: Arc<DecisionLog>,
    /// Metrics with object names.
    pub metrics: Metrics,
    /// Cancelled when no new work shall be taken.
    pub stop: CancellationToken,
    /// `--instance-id`; empty when there is one instance.
    pub instance_id: String,
    /// The namespace in which the controller itself lives.
    pub own_namespace: String,
}

impl Context {
    /// The same for another cluster, with caches of its own that live until `stop`. Writes are under the same permission;
    /// Events still go to the first one.
    #[must_use]
    pub fn in_cluster(&self, api: Api, namespace: Option<String>, stop: CancellationToken) -> Self {
        Self {
            caches: Caches::new(api.clone(), namespace, stop),
            executor: self.executor.with_api(api.clone()),
            api,
            ..self.clone()
        }
    }
}
