//! Any route, Ingress or TraefikService that a person may have written, with a Rollout of it.

use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_crds::rollout::Rollout;

use crate::support::{gateway_api, rollout_with};

pub(crate) const LABEL: &str = "rollouts.argoproj.io/gatewayapi-canary";
pub(crate) const ANNOTATION: &str = "rollouts.argoproj.io/gatewayapi-active-rollouts";
pub(crate) const ROUTES: &str = "sluice.dev/managed-routes";

pub(crate) fn weight() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        2 => Just(None),
        2 => Just(Some(0)),
        3 => Just(Some(100)),
        1 => Just(Some(2000)),
        3 => (0..300_i64).prop_map(Some),
    ]
}

pub(crate) fn backend(name: String) -> impl Strategy<Value = Value> {
    (weight(), any::<bool>(), any::<bool>()).prop_map(move |(weight, kind, filter)| {
        let mut backend = json!({"name": name, "port": 80});
        if let Some(weight) = weight {
            backend["weight"] = json!(weight);
        }
        if kind {
            backend["kind"] = json!("Service");
        }
        if filter {
            backend["unknown"] = json!({"deep": [1, {"kept": true}]});
        }
        backend
    })
}

/// A list of backends: perhaps the two, perhaps others, in any order.
pub(crate) fn backends() -> impl Strategy<Value = Vec<Value>> {
    let pair = prop_oneof![
        6 => Just(vec!["web-stable", "web-canary"]),
        1 => Just(vec!["web-stable"]),
        1 => Just(vec![]),
    ];
    let others = prop_oneof![3 => Just(0_usize), 1 => 1..3_usize];
    (pair, others)
        .prop_map(|(pair, others)| {
            let others = (0..others).map(|number| format!("other-{number}"));
            pair.into_iter()
                .map(str::to_owned)
                .chain(others)
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_flat_map(|names| names.into_iter().map(backend).collect::<Vec<_>>())
}

pub(crate) fn metadata(name: &'static str) -> impl Strategy<Value = Value> {
    (any::<bool>(), any::<bool>(), 0..3_u8).prop_map(move |(labels, annotations, mark)| {
        let mut metadata = json!({
            "name": name, "namespace": "shop", "uid": format!("uid-of-{name}"), "resourceVersion": "5",
        });
        if labels || mark > 0 {
            metadata["labels"] = json!({"app": "web"});
        }
        if annotations || mark > 0 {
            metadata["annotations"] = json!({"owner": "team"});
        }
        if mark > 0 {
            let listed = if mark == 1 { "shop/web" } else { "shop/cart,shop/web" };
            metadata["labels"][LABEL] = json!("in-progress");
            metadata["annotations"][ANNOTATION] = json!(listed);
        }
        metadata
    })
}

pub(crate) fn route() -> impl Strategy<Value = Value> {
    (
        metadata("web"),
        prop::collection::vec((backends(), any::<bool>()), 0..4),
    )
        .prop_map(|(metadata, rules)| {
            let rules: Vec<Value> = rules
                .into_iter()
                .map(|(backends, filter)| {
                    let mut rule = json!({"backendRefs": backends});
                    if filter {
                        rule["filters"] = json!([{"type": "URLRewrite", "unknown": {"a": 1}}]);
                    }
                    rule
                })
                .collect();
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": metadata,
                "spec": {"parentRefs": [{"name": "gateway"}], "rules": rules},
            })
        })
}

pub(crate) fn traefik_service() -> impl Strategy<Value = Value> {
    (metadata("web"), backends()).prop_map(|(metadata, services)| {
        json!({
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "TraefikService",
            "metadata": metadata,
            "spec": {"weighted": {"services": services, "sticky": {"cookie": {}}}},
        })
    })
}

