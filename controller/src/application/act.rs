//! Act: carries out a plan — effects, then one patch of the Application, then events.
//!
//! Each effect is tried, and what became of it goes into the status. The patch carries the Application's
//! resourceVersion: if somebody else wrote in between, everything is observed and decided again; effects can be
//! repeated.

use std::sync::Arc;
use std::time::Duration;

use kube::core::params::PropagationPolicy;
use serde_json::{Map, Value, json};
use sluice_crds::application::Application;
use sluice_crds::merge_patch::merge_diff;
use sluice_gitops::application::plan::{Apply, EventNote};
use sluice_gitops::application::{AppEffect, AppPlan, EffectFailure, OperationChange, Outcome};
use sluice_gitops::key::{GroupKind, Key as ObjectKey, text};
use sluice_gitops::options::Propagation;
use sluice_runtime::events::{Involved, Note, Severity};
use sluice_runtime::execute::{ApplyOptions, Deleted};
use sluice_runtime::kind::APPLICATION;
use sluice_runtime::{Key, Kind, Must, Object, WriteError, Written};
use tokio::time::{Instant, sleep};

use super::live::message;
use super::observe::Observed;
use super::{Applications, describe};

/// `source.component` of events; the name that upstream uses.
const COMPONENT: &str = "argocd-application-controller";
/// How long a definition that was just applied may take until its kind is served.
const SERVED: Duration = Duration::from_secs(5);
/// How long an object that is made anew may take to be gone.
const GONE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Carries out a plan. Returns the plan as it was settled.
pub(crate) async fn act(
    loop_: &Applications,
    observed: &Observed,
    object: &Arc<Object>,
    plan: AppPlan,
) -> Result<AppPlan, WriteError> {
    let act = Act {
        loop_,
        work: &object.key,
    };
    let mut outcomes = Vec::with_capacity(plan.effects.len());
    for effect in &plan.effects {
        let outcome = act.effect(effect, observed).await;
        if let Err(failure) = &outcome {
            tracing::info!(application = %object.key, effect = describe::effect(effect), failure.message, "not carried out");
        }
        outcomes.push(outcome);
    }
    let plan = plan.settle(&outcomes, loop_.ctx.clock.now());
    if let Some(patch) = patch(observed.app(), &plan) {
        let must = Must::be(&*object.uid, &*object.resource_version);
        let written = loop_
            .ctx
            .executor
            .merge(&APPLICATION, &object.key, &must, patch)
            .await?;
        loop_.freshness.wrote(
            &object.key,
            &loop_.watches.applications,
            object.key.clone(),
            &written.uid,
            &written.resource_version,
        );
    }
    for event in &plan.events {
        emit(loop_, object, event);
    }
    Ok(plan)
}

