//! Sizes apart from the weight: `setCanaryScale`, `replicaProgressThreshold`, and hashes that collide.

use serde_json::json;
use sluice_crds::names;

use crate::fixtures::{Cluster, rollout};

#[test]
fn the_canary_has_the_size_of_the_nearest_scale_step_until_it_follows_the_weight_again() {
    let steps = json!([
        { "setCanaryScale": { "replicas": 3 } }, { "pause": {} },
        { "setWeight": 10 }, { "pause": {} },
        { "setCanaryScale": { "weight": 25 } }, { "pause": {} },
        { "setCanaryScale": { "matchTrafficWeight": true } }, { "pause": {} }
    ]);
    let mut cluster = Cluster::deployed(rollout(20, steps, true));
    cluster.set_image("web:2");
    let mut seen = Vec::new();
    for _ in 0..4 {
        cluster.settle();
        assert_eq!(cluster.phase(), "Paused", "{}", cluster.describe());
        seen.push((cluster.step(), cluster.pods("web:2"), cluster.weight()));
        assert_eq!(cluster.pods("web:1"), 20);
        cluster.promote();
    }
    assert_eq!(seen, [(1, 3, 0), (3, 3, 10), (5, 5, 10), (7, 2, 10)]);
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.pods("web:2")), ("Healthy", 20));
}

#[test]
fn a_scale_step_never_takes_pods_that_the_traffic_needs() {
    let steps = json!([
        { "setWeight": 50 }, { "setCanaryScale": { "replicas": 1 } }, { "pause": {} }, { "setWeight": 80 }, { "pause": {} }
    ]);
    let mut cluster = Cluster::deployed(rollout(10, steps, true));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.step(), cluster.pods("web:2")), (2, 5));
    cluster.promote();
    cluster.settle();
    assert_eq!((cluster.step(), cluster.pods("web:2")), (4, 8));
}

#[test]
fn a_scale_step_ends_with_an_abort() {
    let steps = json!([{ "setCanaryScale": { "replicas": 3 } }, { "pause": {} }]);
    let mut cluster = Cluster::deployed(rollout(4, steps, true));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 3);
    cluster.abort();
    cluster.run_until("gone", |cluster| cluster.pods("web:2") == 0);
}

#[test]
fn several_keys_of_one_step_are_all_carried_out() {
    let steps = json!([{ "setWeight": 10, "setCanaryScale": { "replicas": 4 } }, { "pause": {} }]);
    let mut cluster = Cluster::deployed(rollout(10, steps, true));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        (cluster.step(), cluster.pods("web:2"), cluster.weight()),
        (1, 4, 10)
    );
    let told = cluster.events.iter().any(|event| {
        event.message == "Rollout step 1/2 completed (setWeight: 10, setCanaryScale: 4 pods)"
    });
    assert!(told, "{:?}", cluster.events);
}

#[test]
fn a_step_is_reached_at_the_threshold() {
    for (threshold, reached) in [
        (json!({ "type": "Percent", "value": 70 }), true),
        (json!({ "type": "Percent", "value": 90 }), false),
        (json!({ "type": "Pods", "value": 4 }), true),
        (json!({ "type": "Pods", "value": 5 }), false),
    ] {
        for routed in [false, true] {
            let steps = json!([{ "setWeight": 50 }, { "pause": {} }]);
            let mut object = rollout(10, steps, routed);
            object["spec"]["strategy"]["canary"]["replicaProgressThreshold"] = threshold.clone();
            let mut cluster = Cluster::deployed(object);
            cluster.few.insert("web:2", 4);
            cluster.set_image("web:2");
            cluster.settle();
            assert_eq!(cluster.pods("web:2"), 5);
            assert_eq!(
                cluster.step() == 1,
                reached,
                "{threshold} {routed} {}",
                cluster.describe()
            );
        }
    }
}

#[test]
fn a_promotion_needs_the_whole_size_and_available_pods_up_to_the_threshold() {
    for routed in [false, true] {
        let mut object = rollout(10, json!([{ "setWeight": 50 }]), routed);
        object["spec"]["strategy"]["canary"]["replicaProgressThreshold"] =
            json!({ "type": "Percent", "value": 50 });
        object["spec"]["strategy"]["canary"]["maxUnavailable"] = json!("50%");
        let mut cluster = Cluster::deployed(object);
        cluster.few.insert("web:2", 8);
        cluster.set_image("web:2");
        cluster.settle();
        assert_eq!(cluster.stable(), "web:2");
        assert_eq!(cluster.pods("web:2"), 10);
    }
}

#[test]
fn a_hash_that_is_taken_by_another_template_is_changed_by_the_collision_count() {
    let mut cluster = Cluster::deployed(rollout(2, json!([]), false));
    // The hash that web:2 would have is that of a set with another image.
    let mut probe = cluster.clone();
    probe.set_image("web:2");
    probe.pass();
    let hash = probe.set("web:2").hash().unwrap().to_owned();
    let mut other = cluster.set("web:1").clone();
    other.name = format!("web-{hash}");
    other.uid = "other".to_owned();
    other
        .labels
        .insert("rollouts-pod-template-hash".to_owned(), hash.clone());
    (other.replicas, other.current, other.available, other.ready) = (0, 0, 0, 0);
    let mut template = probe.set("web:2").template.clone();
    template.fields_mut()["spec"]["containers"][0]["image"] = json!("web:9");
    other.template = template;
    other.annotations.insert(
        names::TEMPLATE_DIGEST.to_owned(),
        "of another template".to_owned(),
    );
    cluster.sets.push(other);
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.status().collision_count, Some(1));
    assert_ne!(cluster.set("web:2").hash().unwrap(), hash);
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
    cluster.set_image("web:3");
    cluster.settle();
    assert_eq!(cluster.status().collision_count, Some(1));
    assert_eq!(cluster.stable(), "web:3");
}

#[test]
fn a_webhook_that_changes_images_makes_no_collision() {
    let mut cluster = Cluster::deployed(rollout(
        2,
        json!([{ "setWeight": 50 }, { "pause": {} }]),
        false,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    for set in &mut cluster.sets {
        set.template.fields_mut()["spec"]["containers"][0]["image"] = json!("mirror/web");
    }
    cluster.log.clear();
    cluster.settle();
    // Back to the stable revision, whose set does not look like its template any more.
    cluster.set_image("web:1");
    cluster.settle();
    assert_eq!(cluster.sets.len(), 2);
    assert_eq!(cluster.status().collision_count, None);
    assert_eq!(cluster.phase(), "Healthy");
}
