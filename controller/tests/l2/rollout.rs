//! The Rollout loop: the way of a release through the real client, and what may go wrong on it.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_runtime::kind::{EVENT, HTTP_ROUTE, LEASE, REPLICA_SET, ROLLOUT, SERVICE};
use tokio::time::{Instant, sleep};

use crate::harness::{
    Harness, deployed, put_surroundings, release, rollout, server, status, weight,
};
use crate::support::{FakeApi, Fault, settle};

fn steps() -> Value {
    json!({"steps": [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": 10}}]})
}

fn promote(server: &FakeApi) {
    server.edit(&ROLLOUT, "a", "web", |rollout| {
        rollout["status"]["pauseConditions"] = Value::Null
    });
}

async fn paused_at_25(harness: &Harness) {
    release(&harness.server, "v2");
    harness
        .until_with_pods("the canary gets a quarter and waits", |server| {
            weight(server) == 25
                && status(server, "pauseConditions")[0]["reason"] == "CanaryPauseStep"
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_release_goes_through_its_steps_and_is_promoted() {
    let harness = deployed(steps()).await;
    assert_eq!(weight(&harness.server), 0);
    paused_at_25(&harness).await;
    promote(&harness.server);
    harness
        .until_with_pods("half of the traffic", |server| weight(server) == 50)
        .await;
    let half = Instant::now();
    harness
        .until_with_pods("promoted", |server| status(server, "phase") == "Healthy")
        .await;
    assert!(
        half.elapsed() >= Duration::from_secs(9),
        "{:?}",
        half.elapsed()
    );
    assert_eq!(weight(&harness.server), 0);
    let services = ["web-stable", "web-canary"].map(|name| {
        harness.server.get(&SERVICE, "a", name).unwrap()["spec"]["selector"]["rollouts-pod-template-hash"].clone()
    });
    assert_eq!(services[0], services[1]);
    assert_eq!(services[0], status(&harness.server, "stableRS"));
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_when_nothing_happens() {
    let harness = deployed(steps()).await;
    sleep(Duration::from_secs(60)).await;
    let before = harness.server.count("PATCH") + harness.server.count("POST");
    sleep(Duration::from_secs(4_000)).await;
    let after = harness.server.count("PATCH") + harness.server.count("POST");
    assert_eq!(before, after, "{:?}", harness.server.requests());
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_abort_reaches_the_route_within_milliseconds() {
    let harness = deployed(steps()).await;
    paused_at_25(&harness).await;
    settle().await;
    let before = Instant::now();
    harness.server.edit(&ROLLOUT, "a", "web", |rollout| {
        rollout["status"]["abort"] = json!(true)
    });
    while weight(&harness.server) != 0 {
        assert!(before.elapsed() < Duration::from_millis(20));
        settle().await;
    }
    harness
        .until_with_pods("degraded", |server| status(server, "phase") == "Degraded")
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_starts_anew_goes_on_where_the_last_one_was() {
    let harness = deployed(steps()).await;
    paused_at_25(&harness).await;
    harness.run.abort();
    let server = harness.server.clone();
    let sets = server.all(&REPLICA_SET).len();
    let harness = Harness::start(server);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(
        (
            weight(&harness.server),
            harness.server.all(&REPLICA_SET).len()
        ),
        (25, sets)
    );
    promote(&harness.server);
    harness
        .until_with_pods("promoted", |server| status(server, "phase") == "Healthy")
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_malformed_rollout_is_told_what_is_wrong_and_the_others_go_on() {
    let server = server();
    put_surroundings(&server);
    let mut bad = rollout("v1", steps());
    bad["metadata"]["name"] = json!("bad");
    bad["spec"]["replicas"] = json!("three");
    server.put(&ROLLOUT, bad);
    server.put(&ROLLOUT, rollout("v1", steps()));
    let harness = Harness::start(server);
    harness
        .until_with_pods("the other one is healthy", |server| {
            status(server, "phase") == "Healthy"
        })
        .await;
    let bad = harness.server.get(&ROLLOUT, "a", "bad").unwrap();
    let condition = &bad["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&json!("InvalidSpec"), &json!("True"))
    );
    assert!(
        condition["message"]
            .as_str()
            .unwrap()
            .contains("spec.replicas"),
        "{condition}"
    );
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_missing_holds_the_rollout_until_it_appears() {
    let server = server();
    put_surroundings(&server);
    let route = server.get(&HTTP_ROUTE, "a", "web").unwrap();
    server.put(&ROLLOUT, rollout("v1", steps()));
    let harness = Harness::start(server);
    harness
        .until_with_pods("v1 is healthy", |server| {
            status(server, "phase") == "Healthy"
        })
        .await;
    harness.server.delete(&HTTP_ROUTE, "a", "web");
    release(&harness.server, "v2");
    sleep(Duration::from_secs(30)).await;
    harness.pods_become_ready();
    sleep(Duration::from_secs(5)).await;
    assert!(
        status(&harness.server, "currentStepIndex") == 0,
        "{}",
        status(&harness.server, "currentStepIndex")
    );
    let mut route = route;
    route["metadata"] = json!({"name": "web", "namespace": "a"});
    harness.server.put(&HTTP_ROUTE, route);
    harness
        .until_with_pods("the canary gets a quarter", |server| weight(server) == 25)
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_conflicts_and_a_busy_server_change_nothing_in_the_end() {
    let harness = deployed(steps()).await;
    harness
        .server
        .fail("POST", "replicasets", 1, Fault::LoseAnswer);
    harness
        .server
        .fail("PATCH", "replicasets", 2, Fault::LoseAnswer);
    harness
        .server
        .fail("PATCH", "httproutes", 1, Fault::LoseAnswer);
    harness.server.fail(
        "PATCH",
        "httproutes",
        1,
        Fault::Answer(429, vec![("retry-after", "1")], ""),
    );
    harness
        .server
        .fail("PATCH", "status", 3, Fault::Answer(503, vec![], ""));
    paused_at_25(&harness).await;
    assert_eq!(harness.server.all(&REPLICA_SET).len(), 2);
    promote(&harness.server);
    harness
        .until_with_pods("promoted", |server| status(server, "phase") == "Healthy")
        .await;
    assert_eq!(harness.server.all(&REPLICA_SET).len(), 2);
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_watch_delays_and_does_not_confuse() {
    let harness = deployed(steps()).await;
    harness.server.lag(true);
    release(&harness.server, "v2");
    sleep(Duration::from_millis(500)).await;
    harness.server.lag(false);
    harness.server.lag(true);
    // From here on the controller's own writes are shown to it by direct reads only.
    sleep(Duration::from_secs(30)).await;
    assert_eq!(harness.server.all(&REPLICA_SET).len(), 2);
    harness.server.lag(false);
    harness
        .until_with_pods("the canary gets a quarter", |server| weight(server) == 25)
        .await;
    assert_eq!(harness.server.all(&REPLICA_SET).len(), 2);
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_set_of_that_name_that_is_not_ours_is_left_alone() {
    let harness = deployed(steps()).await;
    let hash = status(&harness.server, "stableRS");
    let stable = format!("web-{}", hash.as_str().unwrap());
    // A ReplicaSet that somebody else owns does not belong to the Rollout, whatever its labels say.
    let mut other = harness.server.get(&REPLICA_SET, "a", &stable).unwrap();
    other["metadata"]["name"] = json!("other");
    other["metadata"]["ownerReferences"][0]["uid"] = json!("somebody");
    harness.server.put(&REPLICA_SET, other);
    paused_at_25(&harness).await;
    let other = harness.server.get(&REPLICA_SET, "a", "other").unwrap();
    assert_eq!(other["spec"]["replicas"], 4);
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn objects_of_another_instance_are_left_alone() {
    let server = server();
    put_surroundings(&server);
    let mut labelled = rollout("v1", steps());
    labelled["metadata"]["labels"] =
        json!({"argo-rollouts.argoproj.io/controller-instance-id": "blue"});
    server.put(&ROLLOUT, labelled);
    let plain = Harness::start(server.clone());
    sleep(Duration::from_secs(5)).await;
    assert!(server.all(&REPLICA_SET).is_empty());
    plain.end().await;
    let blue = Harness::start_with(server, &["--leader-elect=false", "--instance-id=blue"]);
    blue.until("the instance takes it", |server| {
        !server.all(&REPLICA_SET).is_empty()
    })
    .await;
    blue.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_held_while_acting_and_released_at_the_end() {
    let server = server();
    put_surroundings(&server);
    server.put(&ROLLOUT, rollout("v1", steps()));
    let harness = Harness::start_with(server.clone(), &[]);
    harness
        .until_with_pods("healthy", |server| status(server, "phase") == "Healthy")
        .await;
    let holder = || {
        let lease = server
            .get(&LEASE, "argo-rollouts", "argo-rollouts-controller-lock")
            .unwrap();
        lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
    };
    assert!(holder().starts_with("test_"));
    harness.end().await;
    assert_eq!(holder(), "");
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_loses_its_lease_ends_with_an_error() {
    let server = server();
    put_surroundings(&server);
    server.put(&ROLLOUT, rollout("v1", steps()));
    let harness = Harness::start_with(server.clone(), &[]);
    harness
        .until_with_pods("healthy", |server| status(server, "phase") == "Healthy")
        .await;
    server.edit(
        &LEASE,
        "argo-rollouts",
        "argo-rollouts-controller-lock",
        |lease| {
            lease["spec"]["holderIdentity"] = json!("other");
        },
    );
    let ended = harness.run.await.unwrap();
    assert!(ended.unwrap_err().to_string().contains("lease was lost"));
}

#[tokio::test(start_paused = true)]
async fn events_tell_the_story_in_order() {
    let harness = deployed(steps()).await;
    paused_at_25(&harness).await;
    sleep(Duration::from_secs(2)).await;
    let mut events = harness.server.all(&EVENT);
    events.sort_by_key(|event| {
        event["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    });
    let reasons: Vec<&str> = events
        .iter()
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons.first(), Some(&"RolloutAddedToInformer"));
    let position = |reason: &str| {
        reasons
            .iter()
            .rposition(|one| *one == reason)
            .unwrap_or_else(|| panic!("{reasons:?}"))
    };
    assert!(
        position("NewReplicaSetCreated") < position("RolloutPaused"),
        "{reasons:?}"
    );
    harness.end().await;
}
