//! `spec.workloadRef`: the pod template (and selector) of an existing Deployment, ReplicaSet or PodTemplate, and what
//! becomes of the pods that a Deployment has.
//!
//! The template is taken over anew in each decision and never written into the Rollout. With `scaleDown: onsuccess` the
//! Deployment goes when the first revision is healthy; with `progressively` it makes room as that revision's pods become
//! available. Later revisions leave it alone: a person may want it back.

use std::borrow::Cow;

use serde_json::Value;
use sluice_crds::LabelSelector;
use sluice_crds::names;
use sluice_crds::pod_template::PodTemplate;
use sluice_crds::pointer::{at, text};
use sluice_crds::rollout::{Rollout, WorkloadRef};

use crate::conditions;
use crate::draft::{Draft, Slot};
use crate::plan::{Effect, Precondition};
use crate::reason::Reason;
use crate::replicas::available;
use crate::seen::Seen;
use crate::world::World;

/// Kinds that can be referred to.
pub(crate) const KINDS: [&str; 3] = ["Deployment", "ReplicaSet", "PodTemplate"];
/// Values of `scaleDown`.
pub(crate) const SCALE_DOWN: [&str; 3] = ["never", "onsuccess", "progressively"];

/// The Rollout with the template and the selector of the workload that it refers to; as it is without one.
pub(crate) fn resolved<'a>(world: &World<'a>) -> Cow<'a, Rollout> {
    let rollout = world.rollout;
    let (Some(reference), Some(workload)) = (&rollout.spec.workload_ref, world.workload) else {
        return Cow::Borrowed(rollout);
    };
    let mut rollout = rollout.clone();
    let of_pod_template = reference.kind.as_deref() == Some("PodTemplate");
    let pointer = if of_pod_template {
        "/template"
    } else {
        "/spec/template"
    };
    let template = at(workload, pointer)
        .and_then(Value::as_object)
        .cloned()
        .map(PodTemplate::new)
        .unwrap_or_default();
    if rollout.spec.selector.is_none() {
        rollout.spec.selector = if of_pod_template {
            Some(LabelSelector {
                match_labels: Some(template.labels()),
                match_expressions: None,
            })
        } else {
            let selector = at(workload, "/spec/selector").cloned();
            selector.and_then(|selector| serde_json::from_value(selector).ok())
        };
    }
    rollout.spec.template = Some(template);
    Cow::Owned(rollout)
}

/// Remembers which generation of the workload was looked at, and makes room for the Rollout's pods.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft) {
    let (Some(reference), Some(workload)) =
        (&seen.world.rollout.spec.workload_ref, seen.world.workload)
    else {
        draft.status.workload_observed_generation = None;
        return;
    };
    let generation = at(workload, "/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(0)
        .to_string();
    draft.annotate_rollout(names::WORKLOAD_GENERATION, &generation);
    draft.status.workload_observed_generation = Some(generation);
    scale_down(seen, draft, reference, workload);
}

fn scale_down(seen: &Seen<'_>, draft: &mut Draft, reference: &WorkloadRef, workload: &Value) {
    let Some(new) = seen.sets.new else { return };
    let from = replicas(workload);
    let first = seen.sets.revision() == 1;
    if reference.kind.as_deref() != Some("Deployment") || !first || seen.paused_by_hand() {
        return;
    }
    let healthy = seen.is_stable() && conditions::whole(seen, &draft.status);
    let to = match reference.scale_down.as_deref() {
        Some("onsuccess") if healthy => 0,
        Some("progressively") => seen.replicas.saturating_sub(available(new)).max(0),
        _ => return,
    };
    if to >= from {
        return;
    }
    let text = |pointer| text(workload, pointer).to_owned();
    draft.reason(Reason::WorkloadScaled { from, to });
    draft.effect(
        Slot::ScaleDown,
        Effect::ScaleWorkload {
            name: text("/metadata/name"),
            precondition: Precondition {
                uid: text("/metadata/uid"),
                resource_version: text("/metadata/resourceVersion"),
            },
            from,
            to,
        },
    );
}

/// `spec.replicas` of the workload, default 1.
pub(crate) fn replicas(workload: &Value) -> i32 {
    let replicas = at(workload, "/spec/replicas").and_then(Value::as_i64);
    replicas.map_or(1, |replicas| i32::try_from(replicas).unwrap_or(i32::MAX))
}
