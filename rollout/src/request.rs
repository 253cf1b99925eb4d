//! Effects as API requests: the same bytes in production and in the simulation.
//!
//! Pure: an [`Effect`] and the Rollout it belongs to become a [`Request`]; who sends it is not known here. Every request
//! is fenced (uid and resourceVersion in the body) and idempotent (names are derived).

use serde_json::{Value, json};
use sluice_crds::merge_patch::merge_diff;
use sluice_crds::names;
use sluice_crds::rollout::{Rollout, RolloutStatus};

use crate::plan::{Effect, NewReplicaSet, Precondition};

/// Which object a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `group/version`, or `v1`.
    pub api_version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural name in paths.
    pub plural: &'static str,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// One write request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// POST of a new object. When it exists already and is ours (same owner uid, same hash label), that is success.
    Create {
        /// The object's name.
        target: Target,
        /// The object.
        object: Value,
    },
    /// PATCH with a JSON merge patch (RFC 7386) that carries uid and resourceVersion.
    Merge {
        /// The object's name.
        target: Target,
        /// Whether it is the status subresource that is patched.
        status: bool,
        /// The patch.
        patch: Value,
    },
    /// POST of an Eviction. That a disruption budget refuses it, or that the pod is gone, is no error.
    Evict {
        /// The pod's name.
        target: Target,
        /// The uid that it must still have.
        uid: String,
    },
    /// DELETE with preconditions, in the background.
    Delete {
        /// The object's name.
        target: Target,
        /// What it must still be.
        precondition: Precondition,
    },
}

/// The request of an effect; `None` for [`Effect::SetTraffic`], whose requests the routers give.
///
/// `version` is the resourceVersion of the Rollout after the writes to it that came before in the same plan.
#[must_use]
pub fn of_effect(rollout: &Rollout, effect: &Effect, version: &str) -> Option<Request> {
    let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
    let target = |kind: Kind, name: &str| kind.target(&namespace, name);
    let own = || {
        target(
            Kind::Rollout,
            rollout.metadata.name.as_deref().unwrap_or_default(),
        )
    };
    let own_precondition = Precondition {
        uid: rollout.metadata.uid.clone().unwrap_or_default(),
        resource_version: version.to_owned(),
    };
    Some(match effect {
        Effect::SetTraffic(_) => return None,
        Effect::SetReplicas { replicas } => {
            let patch = fenced(
                &own_precondition,
                json!({ "spec": { "replicas": replicas } }),
            );
            Request::Merge {
                target: own(),
                status: false,
                patch,
            }
        }
        Effect::AnnotateRollout { annotations } => {
            let change = json!({ "metadata": { "annotations": annotations } });
            let patch = fenced(&own_precondition, change);
            Request::Merge {
                target: own(),
                status: false,
                patch,
            }
        }
        Effect::CreateReplicaSet(set) => Request::Create {
            target: target(Kind::ReplicaSet, &set.name),
            object: replica_set(rollout, &namespace, set),
        },
        Effect::ScaleReplicaSet {
            name,
            precondition,
            to,
            annotations,
            ..
        } => {
            let mut change = json!({ "spec": { "replicas": to } });
            annotate(&mut change, annotations);
            let patch = fenced(precondition, change);
            Request::Merge {
                target: target(Kind::ReplicaSet, name),
                status: false,
                patch,
            }
        }
        Effect::UpdateReplicaSet {
            name,
            precondition,
            annotations,
            adopt,
            min_ready_seconds,
            template,
        } => {
            let mut change = json!({});
            annotate(&mut change, annotations);
            if let Some(others) = adopt {
                let mut owners = others.clone();
                owners.push(owner_reference(rollout));
                set(&mut change, "metadata", "ownerReferences", json!(owners));
            }
            if let Some(seconds) = min_ready_seconds {
                set(&mut change, "spec", "minReadySeconds", json!(seconds));
            }
            if let Some(template) = template {
                set(&mut change, "spec", "template", template.clone());
            }
            let patch = fenced(precondition, change);
            Request::Merge {
                target: target(Kind::ReplicaSet, name),
                status: false,
                patch,
            }
        }
        Effect::DeleteReplicaSet { name, precondition } => Request::Delete {
            target: target(Kind::ReplicaSet, name),
            precondition: precondition.clone(),
        },
        Effect::PatchPod {
            name,
            uid,
            labels,
            annotations,
        } => Request::Merge {
            target: target(Kind::Pod, name),
            status: false,
            patch: json!({ "metadata": {
                "uid": uid, "labels": labels, "annotations": annotations
            } }),
        },
        Effect::EvictPod { name, uid } => Request::Evict {
            target: target(Kind::Pod, name),
            uid: uid.clone(),
        },
        Effect::ScaleWorkload {
            name,
            precondition,
            to,
            ..
        } => Request::Merge {
            target: target(Kind::Deployment, name),
            status: false,
            patch: fenced(precondition, json!({ "spec": { "replicas": to } })),
        },
        Effect::SelectPods {
            service,
            precondition,
            hash,
        } => {
            let name = rollout.metadata.name.as_deref().unwrap_or_default();
            let to = hash.as_deref().map(|hash| (hash, name));
            select_pods(&namespace, service, precondition, to)
        }
        Effect::CreateAnalysisRun(run) => {
            let name = run.metadata.name.clone().unwrap_or_default();
            let mut object = serde_json::to_value(run).unwrap_or_default();
            set(&mut object, "metadata", "namespace", json!(namespace));
            set(
                &mut object,
                "metadata",
                "ownerReferences",
                json!([owner_reference(rollout)]),
            );
            Request::Create {
                target: target(Kind::AnalysisRun, &name),
                object,
            }
        }
        Effect::TerminateAnalysisRun { name } => {
            let patch = json!({ "spec": { "terminate": true } });
            Request::Merge {
                target: target(Kind::AnalysisRun, name),
                status: false,
                patch,
            }
        }
        Effect::CreateExperiment(experiment) => {
            let name = experiment.metadata.name.clone().unwrap_or_default();
            let mut object = serde_json::to_value(experiment).unwrap_or_default();
            set(&mut object, "metadata", "namespace", json!(namespace));
            let owner = json!([owner_reference(rollout)]);
            set(&mut object, "metadata", "ownerReferences", owner);
            Request::Create {
                target: target(Kind::Experiment, &name),
                object,
            }
        }
        Effect::TerminateExperiment { name } => Request::Merge {
            target: target(Kind::Experiment, name),
            status: false,
            patch: json!({ "spec": { "terminate": true } }),
        },
        Effect::DeleteExperiment { name, precondition } => Request::Delete {
            target: target(Kind::Experiment, name),
            precondition: precondition.clone(),
        },
        Effect::DeleteAnalysisRun { name, precondition } => Request::Delete {
            target: target(Kind::AnalysisRun, name),
            precondition: precondition.clone(),
        },
    })
}

