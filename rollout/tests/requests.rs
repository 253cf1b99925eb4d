//! Effects as the requests that production and the simulation send.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says no more than where it failed"
)]

use serde_json::{Value, json};
use sluice_crds::decode::decode;
use sluice_crds::rollout::{Rollout, RolloutStatus};
use sluice_crds::split::Split;
use sluice_rollout::plan::{NewReplicaSet, Precondition};
use sluice_rollout::request::{Request, Target, of_effect, of_status};
use sluice_rollout::{Effect, ReplicaSet};

const HASH: &str = "rollouts-pod-template-hash";

fn rollout() -> Rollout {
    decode(&json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-web", "resourceVersion": "10"},
        "spec": {"replicas": 3, "strategy": {"canary": {}}},
        "status": {"phase": "Paused", "abort": true, "replicas": 3, "canary": {"weights": {
            "canary": {"weight": 10}, "stable": {"weight": 90}, "verified": true,
        }}},
    }))
    .unwrap()
}

fn seen(version: &str) -> Precondition {
    Precondition {
        uid: "u-1".to_owned(),
        resource_version: version.to_owned(),
    }
}

/// The request of an effect, when the Rollout is at version 11 by our own writes.
fn request(effect: Effect) -> Request {
    of_effect(&rollout(), &effect, "11").unwrap()
}

/// Plural name and name of the object that is patched, and the patch.
fn patch(effect: Effect) -> (&'static str, String, Value) {
    match request(effect) {
        Request::Merge {
            target,
            status: false,
            patch,
        } => {
            assert_eq!(target.namespace, "shop");
            (target.plural, target.name, patch)
        }
        other => panic!("{other:?}"),
    }
}

fn created(effect: Effect) -> (Target, Value) {
    match request(effect) {
        Request::Create { target, object } => (target, object),
        other => panic!("{other:?}"),
    }
}

fn owner() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "u-web",
        "controller": true, "blockOwnerDeletion": true,
    })
}

#[test]
fn writes_to_the_rollout_carry_the_version_after_our_own_last_one() {
    let fence = |mut change: Value| {
        change["metadata"]["uid"] = json!("u-web");
        change["metadata"]["resourceVersion"] = json!("11");
        ("rollouts", "web".to_owned(), change)
    };
    assert_eq!(
        patch(Effect::SetReplicas { replicas: 1 }),
        fence(json!({"spec": {"replicas": 1}}))
    );
    let annotations = [
        ("a".to_owned(), Some("b".to_owned())),
        ("gone".to_owned(), None),
    ]
    .into();
    assert_eq!(
        patch(Effect::AnnotateRollout { annotations }),
        fence(json!({"metadata": {"annotations": {"a": "b", "gone": null}}}))
    );
}

#[test]
fn a_new_replica_set_has_no_pods_yet_and_belongs_to_the_rollout() {
    let set = NewReplicaSet {
        name: "web-abc".to_owned(),
        hash: "abc".to_owned(),
        labels: [(HASH.to_owned(), "abc".to_owned())].into(),
        annotations: [("rollout.argoproj.io/revision".to_owned(), "2".to_owned())].into(),
        min_ready_seconds: 5,
        selector: serde_json::from_value(json!({"matchLabels": {HASH: "abc"}})).unwrap(),
        template: serde_json::from_value(json!({"spec": {"containers": []}})).unwrap(),
    };
    let (target, object) = created(Effect::CreateReplicaSet(Box::new(set)));
    assert_eq!(
        (target.api_version, target.plural),
        ("apps/v1", "replicasets")
    );
    assert_eq!(
        object,
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": "web-abc", "namespace": "shop", "labels": {HASH: "abc"},
                "annotations": {"rollout.argoproj.io/revision": "2"}, "ownerReferences": [owner()],
            },
            "spec": {
                "replicas": 0, "minReadySeconds": 5, "selector": {"matchLabels": {HASH: "abc"}},
                "template": {"spec": {"containers": []}},
            },
        })
    );
}

