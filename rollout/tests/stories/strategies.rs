//! From canary to blue-green and back, with pods and traffic under way.

use serde_json::{Value, json};

use crate::fixtures::{Cluster, blue_green, rollout};

fn strategy(object: &Value) -> Value {
    object["spec"]["strategy"].clone()
}

fn to_blue_green() -> Value {
    strategy(&blue_green(4, json!({ "autoPromotionEnabled": false })))
}

fn steps() -> Value {
    json!([{ "setWeight": 50 }, { "pause": {} }])
}

fn with_both_pairs(mut cluster: Cluster) -> Cluster {
    for name in ["web-active", "web-preview", "web-canary", "web-stable"] {
        if !cluster.services.contains_key(name) {
            cluster.add_service(name);
        }
    }
    cluster
}

#[test]
fn a_finished_canary_becomes_a_blue_green_without_a_new_pod() {
    let mut cluster = with_both_pairs(Cluster::deployed(rollout(4, steps(), false)));
    cluster.set_strategy(to_blue_green());
    cluster.settle();
    assert_eq!(
        cluster.log,
        ["select web-preview web:1", "select web-active web:1"]
    );
    assert_eq!(cluster.phase(), "Healthy", "{}", cluster.describe());
    assert_eq!(cluster.status().current_step_index, None);
    assert_eq!(cluster.status().current_step_hash, None);
    assert!(cluster.status().canary.is_none());
}

#[test]
fn a_finished_blue_green_becomes_a_canary_without_a_new_pod() {
    let mut cluster = with_both_pairs(Cluster::deployed(blue_green(4, json!({}))));
    cluster.set_strategy(strategy(&rollout(4, steps(), false)));
    cluster.settle();
    assert_eq!(
        cluster.log,
        [
            "select web-active everything",
            "select web-preview everything"
        ]
    );
    assert_eq!((cluster.phase(), cluster.step()), ("Healthy", 2));
    assert!(cluster.status().blue_green.is_none());
}

#[test]
fn services_that_are_left_serve_from_every_pod_before_the_old_revision_goes() {
    let mut cluster = with_both_pairs(Cluster::deployed(rollout(4, steps(), true)));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.weight(), 50);
    cluster.routes.clear();
    cluster.set_strategy(to_blue_green());
    cluster.settle();
    assert_eq!(cluster.selected("web-stable"), "");
    assert_eq!(cluster.selected("web-canary"), "");
    assert_eq!(cluster.message(), "BlueGreenPause");
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (4, 4));
    assert_eq!(cluster.selected("web-active"), "web:1");
    cluster.patch_status(|status| status.pause_conditions = None);
    cluster.run_until("the old one is gone", |cluster| cluster.pods("web:1") == 0);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn an_update_that_waits_as_a_blue_green_goes_on_as_a_canary_from_its_first_step() {
    for routed in [false, true] {
        let mut cluster = with_both_pairs(Cluster::deployed(blue_green(
            4,
            json!({ "autoPromotionEnabled": false }),
        )));
        cluster.set_image("web:2");
        cluster.settle();
        assert_eq!(cluster.message(), "BlueGreenPause");
        if routed {
            cluster.routes = vec![Ok(0)];
        }
        cluster.set_strategy(strategy(&rollout(4, steps(), routed)));
        cluster.settle();
        assert_eq!(
            (cluster.message(), cluster.step()),
            ("CanaryPauseStep", 1),
            "{}",
            cluster.describe()
        );
        assert_eq!(cluster.pods("web:2"), 2);
        cluster.promote();
        cluster.run_until("promoted", |cluster| {
            cluster.phase() == "Healthy" && cluster.pods("web:1") == 0
        });
        assert_eq!(cluster.stable(), "web:2");
    }
}

#[test]
fn a_canary_that_was_given_up_starts_over_as_a_blue_green() {
    let mut cluster = with_both_pairs(Cluster::deployed(rollout(4, steps(), false)));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.abort();
    cluster.settle();
    cluster.set_strategy(to_blue_green());
    cluster.settle();
    assert_eq!(cluster.message(), "BlueGreenPause");
    assert_eq!(cluster.selected("web-active"), "web:1");
}

/// Whether the next plan takes pods of `image` away while a Service selects it.
fn takes_what_is_selected(cluster: &Cluster, image: &str) -> bool {
    let set = cluster.set(image);
    let mut services = cluster.services.values();
    services.any(|service| service.hash() == set.hash())
        && cluster.plan().effects.iter().any(|effect| {
            matches!(effect, sluice_rollout::Effect::ScaleReplicaSet { name, .. } if *name == set.name)
        })
}

#[test]
fn pods_stay_until_a_service_that_was_left_was_seen_to_have_left_them() {
    for routed in [true, false] {
        let object = if routed {
            rollout(4, steps(), true)
        } else {
            blue_green(
                4,
                json!({ "autoPromotionEnabled": false, "scaleDownDelaySeconds": 0 }),
            )
        };
        let mut cluster = Cluster::deployed(object);
        cluster.set_image("web:2");
        cluster.settle();
        cluster.add_service("web-other");
        let mut strategy = serde_json::to_value(&cluster.rollout.spec.strategy).unwrap();
        let (kind, field) = if routed {
            ("canary", "canaryService")
        } else {
            ("blueGreen", "previewService")
        };
        strategy[kind][field] = json!("web-other");
        cluster.set_strategy(strategy);
        cluster.set_image("web:3");
        for _ in 0..40 {
            assert!(
                !takes_what_is_selected(&cluster, "web:2"),
                "{}",
                cluster.describe()
            );
            cluster.pass();
            cluster.tick();
        }
        assert_eq!(cluster.pods("web:2"), 0, "{}", cluster.describe());
    }
}
