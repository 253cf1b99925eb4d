//! Effects as the requests that production and the simulation send.

use serde_json::{Value, json};
use sluice_rollout::experiment::{Effect, NewService, ServicePort, request};
use sluice_rollout::plan::{NewReplicaSet, Precondition};
use sluice_rollout::request::Request;

use crate::fixtures::{Cluster, spec};

fn request(effect: &Effect) -> Request {
    request::of_effect(&Cluster::new(spec(json!({}))).experiment, effect)
}

/// API version, kind, plural name and object of what is created.
fn created(effect: &Effect) -> (&'static str, &'static str, &'static str, Value) {
    match request(effect) {
        Request::Create { target, object } => {
            assert_eq!(object["metadata"]["name"], target.name.as_str());
            assert_eq!(target.namespace, "shop");
            (target.api_version, target.kind, target.plural, object)
        }
        other => panic!("{other:?}"),
    }
}

fn owners() -> Value {
    json!([{
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "name": "exp", "uid": "experiment-uid",
        "controller": true, "blockOwnerDeletion": true,
    }])
}

fn seen() -> Precondition {
    Precondition {
        uid: "u-1".to_owned(),
        resource_version: "7".to_owned(),
    }
}

#[test]
fn what_is_made_belongs_to_the_experiment() {
    let labels = [("app".to_owned(), "new".to_owned())];
    let annotations = [("experiment.argoproj.io/name".to_owned(), "exp".to_owned())];
    let selector = json!({ "matchLabels": { "app": "new" } });
    let template = json!({ "metadata": { "labels": { "app": "new" } } });
    let (version, kind, plural, object) =
        created(&Effect::CreateReplicaSet(Box::new(NewReplicaSet {
            name: "exp-new".to_owned(),
            labels: labels.clone().into(),
            annotations: annotations.clone().into(),
            selector: serde_json::from_value(selector.clone()).unwrap(),
            template: serde_json::from_value(template.clone()).unwrap(),
            min_ready_seconds: 3,
            hash: "abc".to_owned(),
        })));
    assert_eq!(
        (version, kind, plural),
        ("apps/v1", "ReplicaSet", "replicasets")
    );
    assert_eq!(
        object,
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": "exp-new", "namespace": "shop", "labels": { "app": "new" },
                "annotations": { "experiment.argoproj.io/name": "exp" }, "ownerReferences": owners()
            },
            "spec": { "replicas": 0, "minReadySeconds": 3, "selector": selector, "template": template }
        })
    );
    let port = |port: i32, name: Option<&str>| ServicePort {
        port,
        protocol: "TCP".to_owned(),
        name: name.map(str::to_owned),
    };
    let (version, kind, plural, object) = created(&Effect::CreateService(NewService {
        name: "exp-new".to_owned(),
        annotations: annotations.into(),
        selector: labels.into(),
        ports: vec![port(80, Some("http")), port(81, None)],
    }));
    assert_eq!((version, kind, plural), ("v1", "Service", "services"));
    assert_eq!(
        object,
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "exp-new", "namespace": "shop",
                "annotations": { "experiment.argoproj.io/name": "exp" }, "ownerReferences": owners()
            },
            "spec": { "selector": { "app": "new" }, "ports": [
                { "port": 80, "targetPort": 80, "protocol": "TCP", "name": "http" },
                { "port": 81, "targetPort": 81, "protocol": "TCP" }
            ] }
        })
    );
    let run = json!({ "metadata": { "name": "exp-errors" }, "spec": { "metrics": [] } });
    let run = serde_json::from_value(run).unwrap();
    let (version, kind, plural, object) = created(&Effect::CreateAnalysisRun(Box::new(run)));
    assert_eq!(
        (version, kind, plural),
        ("argoproj.io/v1alpha1", "AnalysisRun", "analysisruns")
    );
    assert_eq!(object["apiVersion"], version);
    assert_eq!(object["kind"], kind);
    assert_eq!(object["metadata"]["namespace"], "shop");
    assert_eq!(object["metadata"]["ownerReferences"], owners());
}

#[test]
fn what_is_there_is_changed_only_as_it_was_seen_and_runs_are_stopped_whatever_their_version_is() {
    let name = || "exp-new".to_owned();
    let fence = json!({ "uid": "u-1", "resourceVersion": "7" });
    let mut annotated = fence.clone();
    annotated["annotations"] = json!({ "a": "b", "c": null });
    for (effect, plural, expected) in [
        (
            Effect::ScaleReplicaSet {
                name: name(),
                precondition: seen(),
                from: 1,
                to: 0,
            },
            "replicasets",
            json!({ "metadata": fence, "spec": { "replicas": 0 } }),
        ),
        (
            Effect::AnnotateReplicaSet {
                name: name(),
                precondition: seen(),
                annotations: [
                    ("a".to_owned(), Some("b".to_owned())),
                    ("c".to_owned(), None),
                ]
                .into(),
            },
            "replicasets",
            json!({ "metadata": annotated }),
        ),
        (
            Effect::TerminateAnalysisRun { name: name() },
            "analysisruns",
            json!({ "spec": { "terminate": true } }),
        ),
    ] {
        let Request::Merge {
            target,
            status: false,
            patch,
        } = request(&effect)
        else {
            panic!("{effect:?}")
        };
        assert_eq!(
            (target.plural, target.name.as_str(), patch),
            (plural, "exp-new", expected)
        );
    }
    let deletion = Effect::DeleteService {
        name: name(),
        precondition: seen(),
    };
    let Request::Delete {
        target,
        precondition,
    } = request(&deletion)
    else {
        panic!("{deletion:?}")
    };
    assert_eq!(
        (target.kind, target.name.as_str(), precondition),
        ("Service", "exp-new", seen())
    );
}