pub(crate) fn ingress() -> impl Strategy<Value = Value> {
    let path = (0..3_usize, any::<bool>()).prop_map(|(service, exact)| {
        let service = ["web-stable", "web-stable", "images"][service];
        json!({
            "path": "/",
            "pathType": if exact { "Exact" } else { "Prefix" },
            "backend": {"service": {"name": service, "port": {"number": 80}}},
        })
    });
    let rule = prop_oneof![
        4 => prop::collection::vec(path, 1..4)
            .prop_map(|paths| json!({"host": "shop.example", "http": {"paths": paths}})),
        1 => Just(json!({"host": "bare.example"})),
    ];
    (
        metadata("web"),
        prop::collection::vec(rule, 0..4),
        any::<bool>(),
    )
        .prop_map(|(metadata, rules, tls)| {
            let mut spec = json!({"ingressClassName": "nginx", "rules": rules});
            if tls {
                spec["tls"] = json!([{"secretName": "shop"}]);
            }
            json!({
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "metadata": metadata,
                "spec": spec,
            })
        })
}

/// A Rollout of one router, and an object of it.
pub(crate) fn scene() -> impl Strategy<Value = (Rollout, Value)> {
    let maximum = prop_oneof![3 => Just(None), 1 => Just(Some(1000)), 1 => Just(Some(7))];
    let routed = prop_oneof![
        3 => route().prop_map(|route| (gateway_api(json!({"httpRoute": "web"})), route)),
        1 => route().prop_map(|route| {
            (gateway_api(json!({"httpRoute": "web", "disableInProgressLabel": true})), route)
        }),
        2 => traefik_service().prop_map(|service| {
            (json!({"traefik": {"weightedTraefikServiceName": "web"}}), service)
        }),
        2 => ingress().prop_map(|ingress| (json!({"nginx": {"stableIngress": "web"}}), ingress)),
    ];
    (routed, maximum).prop_map(|((mut routing, object), maximum)| {
        if let Some(maximum) = maximum {
            routing["maxTrafficWeight"] = json!(maximum);
        }
        (rollout_with(routing), object)
    })
}

/// The lists of backends in an object.
pub(crate) fn lists(object: &mut Value) -> Vec<&mut Vec<Value>> {
    if object["kind"] == "TraefikService" {
        return object["spec"]["weighted"]["services"]
            .as_array_mut()
            .into_iter()
            .collect();
    }
    let rules = object["spec"]["rules"].as_array_mut().into_iter().flatten();
    rules
        .filter_map(|rule| rule.get_mut("backendRefs")?.as_array_mut())
        .collect()
}

/// The object without what a Rollout may write.
pub(crate) fn masked(object: &Value) -> Value {
    let mut object = object.clone();
    for list in lists(&mut object) {
        for item in list {
            if item["name"] == "web-stable" || item["name"] == "web-canary" {
                item.as_object_mut().unwrap().remove("weight");
            }
        }
    }
    unmarked(object)
}

/// The object without the mark of a canary in progress.
pub(crate) fn unmarked(mut object: Value) -> Value {
    for (map, key) in [
        ("labels", LABEL),
        ("annotations", ANNOTATION),
        ("annotations", ROUTES),
    ] {
        let Some(metadata) = object["metadata"].as_object_mut() else {
            continue;
        };
        if let Some(entries) = metadata.get_mut(map).and_then(Value::as_object_mut) {
            entries.remove(key);
            if entries.is_empty() {
                metadata.remove(map);
            }
        }
    }
    object
}

pub(crate) fn weights(list: &[Value]) -> (i64, i64, i64) {
    let of = |name: &str| -> i64 {
        let items = list.iter().filter(|item| item["name"] == name);
        items.map(|item| item["weight"].as_i64().unwrap_or(1)).sum()
    };
    let all: i64 = list
        .iter()
        .map(|item| item["weight"].as_i64().unwrap_or(1))
        .sum();
    let (canary, stable) = (of("web-canary"), of("web-stable"));
    (canary, stable, all - canary - stable)
}
