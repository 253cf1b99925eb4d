//! Effects of an Experiment as API requests: the same bytes in production and in the simulation.

use serde_json::{Value, json};
use sluice_crds::experiment::Experiment;
use sluice_crds::names;

use super::plan::{Effect, NewService};
use crate::plan::{NewReplicaSet, Precondition};
use crate::request::{Request, Target};

/// The request of an effect.
#[must_use]
pub fn of_effect(experiment: &Experiment, effect: &Effect) -> Request {
    let namespace = experiment.metadata.namespace.clone().unwrap_or_default();
    let target = |kind: &str, name: &str| target(kind, &namespace, name);
    let merge = |target: Target, precondition: &Precondition, mut patch: Value| {
        patch["metadata"]["uid"] = json!(precondition.uid);
        patch["metadata"]["resourceVersion"] = json!(precondition.resource_version);
        Request::Merge {
            target,
            status: false,
            patch,
        }
    };
    match effect {
        Effect::CreateReplicaSet(set) => Request::Create {
            target: target("ReplicaSet", &set.name),
            object: replica_set(experiment, &namespace, set),
        },
        Effect::ScaleReplicaSet {
            name,
            precondition,
            to,
            ..
        } => {
            let patch = json!({ "metadata": {}, "spec": { "replicas": to } });
            merge(target("ReplicaSet", name), precondition, patch)
        }
        Effect::AnnotateReplicaSet {
            name,
            precondition,
            annotations,
        } => {
            let patch = json!({ "metadata": { "annotations": annotations } });
            merge(target("ReplicaSet", name), precondition, patch)
        }
        Effect::CreateService(service) => Request::Create {
            target: target("Service", &service.name),
            object: self::service(experiment, &namespace, service),
        },
        Effect::DeleteService { name, precondition } => Request::Delete {
            target: target("Service", name),
            precondition: precondition.clone(),
        },
        Effect::CreateAnalysisRun(run) => {
            let mut object = json!(run);
            object["apiVersion"] = json!("argoproj.io/v1alpha1");
            object["kind"] = json!("AnalysisRun");
            object["metadata"]["namespace"] = json!(namespace);
            object["metadata"]["ownerReferences"] = json!([owner_reference(experiment)]);
            let name = run.metadata.name.as_deref().unwrap_or_default();
            Request::Create {
                target: target("AnalysisRun", name),
                object,
            }
        }
        Effect::TerminateAnalysisRun { name } => Request::Merge {
            target: target("AnalysisRun", name),
            status: false,
            patch: json!({ "spec": { "terminate": true } }),
        },
    }
}

/// The owner reference of everything that an Experiment makes.
#[must_use]
pub fn owner_reference(experiment: &Experiment) -> Value {
    json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
        "kind": "Experiment",
        "name": experiment.metadata.name,
        "uid": experiment.metadata.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

fn target(kind: &str, namespace: &str, name: &str) -> Target {
    let (api_version, kind, plural) = match kind {
        "ReplicaSet" => ("apps/v1", "ReplicaSet", "replicasets"),
        "Service" => ("v1", "Service", "services"),
        _ => ("argoproj.io/v1alpha1", "AnalysisRun", "analysisruns"),
    };
    Target {
        api_version,
        kind,
        plural,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn replica_set(experiment: &Experiment, namespace: &str, set: &NewReplicaSet) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": set.name,
            "namespace": namespace,
            "labels": set.labels,
            "annotations": set.annotations,
            "ownerReferences": [owner_reference(experiment)],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": set.min_ready_seconds,
            "selector": set.selector,
            "template": set.template,
        }
    })
}

fn service(experiment: &Experiment, namespace: &str, service: &NewService) -> Value {
    let ports: Vec<Value> = service
        .ports
        .iter()
        .map(|port| {
            let mut value = json!({
                "port": port.port, "targetPort": port.port, "protocol": port.protocol
            });
            if let Some(name) = &port.name {
                value["name"] = json!(name);
            }
            value
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service.name,
            "namespace": namespace,
            "annotations": service.annotations,
            "ownerReferences": [owner_reference(experiment)],
        },
        "spec": { "selector": service.selector, "ports": ports }
    })
}
