//! Blue-green: the gate before the switch, the switch, the judgement after it.

use serde_json::json;
use sluice_crds::names;

use crate::fixtures::{Cluster, analysis, blue_green};

/// An update that stands before the switch.
pub(crate) fn waiting(fields: serde_json::Value) -> Cluster {
    let mut fields = fields;
    fields["autoPromotionEnabled"] = json!(false);
    let mut cluster = Cluster::deployed(blue_green(4, fields));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Paused", "BlueGreenPause"),
        "{}",
        cluster.describe()
    );
    cluster.log.clear();
    cluster
}

#[test]
fn an_update_grows_beside_the_active_revision_and_is_switched_to_when_it_is_whole() {
    let mut cluster = Cluster::deployed(blue_green(4, json!({})));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        cluster.log,
        [
            "create web:2",
            "scale web:2 0 -> 4",
            "select web-preview web:2",
            "select web-active web:2"
        ]
    );
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
    let status = cluster.status().blue_green.clone().unwrap();
    assert_eq!(status.active_selector, cluster.status().current_pod_hash);
    assert_eq!(status.preview_selector, status.active_selector);
    assert_eq!(status.scale_up_preview_check_point, None);
    assert_eq!(
        cluster.pods("web:1"),
        4,
        "the old set waits for its deadline"
    );
    cluster.wait(29);
    cluster.settle();
    assert_eq!(cluster.pods("web:1"), 4);
    cluster.wait(1);
    cluster.settle();
    assert_eq!(cluster.pods("web:1"), 0);
}

#[test]
fn the_first_deployment_and_an_update_tell_the_known_sequence() {
    let mut object = blue_green(1, json!({}));
    let strategy = object["spec"]["strategy"]["blueGreen"]
        .as_object_mut()
        .unwrap();
    strategy.remove("previewService");
    let mut cluster = Cluster::new(object);
    cluster.settle();
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        cluster.event_reasons(),
        [
            "RolloutAddedToInformer",
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "ScalingReplicaSet",
            "RolloutCompleted",
            "SwitchService",
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "RolloutNotCompleted",
            "ScalingReplicaSet",
            "SwitchService",
            "RolloutCompleted",
        ]
    );
    let completed: Vec<&str> = cluster
        .events
        .iter()
        .filter(|event| event.reason == "RolloutCompleted")
        .map(|event| event.message.rsplit(": ").next().unwrap())
        .collect();
    assert_eq!(completed, ["Initial deploy", "Completed blue-green update"]);
}

#[test]
fn what_autoscalers_read_is_the_active_revision() {
    let cluster = waiting(json!({}));
    let status = cluster.status();
    let active = cluster.set("web:1").hash().unwrap();
    assert_eq!(status.replicas, Some(8));
    assert_eq!(
        (status.hpa_replicas, status.available_replicas),
        (Some(4), Some(4))
    );
    assert_eq!(
        status.selector.as_deref(),
        Some(format!("app=web,{}={active}", names::POD_TEMPLATE_HASH).as_str())
    );
}

#[test]
fn a_person_goes_on() {
    let mut cluster = waiting(json!({}));
    assert_eq!(cluster.selected("web-active"), "web:1");
    assert_eq!(cluster.selected("web-preview"), "web:2");
    cluster.wait(100_000);
    cluster.settle();
    assert_eq!(cluster.phase(), "Paused");
    cluster.patch_status(|status| status.pause_conditions = None);
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
    assert_eq!(cluster.status().controller_pause, None);
}

#[test]
fn auto_promotion_after_seconds_ends_the_pause() {
    let mut cluster = Cluster::deployed(blue_green(4, json!({ "autoPromotionSeconds": 60 })));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.phase(), "Paused");
    let wake = cluster.plan().wake_at.unwrap();
    assert_eq!(wake.duration_since(cluster.now).as_secs(), 60);
    cluster.wait(59);
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1");
    cluster.wait(1);
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn the_preview_is_small_until_it_is_promoted_and_switched_to_only_when_whole() {
    let mut cluster = waiting(json!({ "previewReplicaCount": 1 }));
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (4, 1));
    cluster.patch_status(|status| status.pause_conditions = None);
    cluster.settle();
    assert_eq!(
        cluster.log,
        ["scale web:2 1 -> 4", "select web-active web:2"]
    );
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn pods_that_crash_after_the_gate_do_not_close_it_and_are_not_switched_to() {
    let mut cluster = waiting(json!({ "previewReplicaCount": 1 }));
    cluster.broken.push("web:2");
    cluster.patch_status(|status| status.pause_conditions = None);
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1");
    let state = cluster.status().blue_green.clone().unwrap();
    assert_eq!(state.scale_up_preview_check_point, Some(true));
    assert_eq!(cluster.phase(), "Progressing");
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
}

#[test]
fn the_analysis_before_the_switch_comes_before_the_pause() {
    let mut cluster = Cluster::deployed(blue_green(
        4,
        json!({ "prePromotionAnalysis": analysis("errors"), "autoPromotionEnabled": false }),
    ));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.phase(), "Progressing");
    assert_eq!(cluster.status().pause_conditions, None);
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.settle();
    assert_eq!(cluster.message(), "BlueGreenPause");
    assert_eq!(cluster.selected("web-active"), "web:1");
}

#[test]
fn an_analysis_that_takes_its_time_does_not_run_into_the_deadline() {
    for field in ["prePromotionAnalysis", "postPromotionAnalysis"] {
        let mut cluster = Cluster::deployed(blue_green(4, json!({ field: analysis("errors") })));
        cluster.edit(|rollout| rollout.spec.progress_deadline_seconds = Some(60));
        cluster.set_image("web:2");
        cluster.settle();
        cluster.wait(600);
        cluster.settle();
        assert_eq!(cluster.phase(), "Progressing", "{field}");
        cluster.verdicts.insert("errors".into(), ("Successful", ""));
        cluster.settle();
        assert_eq!(cluster.phase(), "Healthy", "{field}");
    }
}

