//! The templates of an Experiment: each is a ReplicaSet, and perhaps a Service, and has a status of its own.
//!
//! A template is Progressing until its pods are available, Running while they are, Successful when the Experiment has run
//! long enough or is ending, Failed when its pods were not available within `progressDeadlineSeconds`, and Error when the
//! API refuses what it needs. The last three are final.

use std::collections::BTreeMap;

use sluice_crds::experiment::{ExperimentTemplate, ExperimentTemplateStatus};
use sluice_crds::names;

use super::decide::Seen;
use super::draft::{Draft, EventSlot, Slot, instant, template_status};
use super::plan::Effect;
use super::verdict::{self, Ending};
use super::{service, verdict::Code};
use crate::hash;
use crate::plan::{EventType, NewReplicaSet, Precondition};
use crate::reason::Reason;
use crate::replicas::available;
use crate::time;
use crate::world::ReplicaSet;

/// The ReplicaSet of a template: of several that say so the one with the right name, else the first by name.
pub(super) fn set_of<'a>(seen: &Seen<'a>, template: &str) -> Option<&'a ReplicaSet> {
    let named = name(seen, template);
    seen.world
        .replica_sets
        .iter()
        .filter(|set| !set.deleting && belongs(seen, set, template))
        .min_by_key(|set| (set.name != named, set.name.as_str()))
}

fn belongs(seen: &Seen<'_>, set: &ReplicaSet, template: &str) -> bool {
    let is = |key: &str, value: &str| set.annotations.get(key).is_some_and(|known| known == value);
    is(names::EXPERIMENT_NAME, seen.name) && is(names::EXPERIMENT_TEMPLATE, template)
}

fn name(seen: &Seen<'_>, template: &str) -> String {
    format!("{}-{template}", seen.name)
}

/// Brings every template on: its pods, its Service, its status.
pub(super) fn reconcile(seen: &Seen<'_>, ending: Option<Ending>, draft: &mut Draft) {
    for template in seen.spec.templates.iter().flatten() {
        one(seen, template, ending, draft);
    }
    // A template that is no longer in the spec would leave its pods behind.
    for set in seen.world.replica_sets.iter().filter(|set| !set.deleting) {
        let known = seen
            .spec
            .templates
            .iter()
            .flatten()
            .any(|template| set_of(seen, &template.name).is_some_and(|of| of.name == set.name));
        if !known {
            scale_down(seen, set, None, draft);
        }
    }
    service::forget(seen, draft);
}

fn one(seen: &Seen<'_>, template: &ExperimentTemplate, ending: Option<Ending>, draft: &mut Draft) {
    let before = template_status(&draft.status, &template.name).cloned();
    let code = before
        .as_ref()
        .and_then(|status| status.status.as_deref())
        .and_then(Code::parse);
    let mut status = before.clone().unwrap_or_else(|| ExperimentTemplateStatus {
        name: template.name.clone(),
        ..ExperimentTemplateStatus::default()
    });
    let over = code.is_some_and(Code::completed);
    let runs = !over && ending.is_none();
    let desired = if runs {
        template.replicas.unwrap_or(1)
    } else {
        0
    };
    let set = set_of(seen, &template.name);
    let mut touched = false;
    let mut refused = None;
    match set {
        Some(set) if !runs => {
            let service = service::name(template, set);
            scale_down(seen, set, service.as_deref(), draft);
        }
        Some(set) => touched = scale(set, desired, draft),
        None if runs => match create(seen, template, &mut status, draft) {
            Ok(created) => touched = created,
            Err(message) => refused = Some(message),
        },
        None => {}
    }
    let unserved = service::reconcile(seen, template, set, desired, &mut status, draft);
    refused = refused.or(unserved);

    status.replicas = set.map_or(0, |set| set.current);
    status.updated_replicas = status.replicas;
    status.ready_replicas = set.map_or(0, |set| set.ready);
    status.available_replicas = set.map_or(0, available);
    let counts = |status: &ExperimentTemplateStatus| {
        (
            status.replicas,
            status.ready_replicas,
            status.available_replicas,
        )
    };
    let moved = before.as_ref().map(counts).unwrap_or_default() != counts(&status);
    if moved || touched || (set.is_some() && status.last_transition_time.is_none()) {
        status.last_transition_time = Some(time::api(seen.now));
    }
    if !over {
        let next = assess(seen, template, desired, ending, refused, &mut status, draft);
        if code != Some(next) {
            tell(template, code, next, &status, draft);
        }
        status.status = Some(next.as_str().to_owned());
    }
    draft.set_template(status);
}

/// How a template is that is not over yet.
fn assess(
    seen: &Seen<'_>,
    template: &ExperimentTemplate,
    desired: i32,
    ending: Option<Ending>,
    refused: Option<String>,
    status: &mut ExperimentTemplateStatus,
    draft: &mut Draft,
) -> Code {
    if let Some(message) = refused.filter(|_| ending.is_none()) {
        status.message = Some(message);
        return Code::Error;
    }
    if ending.is_some() {
        return Code::Successful;
    }
    if status.available_replicas == desired {
        return if verdict::has_run_long_enough(seen, &draft.status) {
            Code::Successful
        } else {
            Code::Running
        };
    }
    draft.reason(Reason::PodsNotAvailable {
        replica_set: name(seen, &template.name),
        available: status.available_replicas,
        needed: desired,
    });
    let since = instant(status.last_transition_time.as_ref()).unwrap_or(seen.now);
    let seconds = seen.spec.progress_deadline_seconds();
    let deadline = time::plus_seconds(since, seconds);
    if seen.now > deadline {
        draft.reason(Reason::DeadlineExceeded { seconds });
        status.message = Some(format!(
            "Template '{}' exceeded its progressDeadlineSeconds ({seconds})",
            template.name
        ));
        return Code::Failed;
    }
    draft.wake(time::plus_seconds(deadline, 1));
    Code::Progressing
}

