//! The agreement between the sync loop and the Rollout: which values of a live object count as desired.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says no more than where it failed"
)]

#[expect(dead_code, reason = "other test files use the rest")]
mod support;

use serde_json::{Value, json};
use sluice_crds::rollout::Rollout;
use sluice_traffic::{controlled_by, orphans, overlay_controlled};
use support::{gateway_api, rollout, rollout_with};

fn route(rules: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"rules": rules},
    })
}

fn backends(stable: i64, canary: i64, other: i64) -> Value {
    json!([
        {"name": "web-stable", "weight": stable},
        {"name": "web-canary", "weight": canary},
        {"name": "other", "weight": other},
    ])
}

fn gateway_rollout() -> Rollout {
    rollout_with(gateway_api(json!({"httpRoute": "web"})))
}

fn overlaid(target: &Value, live: &Value, rollout: &Rollout) -> Value {
    let mut target = target.clone();
    overlay_controlled(&mut target, live, &[rollout]);
    target
}

/// argo-cd#22151, the Gateway API plugin's #207: the sync loop put back what the controller of rollouts had written.
#[test]
fn r27_weights_come_from_the_cluster_and_everything_else_from_git() {
    let mut live = route(json!([
        {"backendRefs": backends(90, 10, 0), "filters": ["old"], "matches": ["defaulted"]},
    ]));
    live["metadata"]["labels"] = json!({
        "rollouts.argoproj.io/gatewayapi-canary": "in-progress", "left": "over",
    });
    let target = route(json!([
        {"backendRefs": [
            {"name": "other", "weight": 0},
            {"name": "web-canary", "weight": 0, "port": 8080},
            {"name": "web-stable", "weight": 100},
        ], "filters": ["new"]},
    ]));
    let mut expected = route(json!([
        {"backendRefs": [
            {"name": "other", "weight": 0},
            {"name": "web-canary", "weight": 10, "port": 8080},
            {"name": "web-stable", "weight": 90},
        ], "filters": ["new"]},
    ]));
    expected["metadata"]["labels"] =
        json!({"rollouts.argoproj.io/gatewayapi-canary": "in-progress"});
    assert_eq!(overlaid(&target, &live, &gateway_rollout()), expected);
}

#[test]
fn a_change_of_the_share_of_others_in_git_is_applied_in_the_middle_of_a_canary() {
    let live = route(json!([{"backendRefs": backends(75, 20, 5)}]));
    let target = route(json!([{"backendRefs": backends(190, 0, 20)}]));
    assert_eq!(
        overlaid(&target, &live, &gateway_rollout()),
        route(json!([{"backendRefs": backends(150, 40, 20)}]))
    );
    // Where the sum in Git cannot carry the split, the weights stay as they are.
    let target = route(json!([{"backendRefs": backends(1, 1, 1)}]));
    assert_eq!(
        overlaid(&target, &live, &gateway_rollout()),
        route(json!([{"backendRefs": backends(75, 20, 1)}]))
    );
}

#[test]
fn rules_are_matched_by_name_then_by_position_and_new_ones_follow_their_sisters() {
    let pair = |stable: i64, canary: i64| {
        json!([
            {"name": "web-stable", "weight": stable}, {"name": "web-canary", "weight": canary},
        ])
    };
    let live = route(json!([
        {"name": "a", "backendRefs": pair(90, 10)},
        {"name": "b", "backendRefs": pair(80, 20)},
    ]));
    let target = route(json!([
        {"backendRefs": pair(100, 0)},
        {"name": "b", "backendRefs": pair(100, 0)},
        {"name": "c", "backendRefs": pair(100, 0)},
        {"backendRefs": [{"name": "web-stable"}]},
    ]));
    assert_eq!(
        overlaid(&target, &live, &gateway_rollout()),
        route(json!([
            {"backendRefs": pair(90, 10)},
            {"name": "b", "backendRefs": pair(80, 20)},
            {"name": "c", "backendRefs": pair(90, 10)},
            {"backendRefs": [{"name": "web-stable"}]},
        ]))
    );
}

