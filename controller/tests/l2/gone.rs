//! Services of a Rollout that is gone: let go when its pods are, by whoever may be sure of it, and not before.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_runtime::kind::{EVENT, REPLICA_SET, ROLLOUT, SERVICE};
use tokio::time::sleep;

use crate::harness::{Harness, deployed, put_surroundings, rollout, server, status, weight};
use crate::support::FakeApi;

const HASH: &str = "rollouts-pod-template-hash";
const MANAGER: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";
const SERVICES: [&str; 2] = ["web-stable", "web-canary"];

fn steps() -> Value {
    json!({"steps": [{"setWeight": 25}, {"pause": {}}]})
}

/// The Services that still select one revision, or say that somebody manages them.
fn held(server: &FakeApi) -> Vec<&'static str> {
    let is_held = |name: &&str| {
        let service = server.get(&SERVICE, "a", name).unwrap();
        let hash = service["spec"]["selector"].get(HASH).is_some();
        let manager = service["metadata"]["annotations"].get(MANAGER).is_some();
        assert_eq!(hash, manager, "{service}");
        hash
    };
    SERVICES.into_iter().filter(is_held).collect()
}

/// What the garbage collector does.
fn delete_sets(server: &FakeApi) {
    for set in server.all(&REPLICA_SET) {
        server.delete(&REPLICA_SET, "a", set["metadata"]["name"].as_str().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_rollout_lets_its_services_go_with_its_last_pods() {
    let harness = deployed(steps()).await;
    let server = &harness.server;
    // Deleted in the foreground: it goes after its pods.
    server.edit(&ROLLOUT, "a", "web", |rollout| {
        rollout["metadata"]["deletionTimestamp"] = json!("2026-01-01T01:00:00Z");
    });
    sleep(Duration::from_secs(5)).await;
    assert_eq!(held(server), SERVICES);
    // In the background: its pods go after it.
    server.delete(&ROLLOUT, "a", "web");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(held(server), SERVICES);
    delete_sets(server);
    harness
        .until("the Services are let go", |server| held(server).is_empty())
        .await;
    let service = server.get(&SERVICE, "a", "web-stable").unwrap();
    assert_eq!(service["spec"]["selector"], json!({"app": "web"}));
    let told = |event: &Value| {
        event["involvedObject"]["kind"] == "Service" && event["reason"] == "SwitchService"
    };
    harness
        .until("it is told", |server| server.all(&EVENT).iter().any(told))
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn services_of_a_rollout_that_went_away_while_no_controller_ran_are_let_go_at_the_start() {
    let harness = deployed(steps()).await;
    let server = harness.server.clone();
    harness.end().await;
    server.delete(&ROLLOUT, "a", "web");
    delete_sets(&server);
    let harness = Harness::start(server);
    harness
        .until("the Services are let go", |server| held(server).is_empty())
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn services_of_another_instance_are_left_alone_while_its_rollout_exists() {
    let server = server();
    put_surroundings(&server);
    let mut theirs = rollout("v1", steps());
    theirs["metadata"]["labels"] =
        json!({"argo-rollouts.argoproj.io/controller-instance-id": "blue"});
    server.put(&ROLLOUT, theirs);
    for name in SERVICES {
        server.edit(&SERVICE, "a", name, |service| {
            service["metadata"]["annotations"] = json!({MANAGER: "web"});
            service["spec"]["selector"][HASH] = json!("abc");
        });
    }
    let plain = Harness::start(server.clone());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(held(&server), SERVICES);
    // Asked for once, and not again and again.
    assert_eq!(
        server.count("GET /apis/argoproj.io/v1alpha1/namespaces/a/rollouts/web"),
        1
    );
    plain.end().await;
    // Their controller is gone with its Rollouts; nobody else would ever let the Services go.
    server.delete(&ROLLOUT, "a", "web");
    let plain = Harness::start(server);
    plain
        .until("the Services are let go", |server| held(server).is_empty())
        .await;
    plain.end().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_let_go_while_the_api_server_does_not_say_that_the_rollout_is_gone() {
    let harness = deployed(steps()).await;
    let server = harness.server.clone();
    server.fail(
        "GET",
        "rollouts/web",
        3,
        crate::support::Fault::Answer(403, vec![], ""),
    );
    server.delete(&ROLLOUT, "a", "web");
    delete_sets(&server);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(held(&server), SERVICES);
    harness
        .until("the Services are let go", |server| held(server).is_empty())
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollout_whose_pods_were_left_goes_on_where_it_was() {
    let harness = deployed(steps()).await;
    crate::harness::release(&harness.server, "v2");
    harness
        .until_with_pods("the canary gets a quarter", |server| weight(server) == 25)
        .await;
    let server = harness.server.clone();
    let stable = status(&server, "stableRS");
    server.delete(&ROLLOUT, "a", "web");
    for set in server.all(&REPLICA_SET) {
        let name = set["metadata"]["name"].as_str().unwrap();
        server.edit(&REPLICA_SET, "a", name, |set| {
            set["metadata"]["ownerReferences"] = json!([]);
        });
    }
    sleep(Duration::from_secs(30)).await;
    assert_eq!((held(&server), weight(&server)), (SERVICES.to_vec(), 25));
    server.put(&ROLLOUT, rollout("v2", steps()));
    harness
        .until_with_pods("it waits at its step again", |server| {
            status(server, "phase") == "Paused"
        })
        .await;
    assert_eq!(status(&server, "stableRS"), stable);
    assert_eq!(weight(&server), 25);
    // Whoever deletes the Rollout and then the pods that were left, is not left with Services that select nobody.
    server.delete(&ROLLOUT, "a", "web");
    for set in server.all(&REPLICA_SET) {
        let name = set["metadata"]["name"].as_str().unwrap();
        server.edit(&REPLICA_SET, "a", name, |set| {
            set["metadata"]["ownerReferences"] = json!([]);
        });
    }
    delete_sets(&server);
    harness
        .until("the Services are let go", |server| held(server).is_empty())
        .await;
    harness.end().await;
}
