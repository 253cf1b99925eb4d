//! Objects of the API, reduced to what decisions depend on.

#![expect(
    clippy::unwrap_used,
    reason = "a test says no more than where it failed"
)]

use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_crds::decode::decode;
use sluice_crds::rollout::Rollout;
use sluice_rollout::experiment::OwnedService;
use sluice_rollout::world::needs_pods;
use sluice_rollout::{Pod, ReplicaSet, Service};

fn replica_set() -> Value {
    json!({
        "metadata": {
            "name": "web-abc", "uid": "u-1", "resourceVersion": "7",
            "creationTimestamp": "2026-11-21T12:00:00Z", "deletionTimestamp": "2026-11-21T13:00:00Z",
            "labels": { "app": "web", "rollouts-pod-template-hash": "abc" },
            "annotations": { "rollout.argoproj.io/revision": "3" },
            "ownerReferences": [
                { "apiVersion": "v1", "kind": "Tenant", "name": "t", "uid": "u-t", "controller": false },
                { "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "u-web",
                  "controller": true }
            ]
        },
        "spec": {
            "replicas": 4, "minReadySeconds": 5,
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "unknown": [1] } }
        },
        "status": { "replicas": 3, "readyReplicas": 2, "availableReplicas": 1, "conditions": [
            { "type": "Other", "status": "True", "message": "no" },
            { "type": "ReplicaFailure", "status": "True", "message": "exceeded quota" }
        ] }
    })
}

#[test]
fn a_replica_set_is_read_whole() {
    let object = replica_set();
    let set = ReplicaSet::from_object(&object).unwrap();
    assert_eq!(
        (
            set.name.as_str(),
            set.uid.as_str(),
            set.resource_version.as_str()
        ),
        ("web-abc", "u-1", "7")
    );
    let created: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    assert_eq!((set.created, set.deleting), (created, true));
    assert_eq!((set.hash(), set.revision()), (Some("abc"), 3));
    assert_eq!(set.labels["app"], "web");
    assert_eq!(set.owner.as_deref(), Some("u-web"));
    assert_eq!(
        json!(set.other_owners),
        json!([object["metadata"]["ownerReferences"][0]])
    );
    assert_eq!((set.replicas, set.min_ready_seconds), (4, 5));
    assert_eq!((set.current, set.ready, set.available), (3, 2, 1));
    assert_eq!(json!(set.template), object["spec"]["template"]);
    assert_eq!(set.failure.as_deref(), Some("exceeded quota"));
}

#[test]
fn what_a_replica_set_does_not_say_has_the_default_of_kubernetes() {
    let set = ReplicaSet::from_object(&json!({ "metadata": { "name": "web" } })).unwrap();
    assert_eq!((set.created, set.deleting), (Timestamp::UNIX_EPOCH, false));
    assert_eq!(
        (set.hash(), set.revision(), set.owner.clone()),
        (None, 0, None)
    );
    assert_eq!((set.replicas, set.min_ready_seconds), (1, 0));
    assert_eq!((set.current, set.ready, set.available), (0, 0, 0));
    assert_eq!(set.failure, None);
}

#[test]
fn only_a_failure_that_lasts_counts() {
    for (kind, status, told) in [
        ("ReplicaFailure", "True", Some("why")),
        ("ReplicaFailure", "False", None),
        ("Other", "True", None),
    ] {
        let mut object = replica_set();
        object["status"]["conditions"] =
            json!([{ "type": kind, "status": status, "message": "why" }]);
        let set = ReplicaSet::from_object(&object).unwrap();
        assert_eq!(set.failure.as_deref(), told, "{kind} {status}");
    }
}

#[test]
fn an_object_of_a_wrong_type_is_refused_by_field() {
    for (pointer, field) in [
        ("/spec/replicas", "spec.replicas"),
        ("/spec/minReadySeconds", "spec.minReadySeconds"),
        ("/status/replicas", "status.replicas"),
        ("/status/readyReplicas", "status.readyReplicas"),
        ("/status/availableReplicas", "status.availableReplicas"),
        ("/metadata/labels", "metadata.labels"),
    ] {
        let mut object = replica_set();
        *object.pointer_mut(pointer).unwrap() = json!("x");
        let error = ReplicaSet::from_object(&object).unwrap_err();
        assert!(error.field.starts_with(field), "{error}");
    }
    let error = Pod::from_object(&json!({ "metadata": { "uid": 1 } })).unwrap_err();
    assert_eq!(error.field, "metadata.uid");
}

