//! Diaries of what people and other controllers do in between.

use insta::assert_snapshot;
use serde_json::json;
use sluice_crds::Time;

use crate::fixtures::scenes::{deployment, paused_at_half, referring, taken_over};
use crate::fixtures::{Cluster, rollout};

#[test]
fn a_rollout_is_paused_by_hand_and_goes_on() {
    let mut cluster = Cluster::deployed(rollout(4, json!([{ "setWeight": 50 }]), true));
    cluster.then("it is paused", |it| {
        it.edit(|rollout| rollout.spec.paused = Some(true))
    });
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("it is scaled", |it| it.scale(6));
    cluster.then("it goes on", |it| {
        it.edit(|rollout| rollout.spec.paused = None)
    });
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn pods_are_restarted() {
    let mut cluster = Cluster::deployed(rollout(4, json!([]), false));
    cluster.wait(60);
    cluster.then("a restart is asked for in a minute", |it| {
        let at = it
            .now
            .checked_add(jiff::SignedDuration::from_secs(60))
            .unwrap();
        it.edit(|rollout| rollout.spec.restart_at = Some(Time(at)));
    });
    cluster.chapter("the minute is over, and a budget allows no eviction");
    cluster.wait(60);
    cluster.disruption_refused = true;
    cluster.pass();
    cluster.disruption_refused = false;
    cluster.chapter("it allows them");
    cluster.wait(30);
    cluster.run_until("all are new", |it| it.phase() == "Healthy");
    assert_snapshot!(cluster.told());
}

#[test]
fn the_steps_are_changed_under_way() {
    let mut cluster = paused_at_half();
    cluster.then("the steps are others", |it| {
        it.set_steps(
            json!([{ "setWeight": 10 }, { "pause": {} }, { "setWeight": 80 }, { "pause": {} }]),
        );
    });
    cluster.then("a person skips a step", |it| {
        it.patch_status(|status| {
            status.pause_conditions = None;
            status.current_step_index = Some(3);
        });
    });
    cluster.then("the image is set back", |it| it.set_image("web:1"));
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn a_spec_that_cannot_be_carried_out_is_mended() {
    let mut cluster = paused_at_half();
    cluster.then("a weight of 120", |it| {
        it.set_steps(json!([{ "setWeight": 120 }]));
    });
    cluster.then("the stable Service is gone as well", |it| {
        it.services.remove("web-stable");
    });
    cluster.then("both are mended", |it| {
        it.add_service("web-stable");
        it.set_steps(json!([{ "setWeight": 50 }, { "pause": {} }]));
    });
    assert_snapshot!(cluster.told());
}

#[test]
fn a_workload_is_taken_over_and_updated() {
    for mode in ["progressively", "onsuccess", "never"] {
        let mut cluster = referring(mode);
        cluster.then("a new Rollout of a Deployment", |_| ());
        let size = cluster.workload.as_ref().unwrap()["spec"]["replicas"]
            .as_i64()
            .unwrap();
        cluster.then("its image is set", |it| {
            it.workload = Some(deployment("web:2", 4, i32::try_from(size).unwrap()));
        });
        cluster.then("a person promotes", Cluster::promote);
        cluster.then("the Deployment is gone", |it| it.workload = None);
        assert_snapshot!(mode, cluster.told());
    }
}

#[test]
fn what_another_controller_left_is_taken_over() {
    for (name, status) in [("with_status", true), ("without_status", false)] {
        let mut cluster = taken_over(status);
        cluster.then("the first look", |_| ());
        cluster.then("the image is set", |it| it.set_image("web:2"));
        assert_snapshot!(name, cluster.told());
    }
}

#[test]
fn it_is_scaled_to_nothing_and_back() {
    let mut cluster = Cluster::deployed(rollout(
        4,
        json!([{ "setWeight": 50 }, { "pause": {} }]),
        true,
    ));
    cluster.then("it is scaled to nothing", |it| it.scale(0));
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("it is scaled to 3", |it| it.scale(3));
    cluster.then("a person promotes", Cluster::promote);
    cluster.later(30);
    assert_snapshot!(cluster.told());
}
