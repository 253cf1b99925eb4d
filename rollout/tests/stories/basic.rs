//! Without traffic routing: pods are the traffic.

use serde_json::json;

use crate::fixtures::{Cluster, rollout};

#[test]
fn the_first_revision_is_deployed_at_once_without_steps() {
    let mut cluster = Cluster::new(rollout(
        5,
        json!([{ "setWeight": 10 }, { "pause": {} }]),
        false,
    ));
    cluster.settle();
    assert_eq!(cluster.log, ["create web:1", "scale web:1 0 -> 5"]);
    assert_eq!((cluster.phase(), cluster.message()), ("Healthy", ""));
    assert_eq!((cluster.stable().as_str(), cluster.step()), ("web:1", 2));
    let status = cluster.status();
    assert_eq!(status.replicas, Some(5));
    assert_eq!(status.selector.as_deref(), Some("app=web"));
    assert_eq!(status.observed_generation.as_deref(), Some("1"));
    assert_eq!(cluster.reason("Progressing"), "NewReplicaSetAvailable");
    let annotations = cluster.rollout.metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations["rollout.argoproj.io/revision"], "1");
}

#[test]
fn a_missing_number_of_replicas_is_written_back_first() {
    let mut object = rollout(1, json!([]), false);
    object["spec"].as_object_mut().unwrap().remove("replicas");
    let mut cluster = Cluster::new(object);
    cluster.settle();
    assert_eq!(
        cluster.log,
        ["replicas 1", "create web:1", "scale web:1 0 -> 1"]
    );
}

#[test]
fn steps_move_pods_and_the_end_is_promotion() {
    let steps = json!([{ "setWeight": 20 }, { "pause": {} }, { "setWeight": 60 }, { "pause": { "duration": 30 } }]);
    let mut cluster = Cluster::deployed(rollout(5, steps, false));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        (cluster.pods("web:1"), cluster.pods("web:2"), cluster.step()),
        (4, 1, 1)
    );
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Paused", "CanaryPauseStep")
    );
    cluster.promote();
    cluster.settle();
    assert_eq!(
        (cluster.pods("web:1"), cluster.pods("web:2"), cluster.step()),
        (2, 3, 3)
    );
    cluster.wait(29);
    cluster.settle();
    assert_eq!(cluster.step(), 3, "one second too early");
    cluster.wait(1);
    cluster.settle();
    assert_eq!(
        (cluster.pods("web:1"), cluster.pods("web:2"), cluster.step()),
        (0, 5, 4)
    );
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
}

#[test]
fn without_steps_it_is_a_rolling_update_within_surge_and_availability() {
    let mut cluster = Cluster::deployed(rollout(4, json!([]), false));
    cluster.set_image("web:2");
    cluster.settle();
    // Surge 1, unavailable 1.
    assert_eq!(
        cluster.log,
        [
            "create web:2",
            "scale web:2 0 -> 1",
            "scale web:1 4 -> 3",
            "scale web:2 1 -> 2",
            "scale web:1 3 -> 2",
            "scale web:2 2 -> 3",
            "scale web:1 2 -> 1",
            "scale web:2 3 -> 4",
            "scale web:1 1 -> 0",
        ]
    );
    assert_eq!(cluster.stable(), "web:2");
    assert_eq!(cluster.status().current_step_index, None);
}

#[test]
fn a_broken_revision_takes_no_more_than_the_allowance() {
    let mut cluster = Cluster::deployed(rollout(4, json!([]), false));
    cluster.broken.push("web:2");
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (3, 2));
    assert_eq!(cluster.stable(), "web:1");
    cluster.wait(601);
    cluster.settle();
    assert_eq!(cluster.phase(), "Degraded");
    let hash = cluster.status().current_pod_hash.clone().unwrap();
    let message =
        format!("ProgressDeadlineExceeded: ReplicaSet \"web-{hash}\" has timed out progressing.");
    assert_eq!(cluster.message(), message);
    // It sticks until there is progress.
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
}

#[test]
fn scaling_in_the_middle_keeps_the_shares() {
    let mut cluster = Cluster::deployed(rollout(
        10,
        json!([{ "setWeight": 50 }, { "pause": {} }]),
        false,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (5, 5));
    cluster.scale(20);
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (10, 10));
    cluster.scale(4);
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (2, 2));
    assert_eq!((cluster.phase(), cluster.step()), ("Paused", 1));
    assert_eq!(
        cluster.set("web:1").annotations["rollout.argoproj.io/desired-replicas"],
        "4"
    );
}

#[test]
fn scaling_to_nothing_and_back_is_healthy() {
    for routed in [false, true] {
        let mut cluster = Cluster::deployed(rollout(
            3,
            json!([{ "setWeight": 50 }, { "pause": {} }]),
            routed,
        ));
        cluster.scale(0);
        cluster.settle();
        assert_eq!((cluster.pods("web:1"), cluster.phase()), (0, "Healthy"));
        cluster.set_image("web:2");
        cluster.settle();
        cluster.promote();
        cluster.run_until("promoted without a pod", |cluster| {
            cluster.stable() == "web:2"
        });
        cluster.scale(3);
        cluster.run_until("healthy", |cluster| cluster.phase() == "Healthy");
        assert_eq!(cluster.pods("web:2"), 3);
    }
}

#[test]
fn a_third_revision_drains_the_second_and_starts_again() {
    let mut cluster = Cluster::deployed(rollout(
        5,
        json!([{ "setWeight": 40 }, { "pause": {} }]),
        false,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.pods("web:2"), cluster.step()), (2, 1));
    cluster.set_image("web:3");
    cluster.settle();
    assert_eq!(
        (
            cluster.pods("web:1"),
            cluster.pods("web:2"),
            cluster.pods("web:3")
        ),
        (3, 0, 2)
    );
    assert_eq!((cluster.stable().as_str(), cluster.step()), ("web:1", 1));
}

#[test]
fn services_follow_the_revisions() {
    let mut object = rollout(2, json!([{ "setWeight": 50 }, { "pause": {} }]), false);
    object["spec"]["strategy"]["canary"]["canaryService"] = json!("web-canary");
    object["spec"]["strategy"]["canary"]["stableService"] = json!("web-stable");
    let mut cluster = Cluster::deployed(object);
    assert_eq!(cluster.selected("web-stable"), "web:1");
    assert_eq!(cluster.selected("web-canary"), "web:1");
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.selected("web-stable"), "web:1");
    assert_eq!(cluster.selected("web-canary"), "web:2");
    cluster.abort();
    cluster.settle();
    assert_eq!(cluster.selected("web-canary"), "web:1");
    cluster.retry();
    cluster.settle();
    cluster.promote();
    cluster.settle();
    assert_eq!(cluster.selected("web-stable"), "web:2");
    assert_eq!(cluster.selected("web-canary"), "web:2");
}