/// The request that points a Service at the revision with a hash and notes the name of the Rollout that manages it; with
/// `None`, at every pod, and managed by nobody.
pub(crate) fn select_pods(
    namespace: &str,
    service: &str,
    precondition: &Precondition,
    to: Option<(&str, &str)>,
) -> Request {
    let (hash, manager) = to.unzip();
    let change = json!({
        "metadata": { "annotations": { names::MANAGED_BY_ROLLOUTS: manager } },
        "spec": { "selector": { names::POD_TEMPLATE_HASH: hash } }
    });
    Request::Merge {
        target: Kind::Service.target(namespace, service),
        status: false,
        patch: fenced(precondition, change),
    }
}

/// The request that brings the status of a Rollout from `rollout.status` to `status`; `None` when they are the same.
///
/// It carries only what differs, since people and tools write orders into the same status, and the resourceVersion that
/// the decision was made on, so that an order that came in between is not overwritten.
#[must_use]
pub fn of_status(
    rollout: &Rollout,
    status: &RolloutStatus,
    resource_version: &str,
) -> Option<Request> {
    if rollout.status.as_ref() == Some(status) {
        return None;
    }
    // Compared as types, so that fields which this build does not know are left as they are.
    let none = RolloutStatus::default();
    let (old, new) = what_differs(rollout.status.as_ref().unwrap_or(&none), status);
    let difference = merge_diff(
        &serde_json::to_value(old).ok()?,
        &serde_json::to_value(new).ok()?,
    )?;
    let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let precondition = Precondition {
        uid: rollout.metadata.uid.clone().unwrap_or_default(),
        resource_version: resource_version.to_owned(),
    };
    Some(Request::Merge {
        target: Kind::Rollout.target(&namespace, name),
        status: true,
        patch: fenced(&precondition, json!({ "status": difference })),
    })
}