#[test]
fn a_pod_belongs_to_its_controller() {
    let mut object = json!({ "metadata": replica_set()["metadata"] });
    let pod = Pod::from_object(&object).unwrap();
    assert_eq!((pod.name.as_str(), pod.uid.as_str()), ("web-abc", "u-1"));
    assert_eq!(pod.owner.as_deref(), Some("u-web"));
    let created: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    assert_eq!((pod.created, pod.deleting), (created, true));
    assert_eq!(pod.labels["app"], "web");
    assert_eq!(pod.annotations.len(), 1);
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata["ownerReferences"][1]["controller"] = json!(false);
    metadata.remove("deletionTimestamp");
    let pod = Pod::from_object(&object).unwrap();
    assert_eq!((pod.owner, pod.deleting), (None, false));
}

#[test]
fn a_service_is_its_selector_and_its_annotations() {
    let mut object = json!({
        "metadata": {
            "name": "web", "uid": "u-1", "resourceVersion": "7",
            "annotations": { "experiment.argoproj.io/template-name": "old" }
        },
        "spec": { "selector": { "app": "web", "rollouts-pod-template-hash": "abc" } }
    });
    let service = Service::from_object(&object);
    assert_eq!(
        (
            service.name.as_str(),
            service.uid.as_str(),
            service.resource_version.as_str()
        ),
        ("web", "u-1", "7")
    );
    assert_eq!(
        (service.hash(), service.annotations.len()),
        (Some("abc"), 1)
    );
    for (time, deleting) in [(Value::Null, false), (json!("2026-11-21T13:00:00Z"), true)] {
        object["metadata"]["deletionTimestamp"] = time;
        let owned = OwnedService::from_object(&object);
        assert_eq!((owned.template(), owned.deleting), (Some("old"), deleting));
        assert_eq!((owned.name.as_str(), owned.uid.as_str()), ("web", "u-1"));
    }
}

/// Whether a Rollout with this spec beside its replicas, and this status, needs its pods.
fn needs(spec: Value, status: Value, sets: &[ReplicaSet]) -> bool {
    let rollout: Rollout = decode(&json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": { "name": "web" }, "spec": spec, "status": status
    }))
    .unwrap();
    needs_pods(&rollout, sets)
}

#[test]
fn pods_are_looked_at_for_metadata_of_roles_and_for_a_restart_that_is_not_done() {
    let at = "2026-11-21T12:00:00Z";
    let roles = json!({ "labels": { "role": "x" } });
    let canary = json!({ "strategy": { "canary": {} } });
    for (spec, status, needed) in [
        (canary.clone(), json!({}), false),
        (json!({ "strategy": { "blueGreen": {} } }), json!({}), false),
        (
            json!({ "strategy": { "canary": { "canaryMetadata": roles } } }),
            json!({}),
            true,
        ),
        (
            json!({ "strategy": { "canary": { "stableMetadata": roles } } }),
            json!({}),
            true,
        ),
        (
            json!({ "strategy": { "blueGreen": { "activeMetadata": roles } } }),
            json!({}),
            true,
        ),
        (
            json!({ "strategy": { "blueGreen": { "previewMetadata": roles } } }),
            json!({}),
            true,
        ),
        (
            json!({ "strategy": { "canary": {} }, "restartAt": at }),
            json!({}),
            true,
        ),
        (
            json!({ "strategy": { "canary": {} }, "restartAt": at }),
            json!({ "restartedAt": "2026-11-20T12:00:00Z" }),
            true,
        ),
        (
            json!({ "strategy": { "canary": {} }, "restartAt": at }),
            json!({ "restartedAt": at }),
            false,
        ),
        (canary.clone(), json!({ "restartedAt": at }), false),
    ] {
        assert_eq!(needs(spec.clone(), status, &[]), needed, "{spec}");
    }
    // Metadata that left the spec is still to be taken out of the pods.
    let mut object = replica_set();
    let plain = ReplicaSet::from_object(&object).unwrap();
    object["metadata"]["annotations"]["rollout.argoproj.io/ephemeral-metadata"] = json!("{}");
    let injected = ReplicaSet::from_object(&object).unwrap();
    assert!(!needs(
        canary.clone(),
        json!({}),
        std::slice::from_ref(&plain)
    ));
    assert!(needs(canary, json!({}), &[plain, injected]));
}
