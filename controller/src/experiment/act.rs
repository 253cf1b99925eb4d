//! Act: carries out a plan, in its order — effects, status, events — and stops at the first write that is not confirmed.
//! Stopping anywhere is safe: every prefix of a plan is.

use std::fmt;
use std::sync::Arc;

use kube::core::params::PropagationPolicy;
use serde_json::{Value, json};
use sluice_crds::names::POD_TEMPLATE_HASH;
use sluice_rollout::EventType;
use sluice_rollout::experiment::{Effect, Plan, Refused, request};
use sluice_rollout::request::{Request, Target};
use sluice_runtime::events::{Involved, Severity};
use sluice_runtime::kind::{ANALYSIS_RUN, EXPERIMENT, Kind, POD, REPLICA_SET, ROLLOUT, SERVICE};
use sluice_runtime::{Cache, Key, Must, Object, WriteError, Written};

use super::Experiments;
use super::observe::Observed;

/// Why a plan was not carried out to its end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The view was not what the object is now: observe again.
    Again(WriteError),
    /// A write failed.
    Failed(WriteError),
    /// The API refuses to make an object, and will go on doing so.
    Refused(Refused),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Again(error) => write!(f, "observe again: {error}"),
            Stopped::Failed(error) => write!(f, "failed: {error}"),
            Stopped::Refused(refused) => write!(f, "refused: {}", refused.message),
        }
    }
}

impl From<WriteError> for Stopped {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict(_) | WriteError::Gone(_) => Stopped::Again(error),
            other => Stopped::Failed(other),
        }
    }
}

/// Carries out a plan.
pub(super) async fn act(
    experiments: &Experiments,
    observed: &Observed,
    plan: &Plan,
) -> Result<(), Stopped> {
    let act = Act {
        experiments,
        observed,
    };
    for effect in &plan.effects {
        act.send(request::of_effect(&observed.experiment, effect))
            .await?;
    }
    act.status(plan).await?;
    let severity = |kind: EventType| match kind {
        EventType::Normal => Severity::Normal,
        EventType::Warning => Severity::Warning,
    };
    for event in &plan.events {
        experiments.emit(
            &observed.object,
            severity(event.kind),
            event.reason,
            &event.message,
        );
    }
    let owner = observed.object.owner.as_ref();
    if let Some(owner) = owner.filter(|owner| owner.kind == "Rollout") {
        for event in &plan.rollout_events {
            let rollout = Involved {
                kind: ROLLOUT.clone(),
                key: act.key(&owner.name),
                uid: owner.uid.to_string(),
                resource_version: String::new(),
            };
            let severity = severity(event.kind);
            experiments.emit_about(rollout, severity, event.reason, &event.message);
        }
    }
    Ok(())
}

struct Act<'a> {
    experiments: &'a Experiments,
    observed: &'a Observed,
}

