//! Which objects a Rollout names, and which of its fields are refused and how.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says no more than where it failed"
)]

#[expect(dead_code, reason = "other test files use the rest")]
mod support;

use serde_json::{Value, json};
use sluice_crds::rollout::Rollout;
use sluice_traffic::referenced;
use support::{gateway_api, rollout, rollout_with};

const GATEWAY: &str = "spec.strategy.canary.trafficRouting.plugins[\"argoproj-labs/gatewayAPI\"]";

fn refusals(rollout: &Rollout) -> Vec<(String, String)> {
    let errors = referenced(rollout).err().unwrap_or_default();
    errors
        .into_iter()
        .map(|error| (error.field, error.message))
        .collect()
}

/// The only refusal: its field (without the common beginning) and its message.
fn refusal(routing: Value) -> (String, String) {
    let refusals = refusals(&rollout_with(routing.clone()));
    let [(field, message)] = refusals.as_slice() else {
        panic!("{routing} gives {refusals:?}");
    };
    let field = field
        .strip_prefix("spec.strategy.canary.trafficRouting")
        .unwrap_or(field);
    (
        field.replace("[\"argoproj-labs/gatewayAPI\"]", "[gw]"),
        message.clone(),
    )
}

#[test]
fn a_rollout_without_traffic_routing_names_nothing() {
    let plain = rollout(&json!({
        "metadata": {"name": "web"}, "spec": {"strategy": {"canary": {"steps": [{"setWeight": 5}]}}},
    }));
    assert_eq!(referenced(&plain), Ok(vec![]));
    let blue_green = rollout(&json!({
        "metadata": {"name": "web"}, "spec": {"strategy": {"blueGreen": {"activeService": "a"}}},
    }));
    assert_eq!(referenced(&blue_green), Ok(vec![]));
}

#[test]
fn every_object_is_named_with_its_field_and_what_is_made_is_marked() {
    let mut routing = gateway_api(json!({
        "httpRoute": "web",
        "httpRoutes": [{"name": "api", "useHeaderRoutes": true}],
        "grpcRoutes": [{"name": "rpc"}],
        "tcpRoutes": [{"name": "raw"}],
        "tlsRoute": "secure",
        "namespace": "edge",
        "configMap": "notes",
        "disableInProgressLabel": true,
    }));
    routing["nginx"] = json!({"stableIngresses": ["a", "b"]});
    routing["traefik"] = json!({"weightedTraefikServiceName": "split"});
    let objects = referenced(&rollout_with(routing)).unwrap();
    let listed: Vec<String> = objects
        .iter()
        .map(|named| {
            let made = if named.managed { " (made)" } else { "" };
            let api = &named.object.api_version;
            format!(
                "{api}/{} {}{made} in {}",
                named.object.plural, named.object, named.field
            )
        })
        .collect();
    let routing = "spec.strategy.canary.trafficRouting";
    assert_eq!(
        listed,
        [
            format!(
                "networking.k8s.io/v1/ingresses Ingress shop/a in {routing}.nginx.stableIngresses[0]"
            ),
            format!(
                "networking.k8s.io/v1/ingresses Ingress shop/web-a-canary (made) in {routing}.nginx.stableIngresses[0]"
            ),
            format!(
                "networking.k8s.io/v1/ingresses Ingress shop/b in {routing}.nginx.stableIngresses[1]"
            ),
            format!(
                "networking.k8s.io/v1/ingresses Ingress shop/web-b-canary (made) in {routing}.nginx.stableIngresses[1]"
            ),
            format!(
                "traefik.io/v1alpha1/traefikservices TraefikService shop/split in {routing}.traefik.weightedTraefikServiceName"
            ),
            format!(
                "gateway.networking.k8s.io/v1/httproutes HTTPRoute edge/web in {GATEWAY}.httpRoute"
            ),
            format!(
                "gateway.networking.k8s.io/v1/httproutes HTTPRoute edge/api in {GATEWAY}.httpRoutes[0].name"
            ),
            format!(
                "gateway.networking.k8s.io/v1/grpcroutes GRPCRoute edge/rpc in {GATEWAY}.grpcRoutes[0].name"
            ),
            format!(
                "gateway.networking.k8s.io/v1/tcproutes TCPRoute edge/raw in {GATEWAY}.tcpRoutes[0].name"
            ),
            format!(
                "gateway.networking.k8s.io/v1/tlsroutes TLSRoute edge/secure in {GATEWAY}.tlsRoute"
            ),
        ]
    );
}

