//! Objects and settings of every shape, however wrong: nothing panics, and what is refused says which field.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says no more than where it failed"
)]

#[expect(dead_code, reason = "other test files use the rest")]
mod support;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sluice_crds::decode::decode;
use sluice_crds::rollout::Rollout;
use sluice_traffic::{controlled_by, orphans, overlay_controlled, referenced, service};
use support::{Store, split};

/// Keys that are read somewhere.
const KEYS: [&str; 40] = [
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "namespace",
    "uid",
    "labels",
    "annotations",
    "spec",
    "rules",
    "backendRefs",
    "weight",
    "group",
    "filters",
    "status",
    "parents",
    "conditions",
    "type",
    "observedGeneration",
    "generation",
    "weighted",
    "services",
    "http",
    "paths",
    "backend",
    "service",
    "ownerReferences",
    "controller",
    "deletionTimestamp",
    "selector",
    "tls",
    "httpRoute",
    "httpRoutes",
    "httpRouteRuleName",
    "ruleName",
    "useHeaderRoutes",
    "grpcRoute",
    "inProgressLabelKey",
    "httpRouteSelector",
    "argoproj-labs/gatewayAPI",
];

fn anything() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(&KEYS[..]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        key.clone().prop_map(Value::from),
        prop::sample::select(vec![
            "web",
            "web-stable",
            "web-canary",
            "shop",
            "",
            "ä~/",
            "True"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..4).prop_map(|entries| {
                Value::Object(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect::<Map<_, _>>(),
                )
            }),
        ]
    })
}

/// The JSON Pointers of every value in `value`.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(entries) => {
            for (key, item) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(item, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// `value` with up to three of its parts replaced by anything.
fn damaged(value: Value) -> impl Strategy<Value = Value> {
    prop::collection::vec((any::<prop::sample::Index>(), anything()), 0..4).prop_map(
        move |damage| {
            let mut value = value.clone();
            for (place, new) in damage {
                let mut all = Vec::new();
                pointers(&value, "", &mut all);
                if let Some(slot) = value.pointer_mut(place.get(&all).as_str()) {
                    *slot = new;
                }
            }
            value
        },
    )
}

fn a_rollout() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop", "uid": "uid-of-rollout"},
        "spec": {"strategy": {"canary": {
            "canaryService": "web-canary",
            "stableService": "web-stable",
            "steps": [{"setWeight": 10}, {"experiment": {"templates": [{"weight": 5}]}}],
            "trafficRouting": {
                "maxTrafficWeight": 100,
                "managedRoutes": [],
                "nginx": {"stableIngress": "web", "additionalIngressAnnotations": {"a": "b"}},
                "traefik": {"weightedTraefikServiceName": "web"},
                "plugins": {"argoproj-labs/gatewayAPI": {
                    "httpRoute": "web",
                    "httpRoutes": [{"name": "api", "useHeaderRoutes": true, "ruleName": "a"}],
                    "grpcRoutes": [{"name": "rpc"}],
                    "namespace": "shop",
                    "inProgressLabelKey": "a/b",
                    "disableInProgressLabel": false,
                }},
            },
        }}},
    })
}

fn objects() -> Vec<Value> {
    let metadata = |name: &str| {
        json!({
            "name": name, "namespace": "shop", "uid": "uid", "resourceVersion": "1", "generation": 2,
            "labels": {"app": "web"},
            "annotations": {
                "rollouts.argoproj.io/gatewayapi-active-rollouts": "shop/web",
                "nginx.ingress.kubernetes.io/canary": "true",
                "nginx.ingress.kubernetes.io/canary-weight": "10",
            },
            "ownerReferences": [{"uid": "uid-of-rollout", "controller": true}],
        })
    };
    let backends = json!([
        {"name": "web-stable", "kind": "Service", "group": "", "port": 80, "weight": 90},
        {"name": "web-canary", "port": 80, "weight": 10},
        {"name": "other", "port": 80, "weight": 0},
    ]);
    let paths = json!([{"path": "/", "backend": {"service": {"name": "web-stable"}}}]);
    let ingress = |name: &str| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata(name),
            "spec": {"tls": [{}], "rules": [{"host": "a", "http": {"paths": paths}}]},
        })
    };
    let conditions = json!([{"type": "Accepted", "status": "True", "observedGeneration": 2}]);
    vec![
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata("web"),
            "spec": {"rules": [{"name": "a", "backendRefs": backends}, {"backendRefs": backends}]},
            "status": {"parents": [{"conditions": conditions}]},
        }),
        json!({
            "apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "metadata": metadata("web"),
            "spec": {"weighted": {"services": backends}},
        }),
        ingress("web"),
        ingress("web-web-canary"),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata("web-stable"),
            "spec": {"selector": {"app": "web"}},
        }),
    ]
}

/// Uses every function of the crate.
fn everything(rollout: &Rollout, objects: &[Value], weight: i32) {
    if let Err(errors) = referenced(rollout) {
        for error in errors {
            assert!(
                error.field.starts_with("spec.") && !error.message.is_empty(),
                "{error}"
            );
        }
    }
    let mut store = Store(objects.to_vec());
    let max = rollout
        .spec
        .canary()
        .map_or(weight, |canary| canary.max_weight());
    for entry in store.observe(rollout, max) {
        if let Ok(canary) = entry.canary {
            assert!((0..=max.max(0)).contains(&canary), "{canary} of {max}");
        }
    }
    if rollout.spec.canary().is_some() {
        let mut edits = store.edits(rollout, &split(rollout, weight));
        edits.extend(store.removal(rollout));
        for edit in edits {
            assert!(edit.summary().starts_with(&edit.object().to_string()));
            // A patch may be refused; it must not be one that the API server cannot read.
            if matches!(edit, sluice_traffic::RouteEdit::Patch { .. }) {
                let _ = store.apply(&edit);
            }
        }
    }
    let all: Vec<&Value> = objects.iter().collect();
    let _ = orphans(rollout, &all);
    for object in objects {
        let _ = controlled_by(object, &[rollout]);
        for target in objects {
            overlay_controlled(&mut target.clone(), object, &[rollout]);
        }
        let _ = service::select(object, "web", "hash");
        let _ = service::release(object, "web");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn damaged_objects_never_panic(
        objects in objects().into_iter().map(damaged).collect::<Vec<_>>(), weight in any::<i32>(),
    ) {
        everything(&decode(&a_rollout()).unwrap(), &objects, weight);
    }

    #[test]
    fn damaged_settings_never_panic(rollout in damaged(a_rollout()), weight in -5..200) {
        if let Ok(rollout) = decode(&rollout) {
            everything(&rollout, &objects(), weight);
        }
    }

    #[test]
    fn settings_of_the_plugin_of_any_shape_never_panic(settings in anything()) {
        let routing = json!({"plugins": {"argoproj-labs/gatewayAPI": settings}});
        let rollout = support::rollout_with(routing);
        everything(&rollout, &objects(), 10);
    }
}
