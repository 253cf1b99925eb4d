//! Diaries of canaries.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::fixtures::scenes::{header_step, with_managed_routes};
use crate::fixtures::{Cluster, rollout};

#[test]
fn the_first_deployment_and_an_update_by_pods() {
    let steps = json!([{ "setWeight": 20 }, { "pause": {} }, { "setWeight": 60 }, { "pause": { "duration": 30 } }]);
    let mut cluster = Cluster::new(rollout(5, steps, false));
    cluster.then("a new Rollout", |_| ());
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("a person promotes", Cluster::promote);
    cluster.later(30);
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn an_update_by_weight_is_aborted_and_tried_again() {
    let steps = json!([{ "setWeight": 10 }, { "pause": {} }, { "setWeight": 50 }, { "pause": {} }]);
    let mut object = rollout(4, steps, true);
    object["spec"]["minReadySeconds"] = json!(5);
    object["spec"]["revisionHistoryLimit"] = json!(1);
    let mut cluster = Cluster::deployed(object);
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("a person aborts", Cluster::abort);
    cluster.later(30);
    cluster.then("a person retries", Cluster::retry);
    cluster.then("a person promotes", Cluster::promote);
    cluster.then("a person promotes fully", Cluster::promote_fully);
    cluster.later(30);
    cluster.then("the image is set back", |it| it.set_image("web:1"));
    cluster.then("and forth to another", |it| it.set_image("web:3"));
    cluster.then("a person promotes fully", Cluster::promote_fully);
    cluster.later(60);
    assert_snapshot!(cluster.told());
}

#[test]
fn stable_shrinks_with_the_weight() {
    let mut object = rollout(10, json!([{ "setWeight": 30 }, { "pause": {} }]), true);
    let canary = &mut object["spec"]["strategy"]["canary"];
    canary["dynamicStableScale"] = json!(true);
    canary["minPodsPerReplicaSet"] = json!(2);
    canary["abortScaleDownDelaySeconds"] = json!(0);
    let mut cluster = Cluster::deployed(object);
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("it is scaled to 20", |it| it.scale(20));
    cluster.then("a person aborts", Cluster::abort);
    cluster.then("a person retries", Cluster::retry);
    cluster.then("a person promotes", Cluster::promote);
    cluster.later(60);
    assert_snapshot!(cluster.told());
}

#[test]
fn sizes_of_the_canary_are_set_apart_from_its_weight() {
    let steps = json!([
        { "setCanaryScale": { "replicas": 3 } }, { "setWeight": 20 }, { "pause": { "duration": "10s" } },
        { "setCanaryScale": { "weight": 50 } }, { "pause": { "duration": "10s" } },
        { "setCanaryScale": { "matchTrafficWeight": true } }, { "pause": { "duration": "1m" } }
    ]);
    let mut cluster = Cluster::deployed(rollout(8, steps, true));
    cluster.then("the image is set", |it| it.set_image("web:2"));
    for _ in 0..3 {
        cluster.later(10);
    }
    cluster.later(50);
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn pods_that_never_come_run_into_the_deadline() {
    let mut object = rollout(4, json!([{ "setWeight": 50 }, { "pause": {} }]), true);
    object["spec"]["progressDeadlineSeconds"] = json!(60);
    object["spec"]["progressDeadlineAbort"] = json!(true);
    let mut cluster = Cluster::deployed(object);
    cluster.broken.push("web:2");
    cluster.then("a broken image is set", |it| it.set_image("web:2"));
    cluster.later(59);
    cluster.later(2);
    cluster.later(30);
    cluster.then("another image is set", |it| it.set_image("web:3"));
    assert_snapshot!(cluster.told());
}

#[test]
fn without_the_order_to_abort_a_deadline_is_only_told() {
    let mut object = rollout(4, json!([{ "setWeight": 50 }, { "pause": {} }]), false);
    object["spec"]["progressDeadlineSeconds"] = json!(60);
    let mut cluster = Cluster::deployed(object);
    cluster.broken.push("web:2");
    cluster.then("a broken image is set", |it| it.set_image("web:2"));
    cluster.later(61);
    cluster.then("its pods come", |it| it.broken.clear());
    cluster.then("a pod of each is lost", |it| {
        it.few.insert("web:1", 1);
        it.few.insert("web:2", 1);
    });
    cluster.then("they come back", |it| it.few.clear());
    cluster.then("a person promotes", Cluster::promote);
    assert_snapshot!(cluster.told());
}

#[test]
fn header_and_mirror_routes_come_and_go() {
    let mirror = json!({ "setMirrorRoute": {
        "name": "urgent", "percentage": 35, "match": [{ "path": { "prefix": "/" } }]
    } });
    let steps = json!([
        header_step("beta", "yes"), { "pause": {} }, mirror, { "setWeight": 40 }, { "pause": {} },
        { "setHeaderRoute": { "name": "beta" } }, { "pause": {} }
    ]);
    let mut cluster = with_managed_routes(steps);
    cluster.then("the image is set", |it| it.set_image("web:2"));
    for _ in 0..3 {
        cluster.then("a person promotes", Cluster::promote);
    }
    assert_snapshot!(cluster.told());
}

#[test]
fn ping_and_pong_swap_their_roles() {
    let mut object = rollout(2, json!([{ "setWeight": 50 }, { "pause": {} }]), true);
    object["spec"]["strategy"]["canary"] = json!({
        "pingPong": { "pingService": "ping", "pongService": "pong" },
        "trafficRouting": { "plugins": { "argoproj-labs/gatewayAPI": { "httpRoute": "web" } } },
        "steps": [{ "setWeight": 50 }, { "pause": {} }]
    });
    let mut cluster = Cluster::deployed(object);
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("a person promotes", Cluster::promote);
    cluster.later(30);
    cluster.then("the image is set again", |it| it.set_image("web:3"));
    cluster.then("a person aborts", Cluster::abort);
    assert_snapshot!(cluster.told());
}

#[test]
fn a_rollback_within_the_window_skips_the_steps() {
    let mut object = rollout(2, json!([{ "setWeight": 50 }, { "pause": {} }]), true);
    object["spec"]["rollbackWindow"] = json!({ "revisions": 1 });
    let mut cluster = Cluster::deployed(object);
    cluster.wait(10);
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("a person promotes", Cluster::promote);
    cluster.later(60);
    cluster.then("the image is set back", |it| it.set_image("web:1"));
    cluster.later(60);
    assert_snapshot!(cluster.told());
}

#[test]
fn a_plugin_step_waits_until_the_pods_are_steady() {
    let plugin = |config: Value| json!({ "plugin": { "name": "sluice/steady", "config": config } });
    let steps = json!([{ "setWeight": 50 }, plugin(json!({ "for": "60s", "within": "5m" })), { "pause": {} }]);
    let mut cluster = Cluster::deployed(rollout(4, steps, true));
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.wait(50);
    cluster.then("a pod is lost after 50 s", |it| {
        it.few.insert("web:2", 1);
    });
    cluster.then("it comes back", |it| it.few.clear());
    cluster.later(60);
    assert_snapshot!(cluster.told());
}

#[test]
fn a_router_that_fails_or_lags_is_waited_for() {
    let steps = json!([{ "setWeight": 20 }, { "setWeight": 60 }, { "pause": {} }]);
    let mut cluster = Cluster::deployed(rollout(5, steps, true));
    cluster.then("the router cannot be read", |it| {
        it.routes = vec![Err("Ingress shop/web not found".to_owned())];
        it.set_image("web:2");
    });
    cluster.then("it has not taken the route over", |it| {
        it.routes = vec![Ok(0)];
        it.accepted = Some(false);
    });
    cluster.then("it has", |it| it.accepted = Some(true));
    cluster.then("somebody sets the weight back", |it| {
        it.routes = vec![Ok(10)]
    });
    assert_snapshot!(cluster.told());
}

#[test]
fn from_canary_to_blue_green_and_back() {
    let mut cluster = Cluster::deployed(rollout(
        2,
        json!([{ "setWeight": 50 }, { "pause": {} }]),
        true,
    ));
    cluster.add_service("web-active");
    let strategy = cluster.rollout.spec.strategy.clone();
    cluster.then("the strategy becomes blue-green", |it| {
        it.set_strategy(json!({ "blueGreen": { "activeService": "web-active" } }));
    });
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.later(30);
    cluster.then("the strategy is canary again", |it| {
        it.set_strategy(serde_json::to_value(strategy).unwrap());
    });
    cluster.then("the image is set", |it| it.set_image("web:3"));
    assert_snapshot!(cluster.told());
}