/// Two statuses without the fields that are equal in them, which need not become JSON to be compared.
fn what_differs(old: &RolloutStatus, new: &RolloutStatus) -> (RolloutStatus, RolloutStatus) {
    // A field that is forgotten here does not compile.
    macro_rules! differing {
        ($($field:ident),* $(,)?) => {{
            let part = |of: &RolloutStatus| RolloutStatus {
                $($field: if old.$field == new.$field { None } else { of.$field.clone() }),*
            };
            (part(old), part(new))
        }};
    }
    let (mut old, new) = differing!(
        abort,
        aborted_at,
        pause_conditions,
        controller_pause,
        current_pod_hash,
        current_step_hash,
        current_step_index,
        replicas,
        updated_replicas,
        ready_replicas,
        available_replicas,
        hpa_replicas,
        selector,
        collision_count,
        observed_generation,
        workload_observed_generation,
        conditions,
        stable_rs,
        restarted_at,
        promote_full,
        phase,
        message,
        alb,
        albs,
        canary,
        blue_green,
        duration,
    );
    if let (Some(old), Some(new)) = (&mut old.conditions, &new.conditions)
        && !new.is_empty()
    {
        // A list is replaced as a whole.
        old.clear();
    }
    (old, new)
}

/// The owner reference of everything that a Rollout makes.
#[must_use]
pub fn owner_reference(rollout: &Rollout) -> Value {
    json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
        "kind": "Rollout",
        "name": rollout.metadata.name,
        "uid": rollout.metadata.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

fn replica_set(rollout: &Rollout, namespace: &str, set: &NewReplicaSet) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": set.name,
            "namespace": namespace,
            "labels": set.labels,
            "annotations": set.annotations,
            "ownerReferences": [owner_reference(rollout)],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": set.min_ready_seconds,
            "selector": set.selector,
            "template": set.template,
        }
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Rollout,
    ReplicaSet,
    Deployment,
    Pod,
    Service,
    AnalysisRun,
    Experiment,
}

impl Kind {
    fn target(self, namespace: &str, name: &str) -> Target {
        let (api_version, kind, plural) = match self {
            Kind::Rollout => ("argoproj.io/v1alpha1", "Rollout", "rollouts"),
            Kind::ReplicaSet => ("apps/v1", "ReplicaSet", "replicasets"),
            Kind::Deployment => ("apps/v1", "Deployment", "deployments"),
            Kind::Pod => ("v1", "Pod", "pods"),
            Kind::Service => ("v1", "Service", "services"),
            Kind::AnalysisRun => ("argoproj.io/v1alpha1", "AnalysisRun", "analysisruns"),
            Kind::Experiment => ("argoproj.io/v1alpha1", "Experiment", "experiments"),
        };
        Target {
            api_version,
            kind,
            plural,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

fn fenced(precondition: &Precondition, mut change: Value) -> Value {
    set(&mut change, "metadata", "uid", json!(precondition.uid));
    set(
        &mut change,
        "metadata",
        "resourceVersion",
        json!(precondition.resource_version),
    );
    change
}

fn annotate(change: &mut Value, annotations: &std::collections::BTreeMap<String, Option<String>>) {
    if !annotations.is_empty() {
        set(change, "metadata", "annotations", json!(annotations));
    }
}

fn set(object: &mut Value, section: &str, field: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        let section = object.entry(section).or_insert_with(|| json!({}));
        if let Some(section) = section.as_object_mut() {
            section.insert(field.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_of_the_comparison_changes_no_patch() {
        let statuses: Vec<RolloutStatus> = [
            json!({}),
            json!({ "phase": "Paused", "conditions": [{ "type": "Available", "status": "True" }] }),
            json!({ "conditions": [], "canary": { "weights": { "canary": { "weight": 1 }, "stable": { "weight": 99 } } } }),
            json!({ "conditions": [{ "type": "Paused", "status": "True" }], "canary": {}, "blueGreen": {} }),
        ]
        .into_iter()
        .map(|status| serde_json::from_value(status).unwrap())
        .collect();
        for old in &statuses {
            for new in &statuses {
                let whole = merge_diff(&json!(old), &json!(new));
                let (less_old, less_new) = what_differs(old, new);
                let short = merge_diff(&json!(less_old), &json!(less_new));
                assert_eq!(whole, short, "{old:?} → {new:?}");
            }
        }
    }
}