/// Makes the ReplicaSet of a template, without pods; true when it is made in this plan.
///
/// A name that is taken by somebody else, and an object that the API does not take, are errors of the template.
fn create(
    seen: &Seen<'_>,
    template: &ExperimentTemplate,
    status: &mut ExperimentTemplateStatus,
    draft: &mut Draft,
) -> Result<bool, String> {
    let name = name(seen, &template.name);
    // One that is being deleted still has the name.
    if seen.world.replica_sets.iter().any(|set| set.name == name) {
        return Ok(false);
    }
    let refused = seen
        .world
        .refused
        .iter()
        .find(|refused| refused.kind == "ReplicaSet" && refused.name == name);
    if let Some(refused) = refused {
        return Err(format!(
            "Failed to create ReplicaSet for template '{}': {}",
            template.name, refused.message
        ));
    }
    let mut pods = template.template.clone().unwrap_or_default();
    pods.remove_label(names::POD_TEMPLATE_HASH);
    let hash = hash::pod_template_hash(&pods, status.collision_count);
    pods.set_label(names::POD_TEMPLATE_HASH, &hash);
    let mut selector = template.selector.clone().unwrap_or_default();
    selector
        .match_labels
        .get_or_insert_default()
        .insert(names::POD_TEMPLATE_HASH.to_owned(), hash.clone());
    draft.effect(
        Slot::Create,
        Effect::CreateReplicaSet(Box::new(NewReplicaSet {
            name,
            labels: pods.labels(),
            annotations: service::annotations(seen.name, &template.name),
            selector,
            template: pods,
            min_ready_seconds: template.min_ready_seconds.unwrap_or(0),
            hash,
        })),
    );
    Ok(true)
}

fn precondition(set: &ReplicaSet) -> Precondition {
    Precondition {
        uid: set.uid.clone(),
        resource_version: set.resource_version.clone(),
    }
}

/// Gives a ReplicaSet its size; true when it had another.
fn scale(set: &ReplicaSet, to: i32, draft: &mut Draft) -> bool {
    if set.replicas == to {
        return false;
    }
    let (slot, direction) = if to > set.replicas {
        (Slot::ScaleUp, "up")
    } else {
        (Slot::ScaleDown, "down")
    };
    let message = format!(
        "Scaled {direction} ReplicaSet {} from {} to {to}",
        set.name, set.replicas
    );
    draft.event(
        EventSlot::Scaling,
        EventType::Normal,
        "ScalingReplicaSet",
        message,
    );
    draft.effect(
        slot,
        Effect::ScaleReplicaSet {
            name: set.name.clone(),
            precondition: precondition(set),
            from: set.replicas,
            to,
        },
    );
    true
}

/// Takes the pods of a ReplicaSet away when its delay is over, and its Service has no requests any more.
fn scale_down(seen: &Seen<'_>, set: &ReplicaSet, service: Option<&str>, draft: &mut Draft) {
    if set.replicas == 0 {
        return;
    }
    let delay = seen.spec.scale_down_delay_seconds().max(0);
    let written = set.annotations.get(names::SCALE_DOWN_DEADLINE);
    let until = match written.and_then(|text| time::parse(text)) {
        _ if delay == 0 => seen.now,
        Some(until) => until,
        None => {
            let until = time::plus_seconds(seen.now, delay);
            let key = names::SCALE_DOWN_DEADLINE.to_owned();
            draft.effect(
                Slot::Annotate,
                Effect::AnnotateReplicaSet {
                    name: set.name.clone(),
                    precondition: precondition(set),
                    annotations: BTreeMap::from([(key, Some(time::text(until)))]),
                },
            );
            until
        }
    };
    if until > seen.now {
        draft.wake(until);
        draft.reason(Reason::ScaleDownDelayed {
            replica_set: set.name.clone(),
            until,
        });
    } else if service.is_some_and(|service| seen.world.routed.contains(service)) {
        draft.reason(Reason::HeldForSafety {
            invariant: "pods of an experiment stay while the Rollout routes requests to them",
            detail: format!("{}: {} pods", set.name, set.replicas),
        });
    } else {
        scale(set, 0, draft);
    }
}

/// The event of a template whose status changes.
fn tell(
    template: &ExperimentTemplate,
    from: Option<Code>,
    to: Code,
    status: &ExperimentTemplateStatus,
    draft: &mut Draft,
) {
    let from = from.map_or("", Code::as_str);
    let mut message = format!(
        "Template '{}' transitioned from {from} -> {}",
        template.name,
        to.as_str()
    );
    if let Some(why) = &status.message {
        message = format!("{message}: {why}");
    }
    let (kind, reason) = match to {
        Code::Successful => (EventType::Normal, "TemplateSuccessful"),
        Code::Running => (EventType::Normal, "TemplateRunning"),
        Code::Progressing => (EventType::Normal, "TemplateProgressing"),
        Code::Error => (EventType::Warning, "TemplateError"),
        Code::Failed => (EventType::Warning, "TemplateFailed"),
    };
    draft.event(EventSlot::Template, kind, reason, message);
}
