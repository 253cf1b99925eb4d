//! With traffic routing: weights on routes, a whole stable set beside the canary.

use serde_json::json;
use sluice_crds::names;

use crate::fixtures::{Cluster, rollout};

fn story() -> serde_json::Value {
    json!([{ "setWeight": 10 }, { "pause": { "duration": "1m" } }, { "setWeight": 50 }, { "pause": { "duration": 60 } }])
}

#[test]
fn the_first_revision_takes_over_the_services_and_no_weight() {
    let cluster = Cluster::deployed(rollout(3, story(), true));
    assert_eq!(cluster.selected("web-stable"), "web:1");
    assert_eq!(cluster.selected("web-canary"), "web:1");
    assert_eq!(cluster.weight(), 0);
    let weights = cluster
        .status()
        .canary
        .as_ref()
        .unwrap()
        .weights
        .as_ref()
        .unwrap();
    assert_eq!((weights.canary.weight, weights.stable.weight), (0, 100));
}

#[test]
fn capacity_then_service_then_weight_then_promotion_then_the_old_set() {
    let mut cluster = Cluster::deployed(rollout(10, story(), true));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        (
            cluster.weight(),
            cluster.pods("web:1"),
            cluster.pods("web:2")
        ),
        (10, 10, 1)
    );
    cluster.wait(60);
    cluster.settle();
    assert_eq!(
        (
            cluster.weight(),
            cluster.pods("web:1"),
            cluster.pods("web:2")
        ),
        (50, 10, 5)
    );
    cluster.wait(60);
    cluster.settle();
    assert_eq!(
        cluster.log,
        [
            "create web:2",
            "scale web:2 0 -> 1",
            "select web-canary web:2",
            "weight 10",
            "scale web:2 1 -> 5",
            "weight 50",
            "scale web:2 5 -> 10",
            "weight 100",
            "select web-stable web:2",
            "weight 0",
        ]
    );
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
    // The way back is kept for a while.
    assert_eq!(cluster.pods("web:1"), 10);
    let deadline = &cluster.set("web:1").annotations[names::SCALE_DOWN_DEADLINE];
    assert_eq!(deadline, "2026-11-21T12:02:30Z");
    cluster.wait(29);
    cluster.settle();
    assert_eq!(cluster.pods("web:1"), 10);
    cluster.wait(1);
    cluster.settle();
    assert_eq!(cluster.pods("web:1"), 0);
    assert!(
        !cluster
            .set("web:1")
            .annotations
            .contains_key(names::SCALE_DOWN_DEADLINE)
    );
}

