//! What people order: promote, skip, pause, undo, change their minds.

use serde_json::json;
use sluice_crds::names;
use sluice_crds::rollout::RollbackWindow;

use crate::fixtures::{Cluster, rollout};

fn steps() -> serde_json::Value {
    json!([{ "setWeight": 25 }, { "pause": {} }, { "setWeight": 50 }, { "pause": {} }])
}

#[test]
fn promoting_in_full_skips_steps_and_moves_the_traffic_with_the_service() {
    let mut cluster = Cluster::deployed(rollout(4, steps(), true));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.log.clear();
    cluster.promote_fully();
    cluster.settle();
    assert_eq!(
        cluster.log,
        ["scale web:2 1 -> 4", "select web-stable web:2", "weight 0"]
    );
    assert_eq!((cluster.phase(), cluster.step()), ("Healthy", 4));
    assert_eq!(cluster.status().promote_full, None);
    let outcome = cluster.status().duration.clone().unwrap().completion_status;
    assert_eq!(outcome.as_deref(), Some("FastPromoted"));
}

#[test]
fn promoting_outside_a_pause_skips_the_step() {
    let mut cluster = Cluster::deployed(rollout(4, steps(), false));
    cluster.broken.push("web:2");
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.step(), 0);
    cluster.promote();
    cluster.settle();
    assert_eq!((cluster.step(), cluster.phase()), (1, "Paused"));
}

#[test]
fn a_step_index_that_somebody_wrote_is_gone_to() {
    let mut cluster = Cluster::deployed(rollout(4, steps(), true));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.patch_status(|status| status.current_step_index = Some(2));
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (3, 50));
    cluster.patch_status(|status| {
        status.current_step_index = Some(99);
        status.pause_conditions = None;
    });
    cluster.settle();
    assert_eq!((cluster.step(), cluster.stable().as_str()), (4, "web:2"));
}

#[test]
fn a_rollout_that_is_paused_by_hand_neither_scales_nor_goes_on() {
    let mut cluster = Cluster::deployed(rollout(4, json!([{ "setWeight": 50 }]), true));
    cluster.edit(|rollout| rollout.spec.paused = Some(true));
    cluster.set_image("web:2");
    cluster.scale(6);
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Paused", "manually paused")
    );
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (4, 0));
    assert_eq!(
        cluster.set("web:1").annotations[names::DESIRED_REPLICAS],
        "4",
        "the change of size waits"
    );
    cluster.wait(10_000);
    cluster.settle();
    assert_eq!(cluster.phase(), "Paused");
    cluster.edit(|rollout| rollout.spec.paused = None);
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.pods("web:2")), ("Healthy", 6));
}

#[test]
fn an_abort_works_while_paused_by_hand() {
    let mut cluster = Cluster::deployed(rollout(4, steps(), true));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.edit(|rollout| rollout.spec.paused = Some(true));
    cluster.settle();
    cluster.abort();
    cluster.settle();
    assert_eq!(cluster.weight(), 0);
}

#[test]
fn an_undo_bumps_the_revision_and_goes_through_the_steps() {
    let mut cluster = Cluster::deployed(rollout(4, steps(), false));
    for image in ["web:2", "web:3"] {
        cluster.set_image(image);
        cluster.settle();
        cluster.promote_fully();
        cluster.settle();
    }
    assert_eq!(cluster.stable(), "web:3");
    cluster.set_image("web:1");
    cluster.settle();
    assert_eq!((cluster.step(), cluster.phase()), (1, "Paused"));
    let set = cluster.set("web:1");
    assert_eq!(
        (
            set.revision(),
            set.annotations[names::REVISION_HISTORY].as_str()
        ),
        (4, "1")
    );
    assert_eq!(cluster.sets.len(), 3);
}

#[test]
fn a_way_back_within_the_window_skips_the_steps() {
    let mut cluster = Cluster::deployed(rollout(4, steps(), true));
    cluster
        .edit(|rollout| rollout.spec.rollback_window = Some(RollbackWindow { revisions: Some(2) }));
    for image in ["web:2", "web:3"] {
        cluster.wait(100);
        cluster.set_image(image);
        cluster.settle();
        cluster.promote_fully();
        cluster.settle();
    }
    // web:2 still has pods, and no set was made between it and web:3.
    cluster.events.clear();
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
    let told: Vec<&str> = cluster
        .events
        .iter()
        .map(|event| event.message.as_str())
        .collect();
    assert!(
        told.iter()
            .any(|message| message.ends_with("Rollback within window")),
        "{told:?}"
    );
    assert_eq!(cluster.weight(), 0);
}

