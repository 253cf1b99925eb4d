//! Act: carries out a plan, in its order — effects, status, events — and stops at the first write that is not confirmed.
//! Before each effect the safety invariants are checked once more, by code that knows nothing of how it was decided.
//!
//! Stopping anywhere is safe: every prefix of a plan is. What was written is remembered by the freshness gate, so the
//! next decision is made on a view that shows it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kube::core::params::PropagationPolicy;
use serde_json::{Map, Value, json};
use sluice_crds::names::{MANAGED_BY_ROLLOUTS, POD_TEMPLATE_HASH};
use sluice_rollout::plan::NewReplicaSet;
use sluice_rollout::{Effect, EventType, Plan, Precondition, World, invariants};
use sluice_runtime::events::Severity;
use sluice_runtime::kind::{
    ANALYSIS_RUN, DEPLOYMENT, EXPERIMENT, Kind, POD, REPLICA_SET, ROLLOUT, SERVICE,
};
use sluice_runtime::{Cache, Key, Must, Object, WriteError, Written};

use super::observe::Observed;
use super::watches::Watches;
use super::{Rollouts, describe, route};

/// Why a plan was not carried out to its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The view was not what the object is now: observe again.
    Again(WriteError),
    /// A write failed.
    Failed(WriteError),
    /// A safety invariant would not hold; the sentence names it.
    Refused(String),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Again(error) => write!(f, "observe again: {error}"),
            Stopped::Failed(error) => write!(f, "failed: {error}"),
            Stopped::Refused(why) => f.write_str(why),
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
pub(crate) async fn act(
    rollouts: &Rollouts,
    observed: &Observed,
    plan: &Plan,
) -> Result<(), Stopped> {
    let mut act = Act {
        rollouts,
        observed,
        version: observed.object.resource_version.to_string(),
    };
    for effect in &plan.effects {
        let check = |world: &World<'_>| invariants::check(world, effect);
        if let Err(violation) = observed.with_world(&rollouts.settings, check) {
            metrics::counter!("sluice_refused_effects_total", "invariant" => violation.invariant)
                .increment(1);
            let effect = describe::effect(effect);
            return Err(Stopped::Refused(format!(
                "{effect}: refused, since {violation}"
            )));
        }
        act.effect(effect).await?;
    }
    act.status(plan).await?;
    for event in &plan.events {
        let severity = match event.kind {
            EventType::Normal => Severity::Normal,
            EventType::Warning => Severity::Warning,
        };
        rollouts.emit(&observed.object, severity, event.reason, &event.message);
    }
    Ok(())
}

struct Act<'a> {
    rollouts: &'a Rollouts,
    observed: &'a Observed,
    /// resourceVersion of the Rollout, moved on by our own writes to it.
    version: String,
}

