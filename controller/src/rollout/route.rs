//! Tells the routers the split: carries out the edits that `sluice_traffic` finds.
//!
//! This is the way from an abort to the route, so nothing here waits for anything but the writes themselves.

use std::borrow::Cow;

use kube::core::params::PropagationPolicy;
use serde_json::Value;
use sluice_crds::split::Split;
use sluice_runtime::execute::Deleted;
use sluice_runtime::kind::{INGRESS, Kind};
use sluice_runtime::{Key, Must, WriteError};
use sluice_traffic::{ObjectRef, Patch, RouteEdit};

use super::Rollouts;
use super::act::Stopped;
use super::observe::Observed;
use super::watches::Watches;

/// Writes what is needed so that all routers carry the split; nothing when they do.
pub(crate) async fn set_traffic(
    rollouts: &Rollouts,
    observed: &Observed,
    split: &Split,
) -> Result<(), Stopped> {
    let lookup = |object: &ObjectRef| observed.route(object);
    for edit in sluice_traffic::edits(&observed.rollout, split, &lookup) {
        write(rollouts, observed, &edit).await?;
    }
    // Canary Ingresses of a spec before the present one.
    if let Some(ingresses) = Watches::named_if_started(&rollouts.core.ctx.caches, &INGRESS) {
        let owned: Vec<Value> = ingresses
            .owned_by(&observed.object.uid)
            .iter()
            .map(|object| object.value())
            .collect();
        let owned: Vec<&Value> = owned.iter().collect();
        for edit in sluice_traffic::orphans(&observed.rollout, &owned) {
            write(rollouts, observed, &edit).await?;
        }
    }
    Ok(())
}

async fn write(rollouts: &Rollouts, observed: &Observed, edit: &RouteEdit) -> Result<(), Stopped> {
    let object = edit.object();
    let kind = kind_of(object);
    let key = Key::new(&object.namespace, &object.name);
    let executor = &rollouts.core.ctx.executor;
    let written = match edit {
        // The fence is part of the patch.
        RouteEdit::Patch {
            patch: Patch::Merge(patch),
            ..
        } => {
            executor
                .merge(&kind, &key, &Must::exist(), patch.clone())
                .await
        }
        RouteEdit::Patch {
            patch: Patch::Json(operations),
            ..
        } => {
            let operations = operations.as_array().cloned().unwrap_or_default();
            executor
                .json_patch(&kind, &key, &Must::exist(), operations)
                .await
        }
        RouteEdit::Create { manifest, .. } => {
            match executor.create(&kind, &object.namespace, manifest).await {
                Err(error @ WriteError::AlreadyExists(_)) => return Err(Stopped::Again(error)),
                other => other,
            }
        }
        RouteEdit::Delete {
            uid,
            resource_version,
            ..
        } => {
            let must = Must::be(uid, resource_version);
            let deleted = executor
                .delete(&kind, &key, &must, PropagationPolicy::Background)
                .await?;
            if let Some(cache) = Watches::named_if_started(&rollouts.core.ctx.caches, &kind)
                && deleted == Deleted::Gone
            {
                rollouts
                    .core
                    .freshness
                    .deleted(&observed.object.key, &cache, key, uid);
            }
            tracing::info!(rollout = %observed.object.key, edit = edit.summary(), "route deleted");
            return Ok(());
        }
    }?;
    tracing::info!(rollout = %observed.object.key, edit = edit.summary(), "route written");
    if let Some(cache) = Watches::named_if_started(&rollouts.core.ctx.caches, &kind) {
        let work = &observed.object.key;
        rollouts
            .core
            .freshness
            .wrote(work, &cache, key, &written.uid, &written.resource_version);
    }
    Ok(())
}

/// Where the API serves an object of a router.
pub(crate) fn kind_of(object: &ObjectRef) -> Kind {
    let (group, version) = object
        .api_version
        .rsplit_once('/')
        .unwrap_or(("", &object.api_version));
    Kind {
        group: Cow::Owned(group.to_owned()),
        version: Cow::Owned(version.to_owned()),
        kind: Cow::Owned(object.kind.clone()),
        plural: Cow::Owned(object.plural.clone()),
        namespaced: !object.namespace.is_empty(),
    }
}
