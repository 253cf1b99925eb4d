//! A blue-green through the real client, and what else a Rollout drives beside ReplicaSets, Services and routes: metadata
//! of live pods, and the Deployment that its template comes from.

use serde_json::{Value, json};
use sluice_runtime::kind::{DEPLOYMENT, POD, REPLICA_SET, ROLLOUT, SERVICE};

use crate::harness::{Harness, release, rollout, server, status};
use crate::support::FakeApi;

const HASH: &str = "rollouts-pod-template-hash";

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "a"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    })
}

fn selected(server: &FakeApi, name: &str) -> Value {
    server.get(&SERVICE, "a", name).unwrap()["spec"]["selector"][HASH].clone()
}

fn blue_green(fields: &Value) -> Value {
    let mut object = rollout("v1", json!({}));
    let mut strategy = json!({"activeService": "active", "previewService": "preview"});
    for (key, value) in fields.as_object().unwrap() {
        strategy[key] = value.clone();
    }
    object["spec"]["strategy"] = json!({"blueGreen": strategy});
    object
}

async fn healthy(fields: Value) -> Harness {
    let server = server();
    for name in ["active", "preview"] {
        server.put(&SERVICE, service(name));
    }
    server.put(&ROLLOUT, blue_green(&fields));
    let harness = Harness::start(server);
    harness
        .until_with_pods("v1 is healthy", |server| {
            status(server, "phase") == "Healthy"
        })
        .await;
    harness
}

#[tokio::test(start_paused = true)]
async fn a_release_waits_in_the_preview_is_switched_to_and_can_be_left_for_another_strategy() {
    let harness = healthy(json!({"autoPromotionEnabled": false})).await;
    let first = selected(&harness.server, "active");
    assert_eq!(first, status(&harness.server, "stableRS"));
    release(&harness.server, "v2");
    harness
        .until_with_pods("it waits for a person", |server| {
            status(server, "pauseConditions")[0]["reason"] == "BlueGreenPause"
        })
        .await;
    assert_eq!(selected(&harness.server, "active"), first);
    assert_ne!(selected(&harness.server, "preview"), first);
    harness.server.edit(&ROLLOUT, "a", "web", |rollout| {
        rollout["status"]["pauseConditions"] = Value::Null;
    });
    harness
        .until_with_pods("switched", |server| {
            selected(server, "active") != first && status(server, "phase") == "Healthy"
        })
        .await;
    harness.server.edit(&ROLLOUT, "a", "web", |rollout| {
        rollout["spec"]["strategy"] = json!({"canary": {}});
    });
    harness
        .until_with_pods("the Services are nobody's", |server| {
            ["active", "preview"].iter().all(|name| {
                let service = server.get(&SERVICE, "a", name).unwrap();
                let annotations = &service["metadata"]["annotations"];
                selected(server, name).is_null()
                    && annotations["argo-rollouts.argoproj.io/managed-by-rollouts"].is_null()
            })
        })
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn live_pods_get_the_metadata_of_their_role() {
    let metadata = json!({"labels": {"role": "active"}, "annotations": {"seen": "yes"}});
    let harness = healthy(json!({"activeMetadata": metadata})).await;
    let set = harness.server.all(&REPLICA_SET).remove(0);
    assert_eq!(
        set["spec"]["template"]["metadata"]["labels"]["role"],
        "active"
    );
    // One from before the metadata was asked for.
    harness.server.put(
        &POD,
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "old", "namespace": "a",
                "labels": {"app": "web", HASH: set["metadata"]["labels"][HASH]},
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": true,
                    "name": set["metadata"]["name"], "uid": set["metadata"]["uid"]
                }]
            }
        }),
    );
    harness.server.edit(&ROLLOUT, "a", "web", |rollout| {
        rollout["metadata"]["labels"] = json!({"touched": "yes"});
    });
    harness
        .until_with_pods("the pod has it", |server| {
            let pod = server.get(&POD, "a", "old").unwrap();
            pod["metadata"]["labels"]["role"] == "active"
                && pod["metadata"]["annotations"]["seen"] == "yes"
        })
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_deployment_that_the_template_comes_from_makes_room() {
    let server = server();
    server.put(&SERVICE, service("active"));
    let template = rollout("v1", json!({}))["spec"]["template"].clone();
    server.put(
        &DEPLOYMENT,
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "old", "namespace": "a", "generation": 1},
            "spec": {
                "replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template
            }
        }),
    );
    let mut object = blue_green(&json!({}));
    let spec = object["spec"].as_object_mut().unwrap();
    spec.remove("template");
    spec.remove("selector");
    spec.insert(
        "strategy".to_owned(),
        json!({"blueGreen": {"activeService": "active"}}),
    );
    spec.insert(
        "workloadRef".to_owned(),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "old", "scaleDown": "onsuccess"}),
    );
    server.put(&ROLLOUT, object);
    let harness = Harness::start(server);
    harness
        .until_with_pods("the Deployment is empty", |server| {
            let deployment = server.get(&DEPLOYMENT, "a", "old").unwrap();
            let generation = deployment["metadata"]["generation"].to_string();
            deployment["spec"]["replicas"] == 0
                && status(server, "phase") == "Healthy"
                && status(server, "workloadObservedGeneration") == generation
        })
        .await;
    harness.end().await;
}