impl Act<'_> {
    async fn effect(&mut self, effect: &Effect) -> Result<(), Stopped> {
        match effect {
            Effect::SetReplicas { replicas } => {
                self.patch_rollout(json!({"spec": {"replicas": replicas}}))
                    .await
            }
            Effect::AnnotateRollout { annotations } => {
                self.patch_rollout(json!({"metadata": {"annotations": annotations}}))
                    .await
            }
            Effect::CreateReplicaSet(set) => {
                let object = replica_set(set, &self.owner());
                let hash = Some(set.hash.as_str());
                self.create(
                    &REPLICA_SET,
                    &self.rollouts.watches.replica_sets,
                    object,
                    hash,
                )
                .await
            }
            Effect::ScaleReplicaSet {
                name,
                precondition,
                to,
                annotations,
                ..
            } => {
                let patch = json!({"metadata": metadata(annotations), "spec": {"replicas": to}});
                self.patch_set(name, precondition, patch).await
            }
            Effect::UpdateReplicaSet {
                name,
                precondition,
                annotations,
                adopt,
                min_ready_seconds,
                template,
            } => {
                let mut patch = json!({"metadata": metadata(annotations)});
                if *adopt {
                    patch["metadata"]["ownerReferences"] = self.owners_with_us(name);
                }
                if let Some(seconds) = min_ready_seconds {
                    patch["spec"] = json!({"minReadySeconds": seconds});
                }
                if let Some(template) = template {
                    patch["spec"]["template"] = template.clone();
                }
                self.patch_set(name, precondition, patch).await
            }
            Effect::PatchPod {
                name,
                uid,
                labels,
                annotations,
            } => {
                let patch = json!({"metadata": {"labels": labels, "annotations": annotations}});
                let key = self.key(name);
                let executor = &self.rollouts.ctx.executor;
                match executor.merge(&POD, &key, &Must::be_uid(uid), patch).await {
                    Ok(written) => {
                        self.remember_named(&POD, key, &written);
                        Ok(())
                    }
                    // Its successor is made with the metadata of the set.
                    Err(WriteError::Gone(_) | WriteError::Conflict(_)) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            Effect::EvictPod { name, uid } => {
                let executor = &self.rollouts.ctx.executor;
                let goes = executor.evict(&POD, &self.key(name), uid).await?;
                if !goes {
                    tracing::info!(
                        rollout = %self.observed.object.key, pod = name,
                        "a disruption budget does not allow the eviction now"
                    );
                }
                Ok(())
            }
            Effect::ScaleWorkload {
                name,
                precondition,
                to,
                ..
            } => {
                let key = self.key(name);
                let patch = json!({"spec": {"replicas": to}});
                let executor = &self.rollouts.ctx.executor;
                let written = executor
                    .merge(&DEPLOYMENT, &key, &must(precondition), patch)
                    .await?;
                self.remember_named(&DEPLOYMENT, key, &written);
                Ok(())
            }
            Effect::DeleteReplicaSet { name, precondition } => {
                self.delete(
                    &REPLICA_SET,
                    &self.rollouts.watches.replica_sets,
                    name,
                    precondition,
                )
                .await
            }
            Effect::SelectPods {
                service,
                precondition,
                hash,
            } => {
                // One that serves from every pod again is nobody's.
                let manager = hash.as_ref().map(|_| &*self.observed.object.key.name);
                let patch = json!({
                    "metadata": {"annotations": {MANAGED_BY_ROLLOUTS: manager}},
                    "spec": {"selector": {POD_TEMPLATE_HASH: hash}},
                });
                let key = self.key(service);
                let must = must(precondition);
                let written = self
                    .rollouts
                    .ctx
                    .executor
                    .merge(&SERVICE, &key, &must, patch)
                    .await?;
                self.remember(&self.rollouts.watches.services, key, &written);
                Ok(())
            }
            Effect::SetTraffic(split) => {
                route::set_traffic(self.rollouts, self.observed, split).await
            }
            Effect::CreateAnalysisRun(run) => {
                let object = self.owned(&ANALYSIS_RUN, json!(run));
                self.create(&ANALYSIS_RUN, &self.rollouts.watches.runs, object, None)
                    .await
            }
            Effect::TerminateAnalysisRun { name } => {
                let cache = &self.rollouts.watches.runs;
                self.terminate(&ANALYSIS_RUN, cache, name).await
            }
            Effect::DeleteAnalysisRun { name, precondition } => {
                self.delete(
                    &ANALYSIS_RUN,
                    &self.rollouts.watches.runs,
                    name,
                    precondition,
                )
                .await
            }
            Effect::CreateExperiment(experiment) => {
                let object = self.owned(&EXPERIMENT, json!(experiment));
                let cache = &self.rollouts.watches.experiments;
                self.create(&EXPERIMENT, cache, object, None).await
            }
            Effect::TerminateExperiment { name } => {
                let cache = &self.rollouts.watches.experiments;
                self.terminate(&EXPERIMENT, cache, name).await
            }
            Effect::DeleteExperiment { name, precondition } => {
                let cache = &self.rollouts.watches.experiments;
                self.delete(&EXPERIMENT, cache, name, precondition).await
            }
        }
    }

    async fn status(&mut self, plan: &Plan) -> Result<(), Stopped> {
        let rollout = &self.observed.rollout;
        // Compared as types, so that fields which this build does not know are left as they are.
        let old = rollout
            .status
            .as_ref()
            .map_or(Value::Null, |status| json!(status));
        let object = &self.observed.object;
        let must = Must::be(&*object.uid, &self.version);
        let executor = &self.rollouts.ctx.executor;
        let written = executor
            .status(&ROLLOUT, &object.key, &must, &old, &json!(plan.status))
            .await?;
        if let Some(written) = written {
            self.remember(
                &self.rollouts.watches.rollouts,
                object.key.clone(),
                &written,
            );
        }
        Ok(())
    }

    async fn patch_rollout(&mut self, patch: Value) -> Result<(), Stopped> {
        let object = &self.observed.object;
        let must = Must::be(&*object.uid, &self.version);
        let written = self
            .rollouts
            .ctx
            .executor
            .merge(&ROLLOUT, &object.key, &must, patch)
            .await?;
        self.version.clone_from(&written.resource_version);
        self.remember(
            &self.rollouts.watches.rollouts,
            object.key.clone(),
            &written,
        );
        Ok(())
    }

    async fn patch_set(
        &self,
        name: &str,
        precondition: &Precondition,
        patch: Value,
    ) -> Result<(), Stopped> {
        let key = self.key(name);
        let written = self
            .rollouts
            .ctx
            .executor
            .merge(&REPLICA_SET, &key, &must(precondition), patch)
            .await?;
        self.remember(&self.rollouts.watches.replica_sets, key, &written);
        Ok(())
    }

    /// Creates an object; one that exists is fine if the Rollout owns it, and has the hash where one is given.
    async fn create(
        &self,
        kind: &Kind,
        cache: &Arc<Cache>,
        object: Value,
        hash: Option<&str>,
    ) -> Result<(), Stopped> {
        let ctx = &self.rollouts.ctx;
        let namespace = &self.observed.object.key.namespace;
        let key = self.key(
            object
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        );
        match ctx.executor.create(kind, namespace, &object).await {
            Ok(written) => {
                self.remember(cache, key, &written);
                Ok(())
            }
            Err(WriteError::AlreadyExists(error)) => {
                let existing = ctx.api.get(kind, &key).await.map_err(WriteError::from)?;
                let Some(existing) = existing else {
                    return Err(Stopped::Again(WriteError::AlreadyExists(error)));
                };
                let existing_hash = existing
                    .pointer("/metadata/labels")
                    .and_then(|labels| labels.get(POD_TEMPLATE_HASH))
                    .and_then(Value::as_str);
                let owned = Object::from_value(&existing).ok().filter(|object| {
                    let owner = object.owner.as_ref().map(|owner| owner.uid.as_str());
                    owner == Some(&*self.observed.object.uid)
                });
                let Some(owned) = owned.filter(|_| hash.is_none() || hash == existing_hash) else {
                    return Err(Stopped::Failed(WriteError::AlreadyExists(error)));
                };
                let written = Written {
                    uid: owned.uid.to_string(),
                    resource_version: owned.resource_version.to_string(),
                    object: Value::Null,
                };
                self.remember(cache, key, &written);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(
        &self,
        kind: &Kind,
        cache: &Arc<Cache>,
        name: &str,
        precondition: &Precondition,
    ) -> Result<(), Stopped> {
        let key = self.key(name);
        let executor = &self.rollouts.ctx.executor;
        let deleted = executor
            .delete(
                kind,
                &key,
                &must(precondition),
                PropagationPolicy::Background,
            )
            .await?;
        if deleted == sluice_runtime::execute::Deleted::Gone {
            let work = &self.observed.object.key;
            self.rollouts
                .freshness
                .deleted(work, cache, key, &precondition.uid);
        }
        Ok(())
    }

    fn remember(&self, cache: &Arc<Cache>, target: Key, written: &Written) {
        let work = &self.observed.object.key;
        self.rollouts
            .freshness
            .wrote(work, cache, target, &written.uid, &written.resource_version);
    }

    /// The same for an object of a kind that is watched only when it is named.
    fn remember_named(&self, kind: &Kind, target: Key, written: &Written) {
        if let Some(cache) = Watches::named_if_started(&self.rollouts.ctx.caches, kind) {
            self.remember(&cache, target, written);
        }
    }

    fn key(&self, name: &str) -> Key {
        Key::new(&self.observed.object.key.namespace, name)
    }

    fn owner(&self) -> Value {
        let object = &self.observed.object;
        json!({
            "apiVersion": ROLLOUT.api_version(),
            "kind": ROLLOUT.kind,
            "name": &*object.key.name,
            "uid": &*object.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        })
    }

    /// The owners of a ReplicaSet with us as the controlling one.
    fn owners_with_us(&self, name: &str) -> Value {
        let cached = self.rollouts.watches.replica_sets.get(&self.key(name));
        let others = cached.map(|set| set.value()).and_then(|set| {
            set.pointer("/metadata/ownerReferences")
                .and_then(Value::as_array)
                .cloned()
        });
        let mut owners = others.unwrap_or_default();
        owners.push(self.owner());
        Value::Array(owners)
    }

    /// Orders a run or an Experiment to stop. One that is gone has.
    async fn terminate(&self, kind: &Kind, cache: &Arc<Cache>, name: &str) -> Result<(), Stopped> {
        let key = self.key(name);
        let patch = json!({"spec": {"terminate": true}});
        let executor = &self.rollouts.ctx.executor;
        match executor.merge(kind, &key, &Must::exist(), patch).await {
            Ok(written) => {
                self.remember(cache, key, &written);
                Ok(())
            }
            Err(WriteError::Gone(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// An object that the Rollout owns.
    fn owned(&self, kind: &Kind, mut object: Value) -> Value {
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.kind);
        object["metadata"]["ownerReferences"] = json!([self.owner()]);
        object
    }
}

fn must(precondition: &Precondition) -> Must {
    Must::be(&precondition.uid, &precondition.resource_version)
}

/// Metadata of a merge patch; annotations that are to be removed are `null` in it.
fn metadata(annotations: &BTreeMap<String, Option<String>>) -> Value {
    let mut metadata = Map::new();
    if !annotations.is_empty() {
        metadata.insert("annotations".to_owned(), json!(annotations));
    }
    Value::Object(metadata)
}

fn replica_set(set: &NewReplicaSet, owner: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": set.name,
            "labels": set.labels,
            "annotations": set.annotations,
            "ownerReferences": [owner],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": set.min_ready_seconds,
            "selector": set.selector,
            "template": set.template,
        },
    })
}