#[test]
fn routers_that_are_not_built_in_are_refused_by_name() {
    for (key, settings) in [
        ("istio", json!({"virtualService": {"name": "web"}})),
        ("alb", json!({"ingress": "web", "servicePort": 80})),
        ("smi", json!({})),
        ("ambassador", json!({"mappings": ["web"]})),
        ("appMesh", json!({"virtualService": {"name": "web"}})),
        ("apisix", json!({"route": {"name": "web"}})),
    ] {
        let (field, message) = refusal(json!({key: settings}));
        assert_eq!(field, format!(".{key}"));
        assert!(
            message.contains("supported are nginx, traefik and plugins"),
            "{message}"
        );
    }
    let (field, message) =
        refusal(json!({"plugins": {"argoproj-labs/contour": {"httpProxy": "web"}}}));
    assert_eq!(field, ".plugins[\"argoproj-labs/contour\"]");
    assert_eq!(
        message,
        "unknown plugin; built in is argoproj-labs/gatewayAPI"
    );
    // One that is built in does not excuse one that is not.
    let (field, _) = refusal(json!({"nginx": {"stableIngress": "web"}, "istio": {}}));
    assert_eq!(field, ".istio");
    assert_eq!(refusal(json!({})).0, "");
}

#[test]
fn settings_that_cannot_be_honoured_are_refused_with_their_path() {
    let gateway = |settings: Value| refusal(gateway_api(settings));
    for (settings, field, words) in [
        (
            json!({"httpRouteSelector": {"matchLabels": {"a": "b"}}}),
            ".httpRouteSelector",
            "list them in httpRoutes",
        ),
        (
            json!({"httpRoute": "web", "tlsRouteSelector": {}}),
            ".tlsRouteSelector",
            "list them in tlsRoutes",
        ),
        (json!({}), "", "names no route"),
        (json!("web"), "", "must be a map"),
        (
            json!({"httpRoute": 5}),
            ".httpRoute",
            "must be a text, not 5",
        ),
        (
            json!({"httpRoute": "web", "namespace": ["a"]}),
            ".namespace",
            "must be a text",
        ),
        (
            json!({"httpRoute": "web", "disableInProgressLabel": "yes"}),
            ".disableInProgressLabel",
            "true or false",
        ),
        (
            json!({"httpRoute": "web", "retries": 3}),
            ".retries",
            "unknown setting",
        ),
        (
            json!({"httpRoutes": "web"}),
            ".httpRoutes",
            "must be a list",
        ),
        (
            json!({"httpRoutes": ["web"]}),
            ".httpRoutes[0]",
            "must be a map",
        ),
        (
            json!({"httpRoutes": [{"useHeaderRoutes": true}]}),
            ".httpRoutes[0].name",
            "required",
        ),
        (
            json!({"httpRoutes": [{"name": "web", "useHeaderRoutes": 1}]}),
            ".httpRoutes[0].useHeaderRoutes",
            "wrong type",
        ),
        (
            json!({"httpRoutes": [{"name": "web", "weight": 1}]}),
            ".httpRoutes[0].weight",
            "unknown setting",
        ),
        (
            json!({"httpRoute": "web", "httpRoutes": [{"name": "web"}]}),
            ".httpRoutes[0].name",
            "named by",
        ),
        (
            json!({"httpRoute": "web", "grpcRouteRuleName": "a"}),
            ".grpcRouteRuleName",
            "which is not set",
        ),
    ] {
        let (found, message) = gateway(settings.clone());
        assert_eq!(
            found,
            format!(".plugins[gw]{field}"),
            "{settings}: {message}"
        );
        assert!(message.contains(words), "{settings}: {message}");
    }
    for (settings, field, words) in [
        (json!({}), ".stableIngress", "required"),
        (
            json!({"stableIngress": "a", "stableIngresses": ["b"]}),
            ".stableIngresses",
            "keep one",
        ),
        (
            json!({"stableIngresses": ["a", ""]}),
            ".stableIngresses[1]",
            "is empty",
        ),
        (
            json!({"stableIngresses": ["a", "a"]}),
            ".stableIngresses[1]",
            "named twice",
        ),
        (
            json!({"stableIngress": "a", "additionalIngressAnnotations": {"canary-weight": "5"}}),
            ".additionalIngressAnnotations.canary-weight",
            "written by the controller",
        ),
        (
            json!({"stableIngress": "a", "canaryIngressAnnotations": {
                "nginx.ingress.kubernetes.io/canary-weight-total": "5",
            }}),
            ".canaryIngressAnnotations.nginx.ingress.kubernetes.io/canary-weight-total",
            "maxTrafficWeight",
        ),
    ] {
        let (found, message) = refusal(json!({"nginx": settings}));
        assert_eq!(found, format!(".nginx{field}"), "{settings}: {message}");
        assert!(message.contains(words), "{settings}: {message}");
    }
    let (field, _) = refusal(json!({"traefik": {}}));
    assert_eq!(field, ".traefik.weightedTraefikServiceName");
    let nginx = json!({"stableIngress": "a"});
    let (field, _) = refusal(json!({"nginx": nginx, "managedRoutes": [{"name": "header"}]}));
    assert_eq!(field, ".managedRoutes");
    for maximum in [0, -1, 1_000_001] {
        let (field, _) = refusal(json!({"nginx": nginx, "maxTrafficWeight": maximum}));
        assert_eq!(field, ".maxTrafficWeight");
    }
}

