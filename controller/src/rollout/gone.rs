//! A Rollout that is gone: lets the Services go that it managed.
//!
//! The cache does not prove that there is none, since it shows only Rollouts of this instance, and those late. The API
//! server is asked before anything is written.

use sluice_rollout::Service;
use sluice_rollout::gone::{self, Release};
use sluice_rollout::request::Request;
use sluice_runtime::kind::{ROLLOUT, SERVICE};
use sluice_runtime::{Key, Must, Next, WriteError};

use super::Rollouts;
use crate::reconcile::{NOT_YET, involved, severity};

impl Rollouts {
    /// Lets the Services go that a Rollout has left behind, if there is no Rollout of that name.
    pub(super) async fn release_services(&self, rollout: &Key) -> Next {
        let watches = &self.watches;
        let managed = watches.managed.of(rollout);
        if managed.is_empty() {
            return Next::Done;
        }
        if !watches.services.is_settled() || !watches.replica_sets.is_settled() {
            return Next::Retry;
        }
        let services = managed.iter().filter_map(|key| watches.services.get(key));
        let services: Vec<Service> = services
            .map(|object| Service::from_object(&object.value()))
            .collect();
        let set = |name: &str| {
            let key = Key::new(&rollout.namespace, name);
            Some(watches.replica_sets.get(&key)?.value())
        };
        let releases = gone::release(&rollout.namespace, &rollout.name, &services, &set);
        if releases.is_empty() {
            return Next::Done;
        }
        match self.core.ctx.api.get(&ROLLOUT, rollout).await {
            Ok(None) => {}
            // Another instance looks after it, or the watch is about to show it.
            Ok(Some(_)) => return Next::Done,
            Err(error) => {
                tracing::warn!(%rollout, %error, "Services of this Rollout are left as they are, since it is not known whether it is gone");
                return Next::Retry;
            }
        }
        for release in releases {
            match self.release(rollout, release).await {
                Ok(()) => {}
                // Somebody else wrote: what they wrote is on its way through the watch.
                Err(WriteError::Conflict(_) | WriteError::Gone(_)) => return Next::After(NOT_YET),
                Err(error) => {
                    tracing::warn!(%rollout, %error, "a Service of a Rollout that is gone still selects its pods");
                    return Next::Retry;
                }
            }
        }
        Next::Done
    }

    async fn release(&self, rollout: &Key, release: Release) -> Result<(), WriteError> {
        let Request::Merge { target, patch, .. } = release.request else {
            return Ok(());
        };
        let key = Key::new(&target.namespace, &target.name);
        let executor = &self.core.ctx.executor;
        // The preconditions are part of the patch.
        executor
            .merge(&SERVICE, &key, &Must::exist(), patch)
            .await?;
        let event = release.event;
        tracing::info!(%rollout, service = %key, "let go, since the Rollout is gone");
        if let Some(object) = self.watches.services.get(&key) {
            let service = involved(&SERVICE, &object);
            let severity = severity(event.kind);
            self.core
                .emit(service, severity, event.reason, &event.message);
        }
        Ok(())
    }
}