#[test]
fn a_way_back_within_the_window_skips_the_steps_whether_or_not_its_pods_still_run() {
    for routed in [true, false] {
        let mut cluster = Cluster::deployed(rollout(4, steps(), routed));
        cluster.edit(|rollout| {
            rollout.spec.rollback_window = Some(RollbackWindow { revisions: Some(2) });
        });
        for image in ["web:2", "web:3"] {
            cluster.wait(100);
            cluster.set_image(image);
            cluster.settle();
            cluster.promote_fully();
            cluster.settle();
        }
        cluster.wait(100);
        cluster.settle();
        assert_eq!(cluster.pods("web:1"), 0);
        cluster.set_image("web:1");
        cluster.settle();
        assert_eq!(
            (cluster.phase(), cluster.stable().as_str()),
            ("Healthy", "web:1")
        );
    }
}

#[test]
fn changed_steps_start_from_the_beginning() {
    let mut cluster = Cluster::deployed(rollout(4, steps(), true));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.promote();
    cluster.settle();
    assert_eq!(cluster.weight(), 50);
    cluster.edit_canary(|canary| {
        canary.steps.as_mut().unwrap()[0].set_weight = Some(75);
    });
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.step()), (75, 1));
}

#[test]
fn changed_steps_of_a_finished_rollout_start_nothing() {
    let mut cluster = Cluster::deployed(rollout(4, steps(), true));
    cluster.edit_canary(|canary| {
        canary.steps.as_mut().unwrap().truncate(2);
    });
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.step()), ("Healthy", 2));
    assert!(
        cluster.log.is_empty() && cluster.events.is_empty(),
        "{:?}",
        cluster.events
    );
}

#[test]
fn the_length_of_manual_pauses_is_counted() {
    let mut cluster = Cluster::deployed(rollout(
        2,
        json!([{ "setWeight": 50 }, { "pause": {} }]),
        false,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.wait(42);
    cluster.promote();
    cluster.settle();
    let duration = cluster.status().duration.clone().unwrap();
    assert_eq!(duration.total_manual_pause_duration_seconds, Some(42));
    assert_eq!(duration.completion_status.as_deref(), Some("Promoted"));
}

#[test]
fn an_unknown_strategy_field_is_refused_by_name() {
    let steps = json!([{ "experiment": {} }]);
    let mut cluster = Cluster::new(rollout(1, steps, true));
    cluster.settle();
    assert_eq!(cluster.phase(), "Degraded");
    assert!(
        cluster
            .message()
            .contains("spec.strategy.canary.steps[0].experiment"),
        "{}",
        cluster.message()
    );
    assert!(cluster.sets.is_empty());
    cluster.edit(|rollout| {
        rollout
            .spec
            .strategy
            .as_mut()
            .unwrap()
            .canary
            .as_mut()
            .unwrap()
            .steps = None;
    });
    cluster.settle();
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn the_window_counts_the_revisions_between_the_old_one_and_the_stable_one() {
    for (window, to, skips) in [
        (0, "web:4", false),
        (1, "web:4", true),
        (1, "web:3", false),
        (2, "web:3", true),
        (2, "web:2", false),
        (3, "web:2", true),
        (3, "web:1", false),
        (4, "web:1", true),
    ] {
        let mut cluster = Cluster::deployed(rollout(2, steps(), true));
        for image in ["web:2", "web:3", "web:4", "web:5"] {
            cluster.wait(100);
            cluster.set_image(image);
            cluster.settle();
            cluster.promote_fully();
            cluster.settle();
        }
        cluster.edit(|rollout| {
            let revisions = Some(window);
            rollout.spec.rollback_window = Some(RollbackWindow { revisions });
        });
        cluster.set_image(to);
        cluster.settle();
        assert_eq!(cluster.stable() == to, skips, "{to} in {window}");
    }
}
