//! Blue-green: the switch, the gate before it, the judgement after it, and the ways back.

use serde_json::json;
use sluice_crds::names;
use sluice_crds::rollout::RollbackWindow;

use crate::fixtures::{Cluster, analysis, blue_green};

/// An update that stands before the switch.
fn waiting(fields: serde_json::Value) -> Cluster {
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
fn a_failed_analysis_before_the_switch_gives_up_and_the_preview_goes_after_its_delay() {
    let mut cluster = Cluster::deployed(blue_green(
        4,
        json!({ "prePromotionAnalysis": analysis("errors"), "previewReplicaCount": 2 }),
    ));
    cluster
        .verdicts
        .insert("errors".into(), ("Failed", "too many"));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.phase(), "Degraded");
    assert_eq!(
        cluster.message(),
        "RolloutAborted: Rollout aborted update to revision 2: Blue/green pre-promotion analysis phase error/failed: too many"
    );
    assert_eq!(cluster.selected("web-active"), "web:1");
    assert_eq!(cluster.pods("web:2"), 2);
    cluster.wait(30);
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (4, 0));
    let run = &cluster.runs[0].metadata;
    assert!(run.name.as_ref().unwrap().ends_with("-2-pre"));
    assert_eq!(
        run.labels.as_ref().unwrap()[names::ROLLOUT_TYPE],
        "PrePromotion"
    );
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
fn a_failed_analysis_after_the_switch_brings_the_old_revision_back_which_still_runs() {
    let mut cluster = Cluster::deployed(blue_green(
        4,
        json!({ "postPromotionAnalysis": analysis("errors"), "scaleDownDelaySeconds": 1 }),
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.wait(3600);
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Progressing", "waiting for analysis to complete")
    );
    assert_eq!(
        (cluster.stable().as_str(), cluster.pods("web:1")),
        ("web:1", 4)
    );
    cluster.log.clear();
    cluster.verdicts.insert("errors".into(), ("Failed", "5 %"));
    cluster.settle();
    assert_eq!(cluster.log, ["select web-active web:1"]);
    assert_eq!(cluster.phase(), "Degraded");
    assert!(
        cluster
            .message()
            .ends_with("Blue/green post-promotion analysis phase error/failed: 5 %")
    );
    cluster.run_until("the preview is gone", |cluster| cluster.pods("web:2") == 0);
    assert_eq!(cluster.pods("web:1"), 4);
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
fn a_deadline_can_give_the_update_up() {
    let mut cluster = Cluster::deployed(blue_green(2, json!({})));
    cluster.edit(|rollout| {
        rollout.spec.progress_deadline_seconds = Some(60);
        rollout.spec.progress_deadline_abort = Some(true);
    });
    cluster.broken.push("web:2");
    cluster.set_image("web:2");
    cluster.run_until("aborted", |cluster| cluster.phase() == "Degraded");
    assert_eq!(cluster.status().abort, Some(true));
    assert_eq!(cluster.selected("web-active"), "web:1");
}

#[test]
fn an_abort_while_it_waits_leaves_the_active_revision_alone() {
    let mut cluster = waiting(json!({ "abortScaleDownDelaySeconds": 5 }));
    cluster.abort();
    cluster.settle();
    assert!(cluster.log.is_empty(), "{:?}", cluster.log);
    assert_eq!(cluster.status().pause_conditions, None);
    cluster.wait(5);
    cluster.settle();
    assert_eq!(cluster.log, ["scale web:2 4 -> 0"]);
    cluster.retry();
    cluster.settle();
    assert_eq!(
        (cluster.message(), cluster.pods("web:2")),
        ("BlueGreenPause", 4)
    );
}

#[test]
fn an_abort_delay_of_zero_keeps_the_preview() {
    let mut cluster = waiting(json!({ "abortScaleDownDelaySeconds": 0 }));
    cluster.abort();
    cluster.settle();
    cluster.wait(1_000_000);
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 4);
}

#[test]
fn an_abort_after_the_switch_waits_until_the_old_revision_can_take_over() {
    let mut cluster = Cluster::deployed(blue_green(
        4,
        json!({ "postPromotionAnalysis": analysis("errors") }),
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.broken.push("web:1");
    cluster.tick();
    cluster.abort();
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (4, 4));
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1");
}

#[test]
fn promoting_in_full_needs_neither_pause_nor_analysis_but_pods() {
    let mut cluster = Cluster::deployed(blue_green(
        4,
        json!({
            "prePromotionAnalysis": analysis("errors"), "postPromotionAnalysis": analysis("latency"),
            "previewReplicaCount": 1, "autoPromotionEnabled": false
        }),
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.log.clear();
    cluster.promote_fully();
    cluster.settle();
    assert!(
        cluster.log.contains(&"select web-active web:2".to_owned()),
        "{:?}",
        cluster.log
    );
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
    let outcome = cluster.status().duration.clone().unwrap().completion_status;
    assert_eq!(outcome.as_deref(), Some("FastPromoted"));
    assert!(
        cluster
            .runs
            .iter()
            .all(|run| run.spec.terminate == Some(true))
    );
}

#[test]
fn going_back_to_a_set_that_still_runs_is_instant() {
    let mut cluster = waiting(json!({ "postPromotionAnalysis": analysis("errors") }));
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.patch_status(|status| status.pause_conditions = None);
    cluster.settle();
    assert_eq!(cluster.stable(), "web:2");
    cluster.verdicts.clear();
    cluster.log.clear();
    cluster.wait(10);
    cluster.set_image("web:1");
    cluster.settle();
    assert_eq!(
        cluster.log,
        ["select web-preview web:1", "select web-active web:1"]
    );
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:1")
    );
    let outcome = cluster.status().duration.clone().unwrap().completion_status;
    assert_eq!(outcome.as_deref(), Some("FastRolledBack"));
    cluster.run_until("the bad one is gone", |cluster| cluster.pods("web:2") == 0);
}

#[test]
fn a_set_that_was_given_up_is_not_gone_back_to_without_a_look() {
    let mut cluster = waiting(json!({}));
    cluster.abort();
    cluster.settle();
    cluster.set_image("web:1");
    cluster.settle();
    assert_eq!(cluster.phase(), "Healthy");
    cluster.wait(5);
    // Its pods still run, and it has a deadline.
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.message(), "BlueGreenPause");
    assert_eq!(cluster.selected("web-active"), "web:1");
}

#[test]
fn a_way_back_that_is_given_up_is_no_way_back_any_more() {
    let mut cluster = waiting(json!({}));
    cluster.patch_status(|status| status.pause_conditions = None);
    cluster.settle();
    cluster.broken.push("web:1");
    cluster.tick();
    cluster.set_image("web:1");
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
    cluster.abort();
    cluster.settle();
    cluster.broken.clear();
    cluster.retry();
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "BlueGreenPause",
        "{}",
        cluster.describe()
    );
}

#[test]
fn a_way_back_within_the_window_needs_no_pause() {
    let mut cluster = waiting(json!({}));
    cluster
        .edit(|rollout| rollout.spec.rollback_window = Some(RollbackWindow { revisions: Some(3) }));
    for image in ["web:2", "web:3"] {
        cluster.wait(100);
        cluster.set_image(image);
        cluster.settle();
        cluster.promote_fully();
        cluster.settle();
    }
    cluster.wait(1000);
    cluster.settle();
    assert_eq!(cluster.pods("web:1"), 0);
    cluster.set_image("web:1");
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.selected("web-active").as_str()),
        ("Healthy", "web:1")
    );
}

