//! Carries out the requests of an engine for one object, and remembers each for the freshness gate.
//!
//! The requests are those of the simulation, byte for byte: what is decided here is only where they go, whose an object is
//! that exists already, and which failures are none.

use std::sync::Arc;

use kube::core::params::PropagationPolicy;
use serde_json::Value;
use sluice_crds::names::POD_TEMPLATE_HASH;
use sluice_rollout::request::{Request, Target};
use sluice_runtime::execute::Deleted;
use sluice_runtime::freshness::Freshness;
use sluice_runtime::kind::{
    ANALYSIS_RUN, DEPLOYMENT, EXPERIMENT, Kind, POD, REPLICA_SET, ROLLOUT, SERVICE,
};
use sluice_runtime::{Cache, Context, Key, Must, Object, WriteError, Written};

/// Writes in the name of one object.
pub(crate) struct Writer<'a> {
    /// Executor and API.
    pub ctx: &'a Context,
    /// What is remembered of writes that the watch does not show yet.
    pub freshness: &'a Freshness,
    /// The object that is worked on: it owns what is made.
    pub work: &'a Object,
    /// The cache that shows objects of a kind; `None` when none does.
    pub cache: &'a (dyn Fn(&Kind) -> Option<Arc<Cache>> + Send + Sync),
}

impl Writer<'_> {
    /// Carries a request out. Gives what was written, if that is known.
    ///
    /// # Errors
    /// [`WriteError::AlreadyExists`] when there is such an object that is not ours; see [`WriteError`] for the others.
    pub(crate) async fn send(&self, request: Request) -> Result<Option<Written>, WriteError> {
        let executor = &self.ctx.executor;
        match request {
            Request::Create { target, object } => self.create(&target, &object).await.map(Some),
            Request::Merge {
                target,
                status,
                patch,
            } => {
                let (kind, key) = self.place(&target);
                // The preconditions are part of the patch.
                let sent = if status {
                    executor
                        .merge_status(kind, &key, &Must::exist(), patch)
                        .await
                } else {
                    executor.merge(kind, &key, &Must::exist(), patch).await
                };
                match sent {
                    Ok(written) => {
                        self.remember(kind, key, &written);
                        Ok(Some(written))
                    }
                    Err(error) if is_fine(kind, &error) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Request::Evict { target, uid } => {
                let (kind, key) = self.place(&target);
                if !executor.evict(kind, &key, &uid).await? {
                    tracing::info!(pod = %key, "a disruption budget does not allow the eviction now");
                }
                Ok(None)
            }
            Request::Delete {
                target,
                precondition,
            } => {
                let (kind, key) = self.place(&target);
                let must = Must::be(&precondition.uid, &precondition.resource_version);
                let deleted = executor
                    .delete(kind, &key, &must, PropagationPolicy::Background)
                    .await?;
                if let (Deleted::Gone, Some(cache)) = (deleted, (self.cache)(kind)) {
                    self.freshness
                        .deleted(&self.work.key, &cache, key, &precondition.uid);
                }
                Ok(None)
            }
        }
    }

    /// Creates an object; one that exists is fine if it is ours and has the same hash.
    async fn create(&self, target: &Target, object: &Value) -> Result<Written, WriteError> {
        let (kind, key) = self.place(target);
        let written = match self.ctx.executor.create(kind, &key.namespace, object).await {
            Err(WriteError::AlreadyExists(error)) => {
                let existing = self.ctx.api.get(kind, &key).await?;
                let Some(existing) = existing else {
                    return Err(WriteError::Conflict(error));
                };
                let owned = Object::from_value(&existing).ok().filter(|found| {
                    let owner = found.owner.as_ref().map(|owner| &*owner.uid);
                    owner == Some(&*self.work.uid) && hash(&existing) == hash(object)
                });
                let Some(owned) = owned else {
                    return Err(WriteError::AlreadyExists(error));
                };
                Written {
                    uid: owned.uid.to_string(),
                    resource_version: owned.resource_version.to_string(),
                    object: Value::Null,
                }
            }
            outcome => outcome?,
        };
        self.remember(kind, key, &written);
        Ok(written)
    }

    fn remember(&self, kind: &Kind, key: Key, written: &Written) {
        let (uid, version) = (&written.uid, &written.resource_version);
        if let Some(cache) = (self.cache)(kind) {
            self.freshness
                .wrote(&self.work.key, &cache, key, uid, version);
        }
    }

    fn place(&self, target: &Target) -> (&'static Kind, Key) {
        let kind = match target.kind {
            "ReplicaSet" => &REPLICA_SET,
            "Deployment" => &DEPLOYMENT,
            "Pod" => &POD,
            "Service" => &SERVICE,
            "AnalysisRun" => &ANALYSIS_RUN,
            "Experiment" => &EXPERIMENT,
            _ => &ROLLOUT,
        };
        (kind, Key::new(&self.work.key.namespace, &target.name))
    }
}

/// Whether a patch that found no such object has nothing left to do: a run or an Experiment that is gone has stopped, and
/// a pod that is gone or another one now was made with the metadata of its set.
fn is_fine(kind: &Kind, error: &WriteError) -> bool {
    match error {
        WriteError::Gone(_) => [&ANALYSIS_RUN, &EXPERIMENT, &POD].contains(&kind),
        WriteError::Conflict(_) => *kind == POD,
        _ => false,
    }
}

fn hash(object: &Value) -> Option<&str> {
    let labels = object.pointer("/metadata/labels")?;
    labels.get(POD_TEMPLATE_HASH)?.as_str()
}
