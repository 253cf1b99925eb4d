//! Leader election: carries out what [`crate::lease`] decides, and holds the [`Fence`] open while the Lease is ours.
//!
//! The permission to write ends `Timing::renew` after the last renewal was *sent*, by the clock alone, which is before
//! any other process may take the Lease. A lost Lease is final: the process should end and begin anew.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::clock::Clock;
use crate::execute::{Executor, Must, WriteError};
use crate::fence::Fence;
use crate::kind::LEASE;
use crate::lease::{self, Observed, Record, Step, Timing};
use crate::object::Key;

/// How holding the Lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Given back, since the process ends.
    Released,
    /// Lost: others may be acting already.
    Lost,
}

/// One candidate.
pub struct Leader {
    api: Api,
    writer: Executor,
    fence: Fence,
    clock: Arc<dyn Clock>,
    timing: Timing,
    key: Key,
    me: String,
    observed: Option<Observed>,
}

impl Leader {
    /// A candidate for the Lease `key`, under a name that no other process has.
    #[must_use]
    pub fn new(
        api: Api,
        fence: Fence,
        clock: Arc<dyn Clock>,
        timing: Timing,
        key: Key,
        me: String,
    ) -> Self {
        // The Lease itself is written without the permission that it gives.
        let writer = Executor::new(api.clone(), Fence::open(), "sluice-leader-election");
        Self {
            api,
            writer,
            fence,
            clock,
            timing,
            key,
            me,
            observed: None,
        }
    }

    /// Waits until the Lease is ours; false when `stop` came first.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        tracing::info!(lease = %self.key, identity = self.me, "waiting to become the leader");
        loop {
            let attempt = tokio::select! {
                () = stop.cancelled() => return false,
                attempt = self.attempt() => attempt,
            };
            match attempt {
                Ok(true) => {
                    metrics::gauge!("sluice_leader").set(1.0);
                    tracing::info!(lease = %self.key, "this process is the leader");
                    return true;
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "leader election"),
            }
            // Candidates that started together shall not ask together: 1 to 2.2 times the period, as client-go does.
            let pause = self.timing.retry.mul_f64(1.0 + 1.2 * random_fraction());
            tokio::select! {
                () = stop.cancelled() => return false,
                () = sleep(pause) => {}
            }
        }
    }

    /// Renews until `release` (then gives the Lease back) or until the Lease is lost.
    pub async fn hold(&mut self, release: &CancellationToken) -> Held {
        loop {
            let left = self.fence.remaining().unwrap_or_default();
            if left.is_zero() {
                return self.lost("it could not be renewed in time");
            }
            tokio::select! {
                () = release.cancelled() => return self.release().await,
                () = sleep(self.timing.retry.min(left)) => {}
            }
            let left = self.fence.remaining().unwrap_or_default();
            match timeout(left, self.attempt()).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return self.lost("another process holds it"),
                Ok(Err(error)) => {
                    tracing::warn!(%error, ?left, "cannot renew the lease; trying again")
                }
                Err(_) => return self.lost("it could not be renewed in time"),
            }
        }
    }

    fn lost(&self, cause: &str) -> Held {
        self.fence.close();
        metrics::gauge!("sluice_leader").set(0.0);
        tracing::error!(lease = %self.key, cause, "the lease is lost; this process stops acting");
        Held::Lost
    }

    async fn release(&mut self) -> Held {
        self.fence.close();
        metrics::gauge!("sluice_leader").set(0.0);
        if let (Some(record), Some(observed)) = (
            lease::release(&self.me, self.observed.as_ref(), self.clock.now()),
            &self.observed,
        ) {
            let must = Must {
                uid: None,
                resource_version: Some(observed.resource_version.clone()),
            };
            let patch = json!({ "spec": record.to_spec() });
            let write = self.writer.merge(&LEASE, &self.key, &must, patch);
            match timeout(Duration::from_secs(3), write).await {
                Ok(Ok(_)) => tracing::info!(lease = %self.key, "the lease is released"),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the lease was not released; it will run out")
                }
                Err(_) => tracing::warn!("the lease was not released in time; it will run out"),
            }
        }
        Held::Released
    }

    /// One round: whether the Lease is ours now.
    async fn attempt(&mut self) -> Result<bool, WriteError> {
        // The holder knows what it wrote last and need not read first.
        if !self.is_ours() {
            self.observe().await?;
        }
        let sent = Instant::now();
        let step = lease::decide(
            &self.me,
            self.timing,
            self.observed.as_ref(),
            sent,
            self.clock.now(),
        );
        let (record, written) = match step {
            Step::Wait(_) => return Ok(false),
            Step::Create(record) => {
                let lease = json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": &*self.key.name, "namespace": &*self.key.namespace},
                    "spec": record.to_spec(),
                });
                (
                    record,
                    self.writer
                        .create(&LEASE, &self.key.namespace, &lease)
                        .await,
                )
            }
            Step::Update(record) => {
                let version = self
                    .observed
                    .as_ref()
                    .map(|observed| observed.resource_version.clone());
                let must = Must {
                    uid: None,
                    resource_version: version,
                };
                let patch = json!({ "spec": record.to_spec() });
                (
                    record,
                    self.writer.merge(&LEASE, &self.key, &must, patch).await,
                )
            }
        };
        match written {
            Ok(written) => {
                self.saw(record, written.resource_version, sent);
                self.fence.extend(sent + self.timing.renew);
                Ok(true)
            }
            // Somebody was faster, or our own earlier write arrived after all: see which.
            Err(WriteError::Conflict(_) | WriteError::AlreadyExists(_) | WriteError::Gone(_)) => {
                self.observe().await?;
                Ok(self.is_ours() && self.fence.is_open())
            }
            Err(error) => Err(error),
        }
    }

    fn is_ours(&self) -> bool {
        self.observed
            .as_ref()
            .is_some_and(|observed| observed.record.holder == self.me)
    }

    async fn observe(&mut self) -> Result<(), WriteError> {
        let Some(lease) = self.api.get(&LEASE, &self.key).await? else {
            self.observed = None;
            return Ok(());
        };
        let version = lease
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        self.saw(Record::from_lease(&lease), version, Instant::now());
        Ok(())
    }

    fn saw(&mut self, record: Record, resource_version: String, at: Instant) {
        let same = self
            .observed
            .as_ref()
            .filter(|old| old.resource_version == resource_version);
        let since = same.map_or(at, |old| old.since);
        self.observed = Some(Observed {
            record,
            resource_version,
            since,
        });
    }
}

/// An identity that no other process has: the name of the pod or machine, and something random.
#[must_use]
pub fn identity(host: &str) -> String {
    format!("{host}_{:016x}", RandomState::new().build_hasher().finish())
}

fn random_fraction() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
