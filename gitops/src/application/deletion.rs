//! The end of an Application: its objects are deleted before it goes, when a finalizer says so.
//!
//! Highest wave first; each wave is waited for. What may not be deleted stays: definitions, objects with `Delete=false`
//! or Helm's `keep`, objects that the project forbids. PreDelete and PostDelete hooks are not run, and an event says so
//! when a finalizer asked for them.

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::names;

use super::operation::delete_effect;
use super::plan::{AppPlan, AppReason, EventNote};
use super::world::AppWorld;
use super::{in_a_while, key_of};
use crate::hook;
use crate::key::{Key, is_deleting, text};
use crate::options::{Consent, Propagation, SyncOptions};
use crate::project;
use crate::tracking;

/// Annotation by which a person agrees to deletions: an RFC 3339 time, after the deletion or the sync began.
pub(super) const APPROVED: &str = "argocd.argoproj.io/deletion-approved";

const HOOK_FINALIZERS: [&str; 4] = [
    "pre-delete-finalizer.argocd.argoproj.io",
    "pre-delete-finalizer.argocd.argoproj.io/cleanup",
    "post-delete-finalizer.argocd.argoproj.io",
    "post-delete-finalizer.argocd.argoproj.io/cleanup",
];

/// How a finalizer wants objects to be deleted; `None` for finalizers of others.
fn propagation(finalizer: &str) -> Option<Propagation> {
    match finalizer.strip_prefix(names::RESOURCES_FINALIZER)? {
        "" | "/foreground" => Some(Propagation::Foreground),
        "/background" => Some(Propagation::Background),
        _ => None,
    }
}

/// Decides what to delete next, or lets the Application go.
pub(super) fn decide(world: &AppWorld<'_>, mut plan: AppPlan, now: Timestamp) -> AppPlan {
    let app = world.app;
    let finalizers = app.metadata.finalizers.clone().unwrap_or_default();
    let Some(propagation) = finalizers.iter().find_map(|name| propagation(name)) else {
        if finalizers
            .iter()
            .any(|name| HOOK_FINALIZERS.contains(&name.as_str()))
        {
            release(&mut plan, &finalizers);
        }
        return plan;
    };
    let left = left(world);
    let unapproved: Vec<&Key> = left
        .iter()
        .filter(|(_, _, consent)| *consent == Consent::Asked && !is_approved(world))
        .map(|(key, ..)| *key)
        .collect();
    if let Some(key) = unapproved.first() {
        let message = format!("waiting for deletion confirmation of {}", key.short());
        plan.reasons.push(AppReason::Deleting { message });
        plan.wake(in_a_while(now, 60));
        return plan;
    }
    let Some(wave) = left.iter().map(|(_, live, _)| hook::wave(live)).max() else {
        release(&mut plan, &finalizers);
        return plan;
    };
    let mut waiting = 0_u32;
    for (key, live, _) in left.iter().filter(|(_, live, _)| hook::wave(live) == wave) {
        waiting += 1;
        if !is_deleting(live) {
            let version = text(live, "/apiVersion");
            plan.effects
                .push(delete_effect(key, version, Some(live), propagation));
        }
    }
    let message = format!("waiting for {waiting} objects of wave {wave} to be gone");
    plan.reasons.push(AppReason::Deleting { message });
    plan.wake(in_a_while(now, 5));
    plan
}

/// The objects that are to be deleted and still there.
fn left<'a>(world: &AppWorld<'a>) -> Vec<(&'a Key, &'a Value, Consent)> {
    if !world.app.spec.destination.is_in_cluster() {
        return Vec::new();
    }
    let default = project::implicit_default();
    let project = world.project.unwrap_or(&default);
    let itself = key_of(world.app);
    let written = world
        .app
        .spec
        .sync_policy
        .as_ref()
        .and_then(|policy| policy.sync_options.as_deref())
        .unwrap_or(&[]);
    let (options, _) = SyncOptions::parse(written.iter().map(String::as_str));
    world
        .live
        .objects
        .iter()
        .filter(|(key, live)| {
            tracking::owner(live) == Some(world.placement.app.as_str())
                && **key != itself
                && key.kind.kind != "CustomResourceDefinition"
        })
        .filter(|(key, _)| {
            let namespaced = !key.namespace.is_empty();
            let destination = &world.app.spec.destination;
            project::forbids_object(project, destination, key, namespaced).is_none()
        })
        .map(|(key, live)| (key, live, options.for_object(live).0.delete))
        .filter(|(_, _, consent)| *consent != Consent::Refused)
        .collect()
}

fn is_approved(world: &AppWorld<'_>) -> bool {
    let metadata = &world.app.metadata;
    let since = metadata.deletion_timestamp.as_ref().map(|time| time.0);
    metadata
        .annotations
        .as_ref()
        .and_then(|map| map.get(APPROVED))
        .and_then(|text| text.parse::<Timestamp>().ok())
        .is_some_and(|at| since.is_none_or(|since| at >= since))
}

/// Removes our finalizers.
fn release(plan: &mut AppPlan, finalizers: &[String]) {
    let is_hook = |name: &str| HOOK_FINALIZERS.contains(&name);
    if finalizers.iter().any(|name| is_hook(name)) {
        plan.events.push(EventNote::warning(
            "HooksSkipped",
            "PreDelete and PostDelete hooks are not supported and were not run".to_owned(),
        ));
    }
    plan.finalizers = Some(
        finalizers
            .iter()
            .filter(|name| propagation(name).is_none() && !is_hook(name))
            .cloned()
            .collect(),
    );
}