#[test]
fn an_analysis_after_the_switch_does_not_wait_for_pods_of_a_rollout_without_any() {
    let strategy = json!({ "postPromotionAnalysis": analysis("errors") });
    let mut cluster = Cluster::deployed(blue_green(4, strategy));
    cluster.edit(|rollout| rollout.spec.replicas = Some(0));
    cluster.settle();
    cluster.set_image("web:2");
    cluster.settle();
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.settle();
    assert_eq!(cluster.phase(), "Healthy", "{}", cluster.message());
}

#[test]
fn a_set_that_stays_beyond_its_time_does_not_hide_that_the_revision_is_stuck() {
    let mut cluster = Cluster::new(blue_green(4, json!({})));
    while cluster.sets.iter().all(|set| set.replicas == 0) {
        cluster.pass();
    }
    cluster.tick();
    // Before the first revision is done: another one, whose pods never come up, for which nothing has to.
    cluster.broken.push("web:2");
    cluster.scale(0);
    cluster.set_image("web:2");
    let waits = |cluster: &Cluster| {
        let annotations = &cluster.set("web:1").annotations;
        annotations.contains_key(names::SCALE_DOWN_DEADLINE)
    };
    while !waits(&cluster) {
        assert!(cluster.pass());
    }
    cluster.scale(4);
    cluster.settle();
    assert!(cluster.plan().wake_at.is_some(), "nobody would look again");
    cluster.wait(31);
    cluster.settle();
    let first = cluster.set("web:1");
    assert!(first.replicas > 0, "the active Service needs its pods");
    assert!(waits(&cluster));
    assert_eq!(cluster.phase(), "Progressing");
    cluster.run_until("stuck", |cluster| cluster.phase() == "Degraded");
    assert!(
        cluster.message().starts_with("ProgressDeadlineExceeded"),
        "{}",
        cluster.message()
    );
}

#[test]
fn an_inconclusive_analysis_waits_for_a_person_and_measures_again() {
    let mut cluster = Cluster::deployed(blue_green(
        2,
        json!({ "prePromotionAnalysis": analysis("errors") }),
    ));
    cluster
        .verdicts
        .insert("errors".into(), ("Inconclusive", ""));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Paused", "InconclusiveAnalysisRun")
    );
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.patch_status(|status| status.pause_conditions = None);
    cluster.settle();
    assert_eq!(cluster.phase(), "Healthy", "{}", cluster.describe());
    assert_eq!(cluster.runs.len(), 2);
}

#[test]
fn at_most_so_many_old_sets_wait_and_they_keep_up_with_the_size() {
    let mut cluster = Cluster::deployed(blue_green(
        2,
        json!({ "scaleDownDelaySeconds": 1000, "scaleDownDelayRevisionLimit": 1 }),
    ));
    for image in ["web:2", "web:3"] {
        cluster.set_image(image);
        cluster.settle();
    }
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (0, 2));
    cluster.scale(5);
    cluster.settle();
    assert_eq!((cluster.pods("web:2"), cluster.pods("web:3")), (5, 5));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
}

#[test]
fn paused_by_hand_neither_switches_nor_scales() {
    let mut cluster = waiting(json!({}));
    cluster.edit(|rollout| rollout.spec.paused = Some(true));
    cluster.patch_status(|status| status.pause_conditions = None);
    cluster.scale(6);
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1");
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (4, 4));
    cluster.edit(|rollout| rollout.spec.paused = None);
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
    assert_eq!(cluster.pods("web:2"), 6);
}

#[test]
fn scaling_while_it_waits_sizes_both_sides() {
    let mut cluster = waiting(json!({}));
    cluster.scale(7);
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (7, 7));
    cluster.scale(0);
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (0, 0));
    cluster.patch_status(|status| status.pause_conditions = None);
    cluster.settle();
    assert_eq!(cluster.stable(), "web:2");
}

#[test]
fn without_any_pods_everything_is_switched_all_the_same() {
    let mut cluster = Cluster::deployed(blue_green(0, json!({})));
    assert_eq!(cluster.selected("web-active"), "web:1");
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.selected("web-active").as_str()),
        ("Healthy", "web:2")
    );
}

#[test]
fn a_lost_status_is_found_again_in_the_active_service() {
    let mut cluster = Cluster::deployed(blue_green(2, json!({ "autoPromotionEnabled": false })));
    cluster.rollout.status = None;
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.stable(), "web:1");
    assert_eq!(cluster.selected("web-active"), "web:1");
    assert_eq!(cluster.message(), "BlueGreenPause");
}

#[test]
fn a_service_that_served_from_every_pod_is_taken_over_only_by_a_whole_set() {
    let mut cluster = Cluster::new(blue_green(3, json!({})));
    cluster.broken.push("web:1");
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "");
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1");
}

#[test]
fn without_the_active_service_nothing_moves_and_the_field_is_named() {
    let mut object = blue_green(2, json!({}));
    object["spec"]["strategy"]["blueGreen"]["activeService"] = json!("absent");
    let mut cluster = Cluster::new(object);
    cluster.services.remove("absent");
    cluster.settle();
    assert!(
        cluster
            .message()
            .contains("spec.strategy.blueGreen.activeService"),
        "{}",
        cluster.message()
    );
    assert!(cluster.sets.is_empty());
}