#[test]
fn a_weight_that_somebody_changed_is_put_back() {
    let mut cluster = Cluster::deployed(rollout(
        10,
        json!([{ "setWeight": 10 }, { "pause": {} }]),
        true,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    for changed in [80, 0] {
        cluster.routes = vec![Ok(changed)];
        cluster.settle();
        assert_eq!((cluster.weight(), cluster.phase()), (10, "Paused"));
    }
}

#[test]
fn a_falling_weight_leaves_before_the_pods_do() {
    let mut cluster = Cluster::deployed(rollout(
        10,
        json!([{ "setWeight": 50 }, { "setWeight": 20 }, { "pause": {} }]),
        true,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        cluster.log[3..],
        ["weight 50", "weight 20", "scale web:2 5 -> 2"]
    );
    assert_eq!(cluster.step(), 2);
}

#[test]
fn a_canary_without_available_pods_gets_no_traffic_until_they_are_back() {
    let mut cluster = Cluster::deployed(rollout(
        4,
        json!([{ "setWeight": 50 }, { "pause": {} }]),
        true,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.broken.push("web:2");
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.phase()), (0, "Paused"));
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(cluster.weight(), 50);
}

#[test]
fn a_pod_less_lets_the_weight_be() {
    let mut cluster = Cluster::deployed(rollout(
        4,
        json!([{ "setWeight": 25 }, { "setWeight": 50 }, { "pause": {} }]),
        true,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    let name = cluster.set("web:2").name.clone();
    cluster.weights.clear();
    for set in cluster.sets.iter_mut().filter(|set| set.name == name) {
        set.available = 1;
    }
    cluster.pass();
    assert!(cluster.weights.is_empty(), "{:?}", cluster.weights);
}

#[test]
fn back_to_the_stable_template_skips_the_steps() {
    let mut cluster = Cluster::deployed(rollout(
        4,
        json!([{ "setWeight": 50 }, { "pause": {} }]),
        true,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.log.clear();
    cluster.events.clear();
    cluster.set_image("web:1");
    cluster.settle();
    assert_eq!(cluster.log, ["weight 0", "select web-canary web:1"]);
    assert_eq!(
        (cluster.phase(), cluster.step(), cluster.stable().as_str()),
        ("Healthy", 2, "web:1")
    );
    assert!(cluster.event_reasons().contains(&"SkipSteps"));
    assert_eq!(cluster.set("web:1").revision(), 3);
    assert_eq!(
        cluster.set("web:1").annotations["rollout.argoproj.io/revision-history"],
        "1"
    );
    cluster.wait(30);
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 0);
}

#[test]
fn a_rollout_without_its_route_is_not_healthy_and_says_so() {
    let mut cluster = Cluster::deployed(rollout(2, json!([{ "setWeight": 25 }]), true));
    assert_eq!(cluster.phase(), "Healthy");
    cluster.routes = vec![Err("not found".to_owned())];
    cluster.settle();
    assert_eq!(cluster.phase(), "Progressing");
    assert_eq!(
        cluster.message(),
        "traffic routing holds: Ingress shop/web-0: not found"
    );
    cluster.routes = vec![Ok(0)];
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.pods("web:1")), ("Healthy", 2));
}

#[test]
fn a_route_that_cannot_be_read_holds_everything_and_is_named() {
    let mut cluster = Cluster::deployed(rollout(
        4,
        json!([{ "setWeight": 25 }, { "pause": { "duration": 10 } }]),
        true,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.routes = vec![Err("backend web-canary is missing".to_owned())];
    cluster.wait(10);
    cluster.settle();
    cluster.wait(100);
    cluster.settle();
    assert_eq!(
        (cluster.pods("web:1"), cluster.stable().as_str()),
        (4, "web:1")
    );
    assert_eq!(cluster.phase(), "Progressing");
    let message = "traffic routing holds: Ingress shop/web-0: backend web-canary is missing";
    assert_eq!(cluster.message(), message);
    assert_eq!(
        cluster.status().condition("Progressing").unwrap().message,
        message
    );
    assert_eq!(cluster.weights, [25]);
    // A promotion would move the traffic with the Services: not blindly either.
    cluster.promote_fully();
    cluster.settle();
    assert_eq!(cluster.stable(), "web:1");
    cluster.routes = vec![Ok(25)];
    cluster.settle();
    assert_eq!(cluster.stable(), "web:2");
}

#[test]
fn a_route_that_its_router_refuses_is_no_traffic() {
    let mut cluster = Cluster::deployed(rollout(
        4,
        json!([{ "setWeight": 25 }, { "pause": {} }]),
        true,
    ));
    cluster.set_image("web:2");
    cluster.accepted = Some(false);
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.step()), (0, 0));
    assert!(
        cluster.message().contains("not accepted"),
        "{}",
        cluster.message()
    );
    cluster.accepted = Some(true);
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.step()), (25, 1));
    let weights = cluster
        .status()
        .canary
        .as_ref()
        .unwrap()
        .weights
        .as_ref()
        .unwrap();
    assert_eq!(weights.verified, Some(true));
}

#[test]
fn several_routers_move_together_or_not_at_all() {
    let mut cluster = Cluster::deployed(rollout(
        4,
        json!([{ "setWeight": 25 }, { "pause": { "duration": 5 } }]),
        true,
    ));
    cluster.routes = vec![Ok(0), Ok(0)];
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.routes, [Ok(25), Ok(25)]);
    cluster.routes = vec![Ok(25), Err("not found".to_owned())];
    cluster.wait(5);
    cluster.settle();
    assert_eq!(cluster.routes[0], Ok(25));
    cluster.abort();
    cluster.settle();
    assert_eq!(
        cluster.routes[0],
        Ok(0),
        "what can be reached is taken back"
    );
    assert_eq!(
        cluster.pods("web:2"),
        4,
        "and the pods stay, since the other may still send"
    );
}

#[test]
fn a_dynamic_stable_set_shrinks_behind_the_traffic_and_grows_before_it() {
    let mut object = rollout(
        10,
        json!([{ "setWeight": 30 }, { "setWeight": 80 }, { "pause": {} }]),
        true,
    );
    object["spec"]["strategy"]["canary"]["dynamicStableScale"] = json!(true);
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        cluster.log[3..],
        [
            "weight 30",
            "scale web:1 10 -> 7",
            "scale web:2 3 -> 8",
            "weight 80",
            "scale web:1 7 -> 2"
        ]
    );
    cluster.log.clear();
    let mut aborted = cluster.clone();
    aborted.abort();
    aborted.settle();
    assert_eq!(
        aborted.log,
        [
            "scale web:1 2 -> 10",
            "weight 0",
            "select web-canary web:1",
            "scale web:2 8 -> 0"
        ]
    );
    cluster.promote();
    cluster.settle();
    assert_eq!(cluster.stable(), "web:2");
    assert_eq!(
        (
            cluster.pods("web:1"),
            cluster.pods("web:2"),
            cluster.weight()
        ),
        (0, 10, 0)
    );
}