/// The smallest patch of the Application that says what the plan wants; `None` when it says that already.
fn patch(app: &Application, plan: &AppPlan) -> Option<Value> {
    let mut patch = Map::new();
    let before = serde_json::to_value(app.status.clone().unwrap_or_default()).unwrap_or_default();
    let after = serde_json::to_value(&plan.status).unwrap_or_default();
    if let Some(status) = merge_diff(&before, &after) {
        patch.insert("status".to_owned(), status);
    }
    match &plan.operation {
        OperationChange::Keep => {}
        OperationChange::Clear => {
            if app.operation.is_some() {
                patch.insert("operation".to_owned(), Value::Null);
            }
        }
        OperationChange::Set(operation) => {
            let before = app
                .operation
                .as_ref()
                .map_or(json!({}), |operation| json!(operation));
            if let Some(change) = merge_diff(&before, &json!(operation)) {
                patch.insert("operation".to_owned(), change);
            }
        }
    }
    let mut metadata = Map::new();
    if !plan.annotations.is_empty() {
        metadata.insert("annotations".to_owned(), json!(plan.annotations));
    }
    if let Some(finalizers) = &plan.finalizers {
        metadata.insert("finalizers".to_owned(), json!(finalizers));
    }
    if !metadata.is_empty() {
        patch.insert("metadata".to_owned(), Value::Object(metadata));
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Emits an Event about an Application.
pub(crate) fn emit(loop_: &Applications, object: &Object, event: &EventNote) {
    loop_.ctx.events.emit(Note {
        involved: Involved {
            kind: APPLICATION.clone(),
            key: object.key.clone(),
            uid: object.uid.to_string(),
            resource_version: object.resource_version.to_string(),
        },
        component: COMPONENT,
        severity: if event.is_warning {
            Severity::Warning
        } else {
            Severity::Normal
        },
        reason: event.reason.to_owned(),
        message: event.message.clone(),
    });
}

struct Act<'a> {
    loop_: &'a Applications,
    work: &'a Key,
}

impl Act<'_> {
    async fn effect(&self, effect: &AppEffect, observed: &Observed) -> Outcome {
        match effect {
            AppEffect::Apply(apply) => {
                let kind = self.kind(&apply.key, &apply.api_version).await?;
                let result = self.apply(&kind, apply, observed).await;
                result.map_err(|error| failure(&apply.key, &error))
            }
            AppEffect::Delete {
                key,
                api_version,
                uid,
                propagation,
                finalizers,
            } => {
                let kind = self.kind(key, api_version).await?;
                let result = self.delete(
                    &kind,
                    key,
                    uid.as_deref(),
                    *propagation,
                    finalizers.as_deref(),
                );
                result.await.map_err(|error| failure(key, &error))
            }
        }
    }

    /// The kind as it is served; one that was defined a moment ago is waited for.
    async fn kind(&self, key: &ObjectKey, api_version: &str) -> Result<Kind, EffectFailure> {
        let started = Instant::now();
        loop {
            let missing =
                |known: &super::catalog::Known| known.kind(api_version, &key.kind.kind).is_none();
            let known = self
                .loop_
                .catalog
                .with(missing)
                .await
                .map_err(|error| EffectFailure {
                    message: format!("{error:#}"),
                    transient: true,
                })?;
            if let Some(kind) = known.kind(api_version, &key.kind.kind) {
                return Ok(kind.clone());
            }
            if started.elapsed() > SERVED {
                return Err(EffectFailure {
                    message: format!(
                        "the API server does not serve {api_version} {}",
                        key.kind.kind
                    ),
                    transient: false,
                });
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn apply(
        &self,
        kind: &Kind,
        apply: &Apply,
        observed: &Observed,
    ) -> Result<(), WriteError> {
        let name = Key::new(&apply.key.namespace, &apply.key.name);
        let live = observed.live().objects.get(&apply.key);
        let mut version = apply.resource_version.clone();
        if let (Some(fields), Some(current), Some(live)) =
            (&apply.managed_fields, &apply.resource_version, live)
        {
            let must = Must::be(text(live, "/metadata/uid"), current.as_str());
            let operation =
                json!({"op": "replace", "path": "/metadata/managedFields", "value": fields});
            let executor = &self.loop_.executor;
            let written = executor
                .json_patch(kind, &name, &must, vec![operation])
                .await?;
            version = Some(written.resource_version.clone());
            self.remember(kind, &apply.key, &written);
        }
        match self
            .write(kind, &name, apply, version.as_deref(), live.is_some())
            .await
        {
            Err(WriteError::Invalid(error)) if apply.force && live.is_some() => {
                tracing::info!(object = %apply.key, %error, "cannot be applied; made anew, as Force=true asks");
                self.remake(
                    kind,
                    &name,
                    apply,
                    live.map(|live| text(live, "/metadata/uid")),
                )
                .await
            }
            other => other,
        }
    }

    async fn write(
        &self,
        kind: &Kind,
        name: &Key,
        apply: &Apply,
        version: Option<&str>,
        is_live: bool,
    ) -> Result<(), WriteError> {
        let executor = &self.loop_.executor;
        let mut object = apply.object.clone();
        let with_version = apply.fenced || (apply.replace && is_live && !apply.dry_run);
        if with_version
            && let (Some(version), Some(metadata)) = (
                version,
                object.get_mut("metadata").and_then(Value::as_object_mut),
            )
        {
            metadata.insert(
                "resourceVersion".to_owned(),
                Value::String(version.to_owned()),
            );
        }
        let written = if apply.replace && !apply.dry_run {
            if is_live {
                executor.replace(kind, name, &object).await?
            } else {
                executor.create(kind, &name.namespace, &object).await?
            }
        } else {
            let options = ApplyOptions {
                force: true,
                dry_run: apply.dry_run,
                strict: apply.validate,
            };
            executor.apply(kind, name, &object, options).await?
        };
        if !apply.dry_run {
            self.remember(kind, &apply.key, &written);
        }
        Ok(())
    }

    /// Deletes an object and makes it anew.
    async fn remake(
        &self,
        kind: &Kind,
        name: &Key,
        apply: &Apply,
        uid: Option<&str>,
    ) -> Result<(), WriteError> {
        let must = uid.map_or_else(Must::exist, Must::be_uid);
        let executor = &self.loop_.executor;
        executor
            .delete(kind, name, &must, PropagationPolicy::Foreground)
            .await?;
        let started = Instant::now();
        while started.elapsed() < GONE {
            match self.loop_.ctx.api.get(kind, name).await {
                Ok(None) => break,
                Ok(Some(_)) => sleep(LOOK_AGAIN).await,
                Err(error) => return Err(error.into()),
            }
        }
        let fresh = Apply {
            fenced: false,
            resource_version: None,
            ..apply.clone()
        };
        self.write(kind, name, &fresh, None, false).await
    }

    async fn delete(
        &self,
        kind: &Kind,
        key: &ObjectKey,
        uid: Option<&str>,
        propagation: Propagation,
        finalizers: Option<&[String]>,
    ) -> Result<(), WriteError> {
        let name = Key::new(&key.namespace, &key.name);
        let must = uid.map_or_else(Must::exist, Must::be_uid);
        let executor = &self.loop_.executor;
        if let Some(finalizers) = finalizers {
            let patch = json!({"metadata": {"finalizers": finalizers}});
            match executor.merge(kind, &name, &must, patch).await {
                Ok(_) => {}
                Err(WriteError::Gone(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let policy = match propagation {
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Background => PropagationPolicy::Background,
            Propagation::Orphan => PropagationPolicy::Orphan,
        };
        let deleted = executor.delete(kind, &name, &must, policy).await?;
        if let (Deleted::Gone, Some(uid), Some(cache)) = (deleted, uid, self.cache(&key.kind)) {
            self.loop_.freshness.deleted(self.work, &cache, name, uid);
        }
        Ok(())
    }

    /// The next observation must show this write.
    fn remember(&self, kind: &Kind, key: &ObjectKey, written: &Written) {
        let group_kind = GroupKind::new(&kind.group, &kind.kind);
        if let Some(cache) = self.cache(&group_kind) {
            let name = Key::new(&key.namespace, &key.name);
            self.loop_.freshness.wrote(
                self.work,
                &cache,
                name,
                &written.uid,
                &written.resource_version,
            );
        }
    }

    fn cache(&self, kind: &GroupKind) -> Option<Arc<sluice_runtime::Cache>> {
        let known = self.loop_.catalog.known();
        let served = known.preferred(kind)?;
        let cache = self.loop_.watches.managed(served);
        // A kind that cannot be watched shows nothing, ever.
        cache.is_settled().then_some(cache)
    }
}

fn failure(key: &ObjectKey, error: &WriteError) -> EffectFailure {
    EffectFailure {
        message: message(key, error),
        transient: error.is_transient(),
    }
}
