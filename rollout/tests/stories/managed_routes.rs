//! Header and mirror routes: made by steps, taken away by steps, aborts, promotions and canaries without pods.

use serde_json::{Value, json};
use sluice_rollout::Reason;

use crate::fixtures::Cluster;
use crate::fixtures::scenes::{header_step, shown_routes, with_managed_routes};

fn at_pause(steps: Value) -> Cluster {
    let mut cluster = with_managed_routes(steps);
    cluster.set_image("web:2");
    cluster.settle();
    cluster.log.clear();
    cluster
}

#[test]
fn routes_exist_from_their_step_on_in_the_order_of_managed_routes() {
    let steps = json!([
        { "setCanaryScale": { "replicas": 1 } }, header_step("beta", "yes"), { "pause": {} },
        { "setMirrorRoute": { "name": "urgent", "match": [{ "path": { "prefix": "/" } }], "percentage": 10 } },
        { "pause": {} }, { "setHeaderRoute": { "name": "beta" } }, { "pause": {} }
    ]);
    let mut cluster = at_pause(steps);
    assert_eq!(
        (shown_routes(&cluster), cluster.weight()),
        (vec!["beta"], 0)
    );
    cluster.promote();
    cluster.settle();
    assert_eq!(shown_routes(&cluster), ["urgent", "beta"]);
    cluster.promote();
    cluster.settle();
    assert_eq!(
        (shown_routes(&cluster), cluster.step()),
        (vec!["urgent"], 6)
    );
    cluster.promote();
    cluster.run_until("promoted", |cluster| cluster.phase() == "Healthy");
    assert_eq!(
        (shown_routes(&cluster), cluster.stable()),
        (vec![], "web:2".to_owned())
    );
}

#[test]
fn a_step_that_names_a_route_again_changes_it() {
    let pause = json!({ "pause": {} });
    let scale = json!({ "setCanaryScale": { "replicas": 1 } });
    let steps = json!([
        scale,
        header_step("beta", "some"),
        pause,
        header_step("beta", "all"),
        pause
    ]);
    let mut cluster = at_pause(steps);
    let before = cluster.managed.clone();
    cluster.promote();
    cluster.settle();
    assert_eq!((shown_routes(&cluster), cluster.step()), (vec!["beta"], 4));
    assert_ne!(cluster.managed, before);
}

#[test]
fn a_full_promotion_and_the_way_back_to_stable_take_the_routes_away() {
    let steps = json!([
        { "setCanaryScale": { "replicas": 1 } }, header_step("beta", "yes"), { "pause": {} }
    ]);
    let mut cluster = at_pause(steps.clone());
    cluster.promote_fully();
    cluster.run_until("promoted", |cluster| cluster.stable() == "web:2");
    assert_eq!(shown_routes(&cluster), Vec::<&str>::new());
    let mut cluster = at_pause(steps);
    cluster.set_image("web:1");
    cluster.settle();
    assert_eq!(cluster.log.first().map(String::as_str), Some("routes []"));
    assert_eq!(shown_routes(&cluster), Vec::<&str>::new());
}

#[test]
fn a_header_step_before_the_canary_has_pods_is_passed_and_made_up_for() {
    let steps = json!([header_step("beta", "yes"), { "setWeight": 25 }, { "pause": {} }]);
    let cluster = at_pause(steps);
    assert_eq!(
        (shown_routes(&cluster), cluster.weight()),
        (vec!["beta"], 25)
    );
}

#[test]
fn routes_that_somebody_changed_are_put_back() {
    let steps = json!([
        { "setCanaryScale": { "replicas": 1 } }, header_step("beta", "yes"), { "pause": {} }
    ]);
    let mut cluster = at_pause(steps);
    cluster.managed.as_mut().unwrap().intact = false;
    cluster.settle();
    assert_eq!(cluster.log, ["routes [beta]", "weight 0"]);
    assert_eq!(shown_routes(&cluster), ["beta"]);
}

#[test]
fn routes_that_cannot_be_made_hold_the_step_and_say_so() {
    let steps = json!([
        { "setCanaryScale": { "replicas": 1 } }, header_step("beta", "yes"), { "pause": {} }
    ]);
    let mut cluster = with_managed_routes(steps);
    let managed = cluster.managed.as_mut().unwrap();
    managed.problem = Some("a rule of the route matches the header X-Beta already".to_owned());
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.step(), 1);
    assert!(
        cluster.message().contains("matches the header X-Beta"),
        "{}",
        cluster.message()
    );
}

#[test]
fn a_newer_revision_gets_the_routes_only_when_its_service_selects_it() {
    let steps = json!([
        { "setCanaryScale": { "replicas": 1 } }, header_step("beta", "yes"), { "pause": {} }
    ]);
    let mut cluster = at_pause(steps);
    cluster.set_image("web:3");
    cluster.settle();
    assert_eq!(shown_routes(&cluster), ["beta"]);
    let at = |what: &str| cluster.log.iter().position(|line| line == what);
    let (gone, moved, back) = (
        at("routes []").unwrap(),
        at("select web-canary web:3").unwrap(),
        at("routes [beta]").unwrap(),
    );
    assert!(gone < moved && moved < back, "{:?}", cluster.log);
}

#[test]
fn a_route_that_somebody_broke_is_what_the_step_waits_for() {
    let mut cluster = with_managed_routes(json!([
        { "setWeight": 50 }, header_step("beta", "yes"), { "pause": {} }
    ]));
    cluster.set_image("web:2");
    cluster.pass_until("the routes", |it| !shown_routes(it).is_empty());
    assert_eq!(cluster.step(), 1, "what was told is not seen yet");
    let waits = |cluster: &Cluster| {
        let plan = cluster.plan();
        let mut reasons = plan.reasons.iter();
        reasons.any(|it| matches!(it, Reason::RoutesNotShown { .. }))
    };
    assert!(!waits(&cluster), "it is as it should be");
    cluster.managed.as_mut().unwrap().intact = false;
    assert!(waits(&cluster));
}