#[test]
fn a_replica_set_is_changed_only_as_it_was_seen() {
    let fence = json!({"uid": "u-1", "resourceVersion": "7"});
    let scale = |annotations| Effect::ScaleReplicaSet {
        name: "web-abc".to_owned(),
        precondition: seen("7"),
        from: 1,
        to: 2,
        annotations,
    };
    assert_eq!(
        patch(scale([].into())),
        (
            "replicasets",
            "web-abc".to_owned(),
            json!({"metadata": fence, "spec": {"replicas": 2}})
        )
    );
    let deadline = [("scale-down-deadline".to_owned(), None)].into();
    assert_eq!(
        patch(scale(deadline)).2["metadata"]["annotations"],
        json!({"scale-down-deadline": null})
    );
    let delete = Effect::DeleteReplicaSet {
        name: "web-abc".to_owned(),
        precondition: seen("7"),
    };
    let Request::Delete {
        target,
        precondition,
    } = request(delete)
    else {
        panic!("a deletion")
    };
    assert_eq!((target.kind, precondition), ("ReplicaSet", seen("7")));
}

#[test]
fn a_replica_set_that_is_taken_over_keeps_its_other_owners() {
    let watcher = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "watcher", "uid": "u-2"});
    let object = json!({
        "metadata": {"name": "web-abc", "uid": "u-1", "resourceVersion": "7", "ownerReferences": [watcher]},
        "spec": {"template": {}},
    });
    let set = ReplicaSet::from_object(&object).unwrap();
    assert_eq!(
        (&set.owner, &set.other_owners),
        (&None, &vec![watcher.clone()])
    );
    let update = Effect::UpdateReplicaSet {
        name: set.name,
        precondition: seen("7"),
        annotations: [].into(),
        adopt: Some(set.other_owners),
        min_ready_seconds: Some(3),
        template: Some(json!({"metadata": {"labels": {"role": "canary"}}})),
    };
    let (_, _, patch) = patch(update);
    assert_eq!(
        patch["metadata"]["ownerReferences"],
        json!([watcher, owner()])
    );
    assert_eq!(
        patch["spec"],
        json!({"minReadySeconds": 3, "template": {"metadata": {"labels": {"role": "canary"}}}})
    );
}

#[test]
fn pods_are_patched_and_evicted_whatever_their_version_is() {
    let change = Effect::PatchPod {
        name: "web-abc-1".to_owned(),
        uid: "u-pod".to_owned(),
        labels: [("role".to_owned(), Some("stable".to_owned()))].into(),
        annotations: [("old".to_owned(), None)].into(),
    };
    assert_eq!(
        patch(change),
        (
            "pods",
            "web-abc-1".to_owned(),
            json!({"metadata": {
                "uid": "u-pod", "labels": {"role": "stable"}, "annotations": {"old": null},
            }})
        )
    );
    let evict = Effect::EvictPod {
        name: "web-abc-1".to_owned(),
        uid: "u-pod".to_owned(),
    };
    let Request::Evict { target, uid } = request(evict) else {
        panic!("an eviction")
    };
    assert_eq!(
        (target.plural, target.name.as_str(), uid.as_str()),
        ("pods", "web-abc-1", "u-pod")
    );
}

#[test]
fn a_service_says_who_manages_it_for_as_long_as_it_selects_a_revision() {
    let select = |hash: Option<&str>| Effect::SelectPods {
        service: "web".to_owned(),
        precondition: seen("8"),
        hash: hash.map(str::to_owned),
    };
    let manager = "argo-rollouts.argoproj.io/managed-by-rollouts";
    let (plural, _, patched) = patch(select(Some("abc")));
    assert_eq!(plural, "services");
    assert_eq!(patched["metadata"]["annotations"], json!({manager: "web"}));
    assert_eq!(patched["metadata"]["resourceVersion"], "8");
    assert_eq!(patched["spec"]["selector"], json!({HASH: "abc"}));
    let (_, _, patched) = patch(select(None));
    assert_eq!(patched["metadata"]["annotations"], json!({manager: null}));
    assert_eq!(patched["spec"]["selector"], json!({HASH: null}));
}

#[test]
fn a_workload_is_scaled_only_as_it_was_seen() {
    let scale = Effect::ScaleWorkload {
        name: "legacy".to_owned(),
        precondition: seen("9"),
        from: 3,
        to: 2,
    };
    let expected =
        json!({"metadata": {"uid": "u-1", "resourceVersion": "9"}, "spec": {"replicas": 2}});
    assert_eq!(patch(scale), ("deployments", "legacy".to_owned(), expected));
}

