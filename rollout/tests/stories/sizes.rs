//! When sets grow, shrink and go: what a step waits for, what an abort waits for, how many old sets stay.

use serde_json::json;
use sluice_crds::names;

use crate::fixtures::scenes::paused_at_half;
use crate::fixtures::{Cluster, rollout};

fn waits_for_its_end(cluster: &Cluster, image: &str) -> bool {
    let annotations = &cluster.set(image).annotations;
    annotations.contains_key(names::SCALE_DOWN_DEADLINE)
}

#[test]
fn a_step_without_routes_is_not_done_before_the_pods_of_overtaken_revisions_are_gone() {
    let steps = json!([{ "setWeight": 20 }, { "pause": {} }]);
    let mut object = rollout(10, steps, false);
    object["spec"]["strategy"]["canary"]["maxSurge"] = json!(1);
    object["spec"]["strategy"]["canary"]["maxUnavailable"] = json!(0);
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    cluster.set_image("web:3");
    cluster.pass();
    assert_eq!((cluster.step(), cluster.pods("web:2")), (0, 2));
    cluster.pass_until("none is left", |it| {
        let overtaken = it.set("web:2").available;
        assert!(it.step() == 0 || overtaken == 0, "{overtaken} left");
        it.step() == 1
    });
}

#[test]
fn a_canary_that_is_to_have_no_pods_has_none_whatever_the_least_is() {
    let steps = json!([{ "setCanaryScale": { "weight": 0 } }, { "pause": {} }]);
    let mut object = rollout(10, steps, true);
    object["spec"]["strategy"]["canary"]["minPodsPerReplicaSet"] = json!(2);
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.pods("web:2")), ("Paused", 0));
}

#[test]
fn the_end_of_an_aborted_canary_begins_when_stable_is_whole_and_is_not_put_off_again() {
    let mut cluster = paused_at_half();
    cluster.few.insert("web:1", 3);
    cluster.abort();
    cluster.settle();
    assert!(!waits_for_its_end(&cluster, "web:2"), "it could be needed");
    cluster.few.clear();
    cluster.settle();
    assert!(waits_for_its_end(&cluster, "web:2"));
    cluster.few.insert("web:1", 3);
    cluster.wait(30);
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 0);
}

#[test]
fn at_most_so_many_old_sets_wait_beside_a_canary() {
    let mut object = rollout(2, json!([]), true);
    let canary = &mut object["spec"]["strategy"]["canary"];
    canary["scaleDownDelaySeconds"] = json!(1000);
    canary["scaleDownDelayRevisionLimit"] = json!(2);
    let mut cluster = Cluster::deployed(object);
    for image in ["web:2", "web:3", "web:4"] {
        cluster.set_image(image);
        cluster.settle();
    }
    let pods = ["web:1", "web:2", "web:3", "web:4"].map(|image| cluster.pods(image));
    assert_eq!(pods, [0, 2, 2, 2], "the newest of the old ones");
}

#[test]
fn a_delay_that_is_set_to_nothing_ends_the_wait_of_an_old_set() {
    let mut object = rollout(2, json!([]), true);
    object["spec"]["strategy"]["canary"]["scaleDownDelaySeconds"] = json!(1000);
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.pods("web:1"), 2);
    cluster.edit_canary(|canary| canary.scale_down_delay_seconds = Some(0));
    cluster.settle();
    assert_eq!(cluster.pods("web:1"), 0);
}
