//! Splits of traffic and routes in words, and which routes the steps of a canary ask for.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::json;
use sluice_crds::rollout::CanaryStrategy;
use sluice_crds::split::{Split, WeightedService, routes_after};

fn canary() -> CanaryStrategy {
    let beta = json!([{ "headerName": "x-beta", "headerValue": { "exact": "yes" } }, { "headerName": "x-team" }]);
    let api = json!([{ "method": { "exact": "GET" }, "path": { "prefix": "/api" } },
                     { "headers": { "x-copy": { "regex": "a.*" } } }]);
    serde_json::from_value(json!({
        "trafficRouting": { "managedRoutes": [{ "name": "shadow" }, { "name": "beta" }, { "name": "all" }] },
        "steps": [
            { "setHeaderRoute": { "name": "beta", "match": beta } },
            { "setMirrorRoute": { "name": "shadow", "percentage": 25, "match": api } },
            { "setMirrorRoute": { "name": "all", "match": [{}] } },
            { "setHeaderRoute": { "name": "beta" } }
        ]
    }))
    .unwrap()
}

fn words(index: usize) -> Vec<String> {
    let routes = routes_after(&canary(), index);
    routes.iter().map(ToString::to_string).collect()
}

#[test]
fn the_last_step_that_names_a_route_counts_and_their_order_is_that_of_the_managed_routes() {
    let beta = "beta (header x-beta = yes and header x-team has any value)";
    let shadow = "shadow (mirrors 25 % of requests with method = GET and path = /api… or requests with header x-copy ~ a.*)";
    let all = "all (mirrors 100 % of all requests)";
    assert_eq!(words(0), [beta]);
    assert_eq!(words(1), [shadow, beta]);
    assert_eq!(words(2), [shadow, beta, all]);
    assert_eq!(words(3), [shadow, all]);
    assert_eq!(words(usize::MAX), [shadow, all]);
}

#[test]
fn a_split_says_all_of_its_shares_and_the_names_of_its_routes() {
    let mut split = Split {
        max: 100,
        canary: 20,
        canary_service: "canary".to_owned(),
        stable_service: "stable".to_owned(),
        canary_hash: None,
        stable_hash: None,
        additional: Vec::new(),
        routes: Vec::new(),
    };
    assert_eq!(split.to_string(), "canary 20 of 100, stable 80");
    split.additional.push(WeightedService {
        service: "web-2-1-baseline".to_owned(),
        hash: "abc".to_owned(),
        weight: 5,
        ports: Vec::new(),
    });
    split.routes = routes_after(&canary(), 1);
    assert_eq!(
        split.to_string(),
        "canary 20 of 100, stable 75, web-2-1-baseline 5, routes shadow, beta"
    );
}
