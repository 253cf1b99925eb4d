//! Blue-green while pods come and go: what the switch, the promotion and the ways back wait for.

use serde_json::json;
use sluice_crds::names;

use crate::blue_green::waiting;
use crate::fixtures::{Cluster, analysis, blue_green};

/// An update that was switched to, and is measured.
fn switched(replicas: i32, fields: serde_json::Value) -> Cluster {
    let mut fields = fields;
    fields["postPromotionAnalysis"] = analysis("errors");
    let mut cluster = Cluster::deployed(blue_green(replicas, fields));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
    cluster
}

fn waits_for_its_end(cluster: &Cluster, image: &str) -> bool {
    let annotations = &cluster.set(image).annotations;
    annotations.contains_key(names::SCALE_DOWN_DEADLINE)
}

#[test]
fn a_revision_that_lost_pods_after_the_switch_is_stable_only_when_they_are_back() {
    let mut cluster = switched(4, json!({}));
    cluster.few.insert("web:2", 2);
    cluster.tick();
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.settle();
    assert_eq!(cluster.stable(), "web:1");
    cluster.few.clear();
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
}

#[test]
fn a_pause_ends_with_the_pods_that_it_was_for_and_begins_anew_with_them() {
    let mut cluster = Cluster::deployed(blue_green(4, json!({ "autoPromotionSeconds": 60 })));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.wait(50);
    cluster.broken.push("web:2");
    cluster.settle();
    assert_eq!(cluster.phase(), "Progressing");
    assert_eq!(cluster.status().pause_conditions, None);
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(cluster.phase(), "Paused");
    for (seconds, active) in [(59, "web:1"), (1, "web:2")] {
        cluster.wait(seconds);
        cluster.settle();
        assert_eq!(cluster.selected("web-active"), active);
    }
}

#[test]
fn going_on_from_an_unclear_measurement_is_no_promotion() {
    let fields =
        json!({ "prePromotionAnalysis": analysis("errors"), "autoPromotionEnabled": false });
    let mut cluster = Cluster::deployed(blue_green(4, fields));
    cluster
        .verdicts
        .insert("errors".into(), ("Inconclusive", ""));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.message(), "InconclusiveAnalysisRun");
    cluster.verdicts.clear();
    cluster.patch_status(|status| status.pause_conditions = None);
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.runs.len()), ("Progressing", 2));
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.settle();
    assert_eq!(
        (cluster.message(), cluster.selected("web-active").as_str()),
        ("BlueGreenPause", "web:1")
    );
}

#[test]
fn a_retry_takes_back_the_end_of_the_preview_and_another_abort_begins_it_anew() {
    let mut cluster = waiting(json!({}));
    cluster.abort();
    cluster.settle();
    assert!(waits_for_its_end(&cluster, "web:2"));
    cluster.wait(10);
    cluster.retry();
    cluster.settle();
    assert!(!waits_for_its_end(&cluster, "web:2"));
    cluster.wait(25);
    cluster.abort();
    cluster.settle();
    for (seconds, pods) in [(29, 4), (1, 0)] {
        cluster.wait(seconds);
        cluster.settle();
        assert_eq!(cluster.pods("web:2"), pods);
    }
}

#[test]
fn a_revision_that_is_overtaken_after_the_switch_serves_until_stable_can() {
    let mut cluster = switched(4, json!({ "scaleDownDelaySeconds": 20 }));
    cluster.broken = vec!["web:1", "web:3"];
    cluster.tick();
    cluster.set_image("web:3");
    cluster.settle();
    cluster.wait(100);
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
    assert_eq!(cluster.pods("web:2"), 4);
    assert!(!waits_for_its_end(&cluster, "web:2"), "not while it serves");
    cluster.broken = vec!["web:3"];
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1");
    for (seconds, pods) in [(19, 4), (1, 0)] {
        cluster.wait(seconds);
        cluster.settle();
        assert_eq!(cluster.pods("web:2"), pods);
    }
}

#[test]
fn a_rollout_that_is_scaled_to_nothing_is_switched_when_nobody_is_served_any_more() {
    let mut cluster = Cluster::deployed(blue_green(4, json!({})));
    cluster.broken.push("web:2");
    cluster.set_image("web:2");
    cluster.settle();
    cluster.log.clear();
    cluster.scale(0);
    cluster.settle();
    let at = |what: &str| cluster.log.iter().position(|line| line == what).unwrap();
    assert!(at("scale web:1 4 -> 0") < at("select web-active web:2"));
}

#[test]
fn an_abort_after_the_switch_goes_back_to_as_many_pods_as_may_serve() {
    // Of 8 pods 25 % may be missing.
    for (stable, active) in [(5, "web:2"), (6, "web:1")] {
        let mut cluster = switched(8, json!({}));
        cluster.few.insert("web:1", stable);
        cluster.tick();
        cluster.abort();
        cluster.settle();
        assert_eq!(cluster.selected("web-active"), active, "{stable} pods");
    }
}

#[test]
fn an_abort_goes_back_to_a_first_pod_when_nobody_is_served() {
    let mut cluster = switched(4, json!({}));
    cluster.broken = vec!["web:1", "web:2"];
    cluster.tick();
    cluster.abort();
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2", "it is no better");
    cluster.broken = vec!["web:2"];
    cluster.few.insert("web:1", 1);
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1");
}

#[test]
fn the_deadline_counts_from_the_last_old_pods_that_went() {
    let mut cluster = waiting(json!({ "scaleDownDelaySeconds": 50 }));
    cluster.edit(|rollout| rollout.spec.progress_deadline_seconds = Some(60));
    cluster.broken.push("web:3");
    cluster.set_image("web:3");
    cluster.settle();
    cluster.wait(50);
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 0);
    cluster.wait(60);
    cluster.settle();
    assert_eq!(cluster.phase(), "Progressing");
    cluster.wait(1);
    cluster.settle();
    assert_eq!(cluster.phase(), "Degraded");
}

#[test]
fn an_update_that_another_controller_began_is_told_as_not_completed() {
    let mut cluster = waiting(json!({}));
    cluster.events.clear();
    cluster.patch_status(|status| status.conditions = None);
    cluster.settle();
    assert!(cluster.event_reasons().contains(&"RolloutNotCompleted"));
}
