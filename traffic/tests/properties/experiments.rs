//! Backends for experiments come and go, beside whatever a person has written.

use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_crds::rollout::Rollout;
use sluice_crds::split::{Split, WeightedService};
use sluice_traffic::overlay_controlled;

use crate::scenes::{lists, masked, scene, unmarked, weights};
use crate::support::{Store, gateway_api, rollout_with, split};

const ADDED: &str = "sluice.dev/experiment-backends";

fn destination(service: &str, weight: i32, ports: &[i32]) -> WeightedService {
    WeightedService {
        service: service.to_owned(),
        hash: format!("hash-{service}"),
        weight,
        ports: ports.to_vec(),
    }
}

/// The split with so much for the canary and for each of two experiments.
fn with_experiments(rollout: &Rollout, canary: i32, shares: [i32; 2]) -> Split {
    let [first, second] = shares;
    let additional = [
        destination("exp-b", first, &[8080]),
        destination("exp-a", second, &[9090, 80]),
    ];
    Split {
        additional: additional.into_iter().filter(|it| it.weight > 0).collect(),
        ..split(rollout, canary)
    }
}

fn shown(split: &Split) -> Vec<(String, i32)> {
    let mut shown: Vec<(String, i32)> = split
        .additional
        .iter()
        .map(|it| (it.service.clone(), it.weight))
        .collect();
    shown.sort();
    shown
}

/// The object without the backends that were added.
fn without_added(object: &Value) -> Value {
    let mut object = object.clone();
    for list in lists(&mut object) {
        list.retain(|item| item["name"] != "exp-a" && item["name"] != "exp-b");
    }
    let annotations = object.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.remove(ADDED);
    }
    unmarked(object)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn experiments_come_and_go_and_leave_no_trace(
        (rollout, object) in scene(), parts in [0..=1000, 0..=1000, 0..=1000],
    ) {
        prop_assume!(object["kind"] != "Ingress");
        let max = rollout.spec.canary().unwrap().max_weight();
        let canary = parts[0] % (max + 1);
        let first = parts[1] % (max - canary + 1);
        let second = parts[2] % (max - canary - first + 1);
        let mut store = Store(vec![object.clone()]);
        for shares in [[first, second], [second, 0], [0, 0]] {
            let wanted = with_experiments(&rollout, canary, shares);
            let readable = store.observe(&rollout, max).iter().all(|entry| entry.canary.is_ok());
            let divisible = lists(&mut store.0[0].clone()).into_iter().all(|list| {
                let (canary, stable, rest) = weights(list);
                let added: i64 = list
                    .iter()
                    .filter(|item| item["name"].as_str().is_some_and(|name| name.starts_with("exp-")))
                    .map(|item| item["weight"].as_i64().unwrap())
                    .sum();
                rest == added || (canary + stable + added) % i64::from(max) == 0
            });
            store.apply_all(&store.edits(&rollout, &wanted));
            prop_assert_eq!(store.edits(&rollout, &wanted), vec![]);
            prop_assert_eq!(masked(&without_added(&store.0[0])), masked(&without_added(&object)));
            for entry in store.observe(&rollout, max) {
                if readable && divisible {
                    prop_assert_eq!(entry.canary, Ok(canary));
                    prop_assert_eq!(&entry.additional, &shown(&wanted));
                }
            }
        }
        prop_assert!(!store.0[0].to_string().contains("exp-"), "{}", store.0[0]);
        store.apply_all(&store.edits(&rollout, &with_experiments(&rollout, canary, [first, second])));
        store.apply_all(&store.removal(&rollout));
        prop_assert!(!store.0[0].to_string().contains("exp-"), "{}", store.0[0]);
    }

    #[test]
    fn git_does_not_take_the_backends_of_experiments_away(
        (rollout, object) in scene(), parts in [0..=1000, 0..=1000],
    ) {
        prop_assume!(object["kind"] != "Ingress");
        let max = rollout.spec.canary().unwrap().max_weight();
        let canary = parts[0] % (max + 1);
        let wanted = with_experiments(&rollout, canary, [parts[1] % (max - canary + 1), 0]);
        let object = unmarked(object);
        let mut store = Store(vec![object.clone()]);
        store.apply_all(&store.edits(&rollout, &wanted));
        let mut desired = object;
        desired["spec"]["fromGit"] = json!("new");
        overlay_controlled(&mut desired, &store.0[0], &[&rollout]);
        store.0[0] = desired;
        prop_assert_eq!(store.edits(&rollout, &wanted), vec![]);
    }
}

fn route(backends: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
        "spec": {"rules": [{"backendRefs": backends}]},
    })
}

#[test]
fn a_backend_of_an_experiment_is_the_canarys_with_its_own_service_and_port() {
    let rollout = rollout_with(gateway_api(json!({"httpRoute": "web"})));
    let backends = json!([
        {"name": "web-stable", "port": 80, "weight": 100},
        {"name": "web-canary", "port": 80, "weight": 0, "filters": ["kept"]},
    ]);
    let mut store = Store(vec![route(backends)]);
    let wanted = with_experiments(&rollout, 10, [5, 5]);
    let edits = store.edits(&rollout, &wanted);
    assert_eq!(
        edits[0].summary(),
        "HTTPRoute shop/web: web-stable 100 → 80, web-canary 0 → 10, exp-a 0 → 5, exp-b 0 → 5, \
         label rollouts.argoproj.io/gatewayapi-canary=in-progress"
    );
    store.apply_all(&edits);
    assert_eq!(
        store.0[0]["spec"]["rules"][0]["backendRefs"],
        json!([
            {"name": "web-stable", "port": 80, "weight": 80},
            {"name": "web-canary", "port": 80, "weight": 10, "filters": ["kept"]},
            // Port 80 is one of its ports; 8080 is the only one of the other.
            {"name": "exp-a", "port": 80, "weight": 5, "filters": ["kept"]},
            {"name": "exp-b", "port": 8080, "weight": 5, "filters": ["kept"]},
        ])
    );
    let annotations = &store.0[0]["metadata"]["annotations"];
    assert_eq!(annotations[ADDED], r#"{"shop/web":["exp-a","exp-b"]}"#);
}

#[test]
fn a_backend_that_a_person_wrote_is_never_taken_for_an_experiments() {
    let rollout = rollout_with(gateway_api(json!({"httpRoute": "web"})));
    let backends = json!([
        {"name": "web-stable", "port": 80, "weight": 90},
        {"name": "web-canary", "port": 80, "weight": 10},
        {"name": "exp-a", "port": 80, "weight": 0},
    ]);
    let mut store = Store(vec![route(backends.clone())]);
    assert_eq!(store.observe(&rollout, 100)[0].additional, []);
    store.apply_all(&store.edits(&rollout, &split(&rollout, 10)));
    assert_eq!(store.0[0]["spec"]["rules"][0]["backendRefs"], backends);
}

#[test]
fn a_destination_that_is_one_of_the_two_sides_is_not_added_twice() {
    let rollout = rollout_with(gateway_api(json!({"httpRoute": "web"})));
    let backends = json!([{"name": "web-stable"}, {"name": "web-canary", "weight": 0}]);
    let mut store = Store(vec![route(backends)]);
    let wanted = Split {
        additional: vec![destination("web-canary", 5, &[80])],
        ..split(&rollout, 10)
    };
    store.apply_all(&store.edits(&rollout, &wanted));
    let list = store.0[0]["spec"]["rules"][0]["backendRefs"]
        .as_array()
        .unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(store.observe(&rollout, 100)[0].canary, Ok(10));
}