#[test]
fn runs_and_experiments_belong_to_the_rollout_and_are_stopped_whatever_their_version_is() {
    let run = decode(&json!({"metadata": {"name": "web-abc-2"}, "spec": {"metrics": []}})).unwrap();
    let (target, object) = created(Effect::CreateAnalysisRun(Box::new(run)));
    assert_eq!(
        (target.plural, target.name.as_str()),
        ("analysisruns", "web-abc-2")
    );
    assert_eq!(object["kind"], "AnalysisRun");
    assert_eq!(object["apiVersion"], "argoproj.io/v1alpha1");
    assert_eq!(object["metadata"]["namespace"], "shop");
    assert_eq!(object["metadata"]["ownerReferences"], json!([owner()]));

    let experiment =
        decode(&json!({"metadata": {"name": "web-abc-2-0"}, "spec": {"templates": []}})).unwrap();
    let (target, object) = created(Effect::CreateExperiment(Box::new(experiment)));
    assert_eq!(target.plural, "experiments");
    assert_eq!(
        (&object["kind"], &object["metadata"]["ownerReferences"]),
        (&json!("Experiment"), &json!([owner()]))
    );

    let stop = json!({"spec": {"terminate": true}});
    let name = "web-abc-2".to_owned();
    assert_eq!(
        patch(Effect::TerminateAnalysisRun { name: name.clone() }),
        ("analysisruns", name.clone(), stop.clone())
    );
    assert_eq!(
        patch(Effect::TerminateExperiment { name: name.clone() }),
        ("experiments", name.clone(), stop)
    );
    for (effect, kind) in [
        (
            Effect::DeleteAnalysisRun {
                name: name.clone(),
                precondition: seen("1"),
            },
            "AnalysisRun",
        ),
        (
            Effect::DeleteExperiment {
                name,
                precondition: seen("1"),
            },
            "Experiment",
        ),
    ] {
        let Request::Delete { target, .. } = request(effect) else {
            panic!("a deletion")
        };
        assert_eq!(target.kind, kind);
    }
}

#[test]
fn the_requests_of_a_split_are_the_routers_own() {
    let split = Split {
        max: 100,
        canary: 5,
        canary_service: "canary".to_owned(),
        stable_service: "stable".to_owned(),
        canary_hash: None,
        stable_hash: None,
        additional: Vec::new(),
        routes: Vec::new(),
    };
    assert_eq!(
        of_effect(&rollout(), &Effect::SetTraffic(split), "11"),
        None
    );
}

#[test]
fn a_status_patch_says_what_differs_and_removes_what_is_gone() {
    let rollout = rollout();
    let mut status: RolloutStatus = rollout.status.clone().unwrap();
    assert_eq!(of_status(&rollout, &status, "11"), None, "nothing differs");
    status.phase = Some("Healthy".to_owned());
    status.abort = None;
    status
        .canary
        .as_mut()
        .unwrap()
        .weights
        .as_mut()
        .unwrap()
        .verified = None;
    assert_eq!(
        of_status(&rollout, &status, "11"),
        Some(Request::Merge {
            target: Target {
                api_version: "argoproj.io/v1alpha1",
                kind: "Rollout",
                plural: "rollouts",
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
            },
            status: true,
            patch: json!({
                "metadata": {"uid": "u-web", "resourceVersion": "11"},
                "status": {"phase": "Healthy", "abort": null, "canary": {"weights": {"verified": null}}},
            }),
        })
    );
}

#[test]
fn every_large_part_of_a_status_that_differs_is_patched_and_what_is_equal_is_not() {
    let status = |value: Value| -> RolloutStatus { serde_json::from_value(value).unwrap() };
    let condition =
        |reason: &str| json!([{"type": "Progressing", "status": "True", "reason": reason}]);
    for (field, old, new, expected) in [
        ("conditions", condition("a"), condition("b"), None),
        ("conditions", condition("a"), Value::Null, Some(Value::Null)),
        (
            "canary",
            json!({"currentExperiment": "a"}),
            json!({"currentExperiment": "b"}),
            None,
        ),
        (
            "blueGreen",
            json!({"activeSelector": "a"}),
            json!({"activeSelector": "b"}),
            None,
        ),
        (
            "duration",
            json!({"completionStatus": "Aborted"}),
            json!({"completionStatus": "Promoted"}),
            None,
        ),
    ] {
        let mut rollout = rollout();
        rollout.status = Some(status(json!({"phase": "Paused", (field): old})));
        let now = status(json!({"phase": "Paused", (field): new}));
        let Some(Request::Merge { patch, .. }) = of_status(&rollout, &now, "11") else {
            panic!("{field} differs")
        };
        let sent = serde_json::to_value(&now).unwrap();
        let expected = expected.unwrap_or_else(|| sent[field].clone());
        assert_eq!(patch["status"], json!({(field): expected}));
    }
}