#[test]
fn selectors_and_annotations_of_services_are_kept_key_by_key() {
    let service = |name: &str, selector: Value, annotations: Value| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "shop", "annotations": annotations},
            "spec": {"selector": selector},
        })
    };
    let live = |name| {
        service(
            name,
            json!({"app": "old", "rollouts-pod-template-hash": "6b9f"}),
            json!({"argo-rollouts.argoproj.io/managed-by-rollouts": "web", "by": "hand"}),
        )
    };
    let target = |name| service(name, json!({"app": "web"}), json!({"from": "git"}));
    let kept = |name| {
        service(
            name,
            json!({"app": "web", "rollouts-pod-template-hash": "6b9f"}),
            json!({"argo-rollouts.argoproj.io/managed-by-rollouts": "web", "from": "git"}),
        )
    };
    let canary = gateway_rollout();
    for name in ["web-stable", "web-canary"] {
        assert_eq!(overlaid(&target(name), &live(name), &canary), kept(name));
        assert!(controlled_by(&live(name), &[&canary]).is_some());
    }
    assert_eq!(
        overlaid(&target("images"), &live("images"), &canary),
        target("images")
    );
    assert!(controlled_by(&live("images"), &[&canary]).is_none());
    let blue_green = rollout(&json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"strategy": {"blueGreen": {"activeService": "active", "previewService": "preview"}}},
    }));
    for name in ["active", "preview"] {
        assert_eq!(
            overlaid(&target(name), &live(name), &blue_green),
            kept(name)
        );
    }
    let elsewhere = rollout(&json!({
        "metadata": {"name": "web", "namespace": "elsewhere"},
        "spec": {"strategy": {"blueGreen": {"activeService": "active"}}},
    }));
    assert_eq!(
        overlaid(&target("active"), &live("active"), &elsewhere),
        target("active")
    );
}

#[test]
fn weights_of_a_traefik_service_are_kept() {
    let service = |stable: i64, canary: i64, cookie: &str| {
        json!({
            "apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService",
            "metadata": {"name": "split", "namespace": "shop"},
            "spec": {"weighted": {"sticky": {"cookie": cookie}, "services": [
                {"name": "web-stable", "weight": stable}, {"name": "web-canary", "weight": canary},
            ]}},
        })
    };
    let rollout = rollout_with(json!({"traefik": {"weightedTraefikServiceName": "split"}}));
    assert_eq!(
        overlaid(&service(100, 0, "new"), &service(70, 30, "old"), &rollout),
        service(70, 30, "new")
    );
    assert!(controlled_by(&service(1, 1, ""), &[&rollout]).is_some());
}

#[test]
fn objects_that_no_rollout_drives_are_left_alone() {
    let live = route(json!([{"backendRefs": backends(90, 10, 0)}]));
    let target = route(json!([{"backendRefs": backends(100, 0, 0)}]));
    let other = rollout_with(gateway_api(json!({"httpRoute": "other"})));
    assert_eq!(overlaid(&target, &live, &other), target);
    assert!(controlled_by(&live, &[&other]).is_none());
    let (other, this) = (other, gateway_rollout());
    let found = controlled_by(&live, &[&other, &this]).unwrap();
    assert!(std::ptr::eq(found, &this));
    // A route of another version of the API is the same route.
    let mut old = live.clone();
    old["apiVersion"] = json!("gateway.networking.k8s.io/v1beta1");
    assert!(controlled_by(&old, &[&this]).is_some());
    old["apiVersion"] = json!("example.com/v1");
    assert!(controlled_by(&old, &[&this]).is_none());
}

#[test]
fn two_rollouts_of_one_route_each_keep_their_own_rule() {
    let cart = rollout(&json!({
        "metadata": {"name": "cart", "namespace": "shop"},
        "spec": {"strategy": {"canary": {
            "canaryService": "cart-canary", "stableService": "cart-stable",
            "trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "web"}}},
        }}},
    }));
    let rules = |web: i64, cart: i64| {
        route(json!([
            {"backendRefs": [
                {"name": "web-stable", "weight": 100 - web}, {"name": "web-canary", "weight": web},
            ]},
            {"backendRefs": [
                {"name": "cart-stable", "weight": 100 - cart}, {"name": "cart-canary", "weight": cart},
            ]},
        ]))
    };
    let mut target = rules(0, 0);
    overlay_controlled(&mut target, &rules(10, 30), &[&gateway_rollout(), &cart]);
    assert_eq!(target, rules(10, 30));
}

#[test]
fn canary_ingresses_that_are_no_longer_named_are_deleted_and_only_those() {
    let ingress = |name: &str, owner: &str, canary: &str| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {
                "name": name, "namespace": "shop", "uid": "uid", "resourceVersion": "1",
                "annotations": {"nginx.ingress.kubernetes.io/canary": canary},
                "ownerReferences": [{"uid": owner, "controller": true}],
            },
        })
    };
    let rollout = rollout_with(json!({"nginx": {"stableIngress": "web"}}));
    let all = [
        ingress("web-web-canary", "uid-of-rollout", "true"),
        ingress("web-old-canary", "uid-of-rollout", "true"),
        ingress("web-other-canary", "uid-of-another", "true"),
        ingress("web-plain", "uid-of-rollout", "false"),
    ];
    let objects: Vec<&Value> = all.iter().collect();
    let edits = orphans(&rollout, &objects);
    let summaries: Vec<&str> = edits.iter().map(|edit| edit.summary()).collect();
    assert_eq!(
        summaries,
        ["Ingress shop/web-old-canary: deleted, the Rollout no longer uses it"]
    );
}
