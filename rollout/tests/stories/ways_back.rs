//! Blue-green: the ways back — abort, failed analyses, undo, and being overtaken; and the short way forward.

use serde_json::json;
use sluice_crds::names;
use sluice_crds::rollout::RollbackWindow;

use crate::blue_green::waiting;
use crate::fixtures::{Cluster, analysis, blue_green};

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
