//! What moves traffic and Services, and what holds them back: pods that are short, routers that lag, hands of others.

use serde_json::json;
use sluice_crds::names;
use sluice_rollout::{Effect, Reason};

use crate::fixtures::scenes::paused_at_half;
use crate::fixtures::{Cluster, rollout};

/// Ten pods, on the way through steps of these weights, until the step is reached.
fn at_step(weights: &[i32], step: i32) -> Cluster {
    let mut steps: Vec<_> = weights
        .iter()
        .map(|it| json!({ "setWeight": it }))
        .collect();
    steps.push(json!({ "pause": {} }));
    let mut cluster = Cluster::deployed(rollout(10, json!(steps), true));
    cluster.set_image("web:2");
    cluster.pass();
    cluster.pass_until("the step", |it| it.step() == step);
    cluster
}

/// So many pods of an image are available from now on.
fn only(cluster: &mut Cluster, image: &'static str, available: i32) {
    cluster.few.insert(image, available);
    cluster.tick();
}

fn reasons(cluster: &Cluster) -> Vec<String> {
    let plan = cluster.plan();
    plan.reasons.iter().map(ToString::to_string).collect()
}

/// Turns a Service to a revision, as somebody else could.
fn turn(cluster: &mut Cluster, service: &str, image: &str) {
    let hash = cluster.set(image).hash().unwrap().to_owned();
    let service = cluster.services.get_mut(service).unwrap();
    let key = names::POD_TEMPLATE_HASH.to_owned();
    service.selector.insert(key, hash);
}

#[test]
fn a_step_waits_for_the_routers_that_lag_or_refuse_and_names_no_other() {
    let mut cluster = at_step(&[20], 0);
    cluster.pass_until("the weight is told", |it| !it.weights.is_empty());
    assert_eq!(cluster.step(), 0, "what was told is not seen yet");
    let waits = |cluster: &Cluster| -> Vec<String> {
        let plan = cluster.plan();
        let reasons = plan.reasons.iter();
        let waits = reasons.filter(|it| matches!(it, Reason::TrafficNotMoved { .. }));
        waits.map(ToString::to_string).collect()
    };
    cluster.routes = vec![Ok(20), Ok(0)];
    assert_eq!(
        waits(&cluster),
        ["Waiting for Ingress shop/web-1: weight 0 shown, 20 wanted"]
    );
    let plan = cluster.plan();
    let told = plan
        .events
        .iter()
        .find(|it| it.reason == "TrafficWeightUpdated");
    assert_eq!(
        told.unwrap().message,
        "Traffic weight updated from 0 to 20",
        "the one that lags is behind"
    );
    cluster.routes = vec![Ok(20)];
    cluster.accepted = Some(false);
    assert_eq!(
        waits(&cluster),
        ["Waiting for Ingress shop/web-0: weight 20 shown, 20 wanted"]
    );
}

#[test]
fn a_step_that_lacks_pods_keeps_what_is_routed_within_what_the_steps_allow() {
    let mut cluster = at_step(&[20, 60], 1);
    cluster.pass_until("the weight is shown", |it| it.weight() == 60);
    only(&mut cluster, "web:2", 3);
    for (shown, then) in [(60, 60), (35, 35), (90, 60), (10, 20)] {
        let mut cluster = cluster.clone();
        cluster.routes = vec![Ok(shown)];
        cluster.pass();
        assert_eq!((cluster.weight(), cluster.step()), (then, 1), "{shown}");
    }
}

#[test]
fn a_step_that_lowers_the_weight_does_not_wait_for_pods() {
    for shown in [60, 0] {
        let mut cluster = at_step(&[60, 20], 1);
        only(&mut cluster, "web:2", 1);
        cluster.routes = vec![Ok(shown)];
        cluster.pass();
        assert_eq!(cluster.weight(), 20, "from {shown}");
    }
}

#[test]
fn a_step_gives_stable_what_that_can_carry_and_an_abort_everything_at_once() {
    let mut cluster = at_step(&[80, 20], 1);
    only(&mut cluster, "web:1", 3);
    let mut aborted = cluster.clone();
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.step()), (70, 1));
    only(&mut cluster, "web:1", 10);
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.step()), (20, 2));

    aborted.abort();
    aborted.pass();
    assert_eq!(aborted.weight(), 0, "the canary is bad for everybody");
}