impl Act<'_> {
    async fn send(&self, request: Request) -> Result<(), Stopped> {
        let executor = &self.experiments.ctx.executor;
        match request {
            Request::Create { target, object } => self.create(&target, object).await,
            // The preconditions are part of the patch.
            Request::Merge { target, patch, .. } => {
                let (kind, cache) = self.place(&target);
                let key = self.key(&target.name);
                match executor.merge(kind, &key, &Must::exist(), patch).await {
                    Ok(written) => {
                        self.remember(cache, key, &written);
                        Ok(())
                    }
                    // A run that is gone does not measure any more.
                    Err(WriteError::Gone(_)) if *kind == ANALYSIS_RUN => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            Request::Evict { target, uid } => {
                executor.evict(&POD, &self.key(&target.name), &uid).await?;
                Ok(())
            }
            Request::Delete {
                target,
                precondition,
            } => {
                let (kind, cache) = self.place(&target);
                let key = self.key(&target.name);
                let must = Must::be(&precondition.uid, &precondition.resource_version);
                let deleted = executor
                    .delete(kind, &key, &must, PropagationPolicy::Background)
                    .await?;
                if deleted == sluice_runtime::execute::Deleted::Gone {
                    let work = &self.observed.object.key;
                    let freshness = &self.experiments.freshness;
                    freshness.deleted(work, cache, key, &precondition.uid);
                }
                Ok(())
            }
        }
    }

    /// Creates an object; one that exists is fine if the Experiment owns it, and has the same hash.
    async fn create(&self, target: &Target, object: Value) -> Result<(), Stopped> {
        let (kind, cache) = self.place(target);
        let (ctx, key) = (&self.experiments.ctx, self.key(&target.name));
        let refused = |message: String, taken: bool| {
            Stopped::Refused(Refused {
                kind: target.kind,
                name: target.name.clone(),
                message,
                taken,
            })
        };
        match ctx.executor.create(kind, &key.namespace, &object).await {
            Ok(written) => {
                self.remember(cache, key, &written);
                Ok(())
            }
            Err(WriteError::AlreadyExists(error)) => {
                let existing = ctx.api.get(kind, &key).await.map_err(WriteError::from)?;
                let Some(existing) = existing else {
                    return Err(Stopped::Again(WriteError::AlreadyExists(error)));
                };
                let owned = Object::from_value(&existing).ok().filter(|object| {
                    let owner = object.owner.as_ref().map(|owner| owner.uid.as_str());
                    owner == Some(&*self.observed.object.uid)
                });
                let Some(owned) = owned.filter(|_| hash(&existing) == hash(&object)) else {
                    return Err(refused(error.to_string(), true));
                };
                let written = Written {
                    uid: owned.uid.to_string(),
                    resource_version: owned.resource_version.to_string(),
                    object: Value::Null,
                };
                self.remember(cache, key, &written);
                Ok(())
            }
            Err(WriteError::Invalid(error) | WriteError::Denied(error)) => {
                Err(refused(error.to_string(), false))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn status(&self, plan: &Plan) -> Result<(), Stopped> {
        // Compared as types, so that fields which this build does not know are left as they are.
        let before = self.observed.experiment.status.as_ref();
        let old = before.map_or(Value::Null, |status| json!(status));
        let object = &self.observed.object;
        let must = Must::be(&*object.uid, &*object.resource_version);
        let executor = &self.experiments.ctx.executor;
        let written = executor
            .status(&EXPERIMENT, &object.key, &must, &old, &json!(plan.status))
            .await?;
        if let Some(written) = written {
            let cache = &self.experiments.watches.experiments;
            self.remember(cache, object.key.clone(), &written);
        }
        Ok(())
    }

    fn place(&self, target: &Target) -> (&'static Kind, &Arc<Cache>) {
        let watches = &self.experiments.watches;
        match target.kind {
            "ReplicaSet" => (&REPLICA_SET, &watches.replica_sets),
            "Service" => (&SERVICE, &watches.services),
            _ => (&ANALYSIS_RUN, &watches.runs),
        }
    }

    fn remember(&self, cache: &Arc<Cache>, target: Key, written: &Written) {
        let work = &self.observed.object.key;
        let (uid, version) = (&written.uid, &written.resource_version);
        let freshness = &self.experiments.freshness;
        freshness.wrote(work, cache, target, uid, version);
    }

    fn key(&self, name: &str) -> Key {
        Key::new(&self.observed.object.key.namespace, name)
    }
}

fn hash(object: &Value) -> Option<&str> {
    let labels = object.pointer("/metadata/labels")?;
    labels.get(POD_TEMPLATE_HASH)?.as_str()
}

/// One sentence for one effect.
pub(super) fn describe(effect: &Effect) -> String {
    match effect {
        Effect::CreateReplicaSet(set) => format!("Create ReplicaSet {}", set.name),
        Effect::ScaleReplicaSet { name, from, to, .. } => {
            format!("Scale ReplicaSet {name} from {from} to {to}")
        }
        Effect::AnnotateReplicaSet { name, .. } => format!("Annotate ReplicaSet {name}"),
        Effect::CreateService(service) => format!("Create Service {}", service.name),
        Effect::DeleteService { name, .. } => format!("Delete Service {name}"),
        Effect::CreateAnalysisRun(run) => {
            let name = run.metadata.name.as_deref().unwrap_or_default();
            format!("Create AnalysisRun {name}")
        }
        Effect::TerminateAnalysisRun { name } => format!("Terminate AnalysisRun {name}"),
    }
}