#[test]
fn names_too_long_for_two_canary_ingresses_are_refused_and_one_is_cut() {
    let long = "a".repeat(250);
    let objects = referenced(&rollout_with(json!({"nginx": {"stableIngress": long}}))).unwrap();
    let name = &objects[1].object.name;
    assert_eq!(name.len(), 253);
    assert!(name.starts_with("web-aaa") && name.ends_with("aaa-canary"));
    let both = json!({"nginx": {"stableIngresses": [format!("{long}1"), format!("{long}2")]}});
    let (field, message) = refusal(both);
    assert_eq!(field, ".nginx.stableIngresses[1]");
    assert!(message.contains("shorten one of them"), "{message}");
}

#[test]
fn missing_services_and_steps_that_no_router_can_take_are_refused() {
    let strategy = |strategy: Value| {
        refusals(&rollout(&json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"strategy": {"canary": strategy}},
        })))
        .into_iter()
        .map(|(field, _)| field.replace("spec.strategy.canary.", ""))
        .collect::<Vec<_>>()
    };
    let routing = json!({"nginx": {"stableIngress": "web"}});
    assert_eq!(
        strategy(json!({"trafficRouting": routing})),
        ["canaryService", "stableService"]
    );
    let same = json!({"canaryService": "a", "stableService": "a", "trafficRouting": routing});
    assert_eq!(strategy(same), ["canaryService"]);
    let swapped = json!({
        "pingPong": {"pingService": "a", "pongService": "b"}, "trafficRouting": routing,
    });
    assert_eq!(strategy(swapped), ["pingPong"]);
    let steps = json!({
        "canaryService": "a", "stableService": "b", "trafficRouting": routing,
        "steps": [
            {"setWeight": 5},
            {"setHeaderRoute": {"name": "h"}},
            {"setMirrorRoute": {"name": "m"}},
            {"experiment": {"templates": [{"name": "x", "specRef": "canary"}, {"name": "y", "weight": 5}]}},
        ],
    });
    assert_eq!(
        strategy(steps),
        [
            "steps[1].setHeaderRoute",
            "steps[2].setMirrorRoute",
            "steps[3].experiment.templates[1].weight"
        ]
    );
}

#[test]
fn header_and_mirror_steps_are_refused_where_no_router_carries_them() {
    let fields = |routing: Value, steps: Value| -> Vec<String> {
        let mut rollout = rollout_with(routing);
        let canary = rollout.spec.strategy.as_mut().unwrap().canary.as_mut();
        canary.unwrap().steps = serde_json::from_value(steps).unwrap();
        let errors = referenced(&rollout).err().unwrap_or_default();
        errors
            .into_iter()
            .map(|error| error.field.replace("spec.strategy.canary.", ""))
            .collect()
    };
    let steps = json!([
        {"setHeaderRoute": {"name": "h", "match": [{"headerName": "X-A", "headerValue": {"exact": "a"}}]}},
        {"setMirrorRoute": {"name": "m", "match": [{"path": {"prefix": "/"}}]}},
    ]);
    let both = ["steps[0].setHeaderRoute", "steps[1].setMirrorRoute"];
    let none: [&str; 0] = [];
    let gateway = |settings: Value| fields(gateway_api(settings), steps.clone());
    assert_eq!(gateway(json!({"httpRoute": "web"})), none);
    assert_eq!(
        gateway(json!({"httpRoutes": [{"name": "web", "useHeaderRoutes": true}]})),
        none
    );
    assert_eq!(gateway(json!({"httpRoutes": [{"name": "web"}]})), both);
    assert_eq!(gateway(json!({"tcpRoute": "web"})), both);
    assert_eq!(gateway(json!({"grpcRoute": "web"})), both[1..]);
    let mut beside = gateway_api(json!({"httpRoute": "web"}));
    beside["traefik"] = json!({"weightedTraefikServiceName": "web"});
    assert_eq!(fields(beside, steps), both);

    let wrong = json!([
        {"setHeaderRoute": {"name": "h", "match": [{"headerName": ""}, {"headerName": "A"}, {"headerName": "a"}]}},
        {"setMirrorRoute": {"name": "m", "percentage": 101, "match": [
            {"method": {"prefix": "G"}}, {"path": {"exact": "a"}}, {"headers": {"a b": {"exact": "a"}}},
        ]}},
    ]);
    let mut routing = gateway_api(json!({"httpRoute": "web"}));
    routing["managedRoutes"] = json!([{"name": "h"}, {"name": "h"}, {"name": "No_Label"}, {}]);
    assert_eq!(
        fields(routing, wrong),
        [
            "steps[0].setHeaderRoute.match[0].headerName",
            "steps[0].setHeaderRoute.match[2].headerName",
            "steps[1].setMirrorRoute.percentage",
            "steps[1].setMirrorRoute.match[0].method",
            "steps[1].setMirrorRoute.match[1].path",
            "steps[1].setMirrorRoute.match[2].headers[\"a b\"]",
            "trafficRouting.managedRoutes[1].name",
            "trafficRouting.managedRoutes[2].name",
            "trafficRouting.managedRoutes[3].name",
        ]
    );
}