#[test]
fn an_update_that_is_scaled_to_nothing_loses_its_traffic_first() {
    let mut cluster = paused_at_half();
    cluster.scale(0);
    cluster.settle();
    assert_eq!(cluster.log[0], "weight 0");
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (0, 0));
}

#[test]
fn traffic_leaves_a_revision_that_somebody_turned_the_canary_service_to() {
    let mut cluster = paused_at_half();
    cluster.set_image("web:3");
    cluster.settle();
    assert_eq!(cluster.weight(), 50);
    turn(&mut cluster, "web-canary", "web:2");
    let overtaken = cluster.set("web:2").name.clone();
    let sets = &mut cluster.sets;
    let set = sets.iter_mut().find(|set| set.name == overtaken).unwrap();
    (set.replicas, set.current, set.ready, set.available) = (2, 2, 2, 2);
    cluster.weights.clear();

    let mut without_stable = cluster.clone();
    cluster.pass();
    assert_eq!(cluster.weights, [0]);
    cluster.settle();
    assert_eq!(
        (cluster.selected("web-canary").as_str(), cluster.weight()),
        ("web:3", 50)
    );

    // Nobody else can answer: it stays, and is told as what it is.
    only(&mut without_stable, "web:1", 0);
    without_stable.pass();
    assert_eq!(without_stable.weight(), 50);
    let canary = without_stable.status().canary.clone().unwrap();
    assert_eq!(
        canary.weights.unwrap().canary.pod_template_hash.as_deref(),
        without_stable.set("web:2").hash()
    );
}

#[test]
fn the_canary_service_goes_where_the_traffic_that_it_gets_can_be_served() {
    for (what, available, shown, selected) in [
        ("enough pods", 2, Ok(50), "web:2"),
        ("too few pods", 1, Ok(50), ""),
        ("nobody knows the traffic", 2, Err("is gone".to_owned()), ""),
    ] {
        let mut cluster = paused_at_half();
        let service = cluster.services.get_mut("web-canary").unwrap();
        service.selector.remove(names::POD_TEMPLATE_HASH);
        only(&mut cluster, "web:2", available);
        cluster.routes = vec![shown];
        cluster.pass();
        assert_eq!(cluster.selected("web-canary"), selected, "{what}");
    }
}

#[test]
fn a_service_that_served_from_every_pod_is_taken_over_only_by_a_whole_canary() {
    let mut cluster = Cluster::new(rollout(3, json!([]), true));
    only(&mut cluster, "web:1", 2);
    cluster.settle();
    assert_eq!(cluster.selected("web-canary"), "");
    cluster.few.clear();
    cluster.settle();
    assert_eq!(cluster.selected("web-canary"), "web:1");
}

#[test]
fn an_abort_is_the_reason_even_when_the_canary_has_lost_its_pods_too() {
    let mut cluster = paused_at_half();
    only(&mut cluster, "web:2", 0);
    cluster.abort();
    let told = reasons(&cluster);
    let why = "Canary weight 50 -> 0: the update is aborted".to_owned();
    assert!(told.contains(&why), "{told:?}");
}

#[test]
fn pods_behind_a_service_that_the_strategy_left_stay_until_it_is_let_go() {
    let mut cluster = paused_at_half();
    cluster.add_service("web-next");
    cluster.set_image("web:3");
    cluster.edit_canary(|canary| {
        canary.canary_service = Some("web-next".to_owned());
    });
    let old = cluster.set("web:2").name.clone();
    let plan = cluster.plan();
    let lets_go = |effect: &Effect| matches!(effect, Effect::SelectPods { service, hash: None, .. } if service == "web-canary");
    assert!(plan.effects.iter().any(lets_go), "{plan:?}");
    let shrinks =
        |effect: &Effect| matches!(effect, Effect::ScaleReplicaSet { name, .. } if *name == old);
    assert!(!plan.effects.iter().any(shrinks), "{plan:?}");
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 0);
}