#[test]
fn a_new_revision_in_the_middle_overtakes_the_one_before() {
    let mut cluster = waiting(json!({ "scaleDownDelaySeconds": 15 }));
    cluster.set_image("web:3");
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1");
    assert_eq!(cluster.selected("web-preview"), "web:3");
    assert_eq!(cluster.message(), "BlueGreenPause");
    cluster.wait(15);
    cluster.settle();
    assert_eq!((cluster.pods("web:2"), cluster.pods("web:3")), (0, 4));
}

#[test]
fn a_new_revision_after_the_switch_brings_the_stable_one_back_first() {
    let mut cluster = Cluster::deployed(blue_green(
        4,
        json!({ "postPromotionAnalysis": analysis("errors") }),
    ));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:2");
    cluster.broken.push("web:3");
    cluster.set_image("web:3");
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1");
    cluster.broken.clear();
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.run_until("done", |cluster| cluster.phase() == "Healthy");
    assert_eq!(cluster.selected("web-active"), "web:3");
}

#[test]
fn going_back_to_the_stable_revision_in_the_middle_switches_back_at_once() {
    let mut cluster = Cluster::deployed(blue_green(
        4,
        json!({ "postPromotionAnalysis": analysis("errors") }),
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.log.clear();
    cluster.set_image("web:1");
    cluster.settle();
    let services: Vec<&String> = cluster
        .log
        .iter()
        .filter(|line| line.starts_with("select"))
        .collect();
    assert_eq!(
        services,
        ["select web-preview web:1", "select web-active web:1"]
    );
    assert_eq!(cluster.phase(), "Healthy");
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
fn an_invalid_spec_does_not_stop_an_abort_after_the_switch() {
    let mut cluster = Cluster::deployed(blue_green(
        4,
        json!({ "postPromotionAnalysis": analysis("errors") }),
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.edit(|rollout| rollout.spec.min_ready_seconds = Some(-1));
    cluster.settle();
    cluster.abort();
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

#[test]
fn an_abort_goes_through_while_paused_by_hand() {
    let mut cluster = Cluster::deployed(blue_green(
        4,
        json!({ "postPromotionAnalysis": analysis("errors") }),
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.edit(|rollout| rollout.spec.paused = Some(true));
    cluster.abort();
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1");
    assert_eq!(cluster.pods("web:2"), 4, "nothing is scaled");
}
