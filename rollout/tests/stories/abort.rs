//! Giving up, and trying again.

use serde_json::json;
use sluice_crds::names;
use sluice_rollout::Effect;

use crate::fixtures::scenes::paused_at_half;
use crate::fixtures::{Cluster, rollout};

#[test]
fn the_first_effect_of_an_abort_takes_all_traffic_back() {
    let mut cluster = paused_at_half();
    cluster.abort();
    let plan = cluster.plan();
    let Some(Effect::SetTraffic(split)) = plan.effects.first() else {
        panic!("{plan:?}")
    };
    assert_eq!((split.canary, split.stable()), (0, 100));
    cluster.settle();
    assert_eq!(cluster.log, ["weight 0", "select web-canary web:1"]);
    assert_eq!(cluster.phase(), "Degraded");
    assert_eq!(
        cluster.message(),
        "RolloutAborted: Rollout aborted update to revision 2"
    );
    assert_eq!(
        (cluster.step(), cluster.status().pause_conditions.clone()),
        (0, None)
    );
}

#[test]
fn the_canary_of_an_abort_goes_after_its_delay() {
    let mut cluster = paused_at_half();
    cluster.abort();
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 2);
    assert!(
        cluster
            .set("web:2")
            .annotations
            .contains_key(names::SCALE_DOWN_DEADLINE)
    );
    cluster.wait(30);
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 0);
    assert_eq!(cluster.pods("web:1"), 4);
}

#[test]
fn a_delay_of_nothing_keeps_the_canary() {
    let mut object = rollout(4, json!([{ "setWeight": 50 }, { "pause": {} }]), true);
    object["spec"]["strategy"]["canary"]["abortScaleDownDelaySeconds"] = json!(0);
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    cluster.abort();
    cluster.settle();
    cluster.wait(10_000);
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 2);
}

#[test]
fn a_retry_within_the_delay_uses_the_pods_that_are_there() {
    let mut cluster = paused_at_half();
    cluster.abort();
    cluster.settle();
    cluster.retry();
    cluster.settle();
    assert_eq!(
        cluster.log,
        [
            "weight 0",
            "select web-canary web:1",
            "select web-canary web:2",
            "weight 50"
        ]
    );
    assert!(
        !cluster
            .set("web:2")
            .annotations
            .contains_key(names::SCALE_DOWN_DEADLINE)
    );
}

#[test]
fn a_full_promotion_wins_over_an_abort_that_is_done() {
    let mut cluster = paused_at_half();
    cluster.abort();
    cluster.settle();
    cluster.promote_fully();
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
    assert_eq!(cluster.status().abort, None);
}

#[test]
fn the_next_revision_forgets_the_abort() {
    let mut cluster = paused_at_half();
    cluster.abort();
    cluster.settle();
    cluster.set_image("web:4");
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.weight(), cluster.step()),
        ("Paused", 50, 1)
    );
    assert_eq!(
        (cluster.status().abort, cluster.status().aborted_at.clone()),
        (None, None)
    );
    cluster.promote();
    cluster.run_until("promoted", |cluster| cluster.phase() == "Healthy");
    assert_eq!(cluster.stable(), "web:4");
    cluster.wait(60);
    cluster.settle();
    assert_eq!(
        (
            cluster.pods("web:1"),
            cluster.pods("web:2"),
            cluster.pods("web:4")
        ),
        (0, 0, 4)
    );
}

#[test]
fn traffic_does_not_go_back_to_a_stable_set_without_pods() {
    let mut cluster = paused_at_half();
    cluster.broken.push("web:1");
    cluster.settle();
    cluster.abort();
    cluster.settle();
    assert_eq!(
        cluster.weight(),
        50,
        "half is served, which is better than nothing"
    );
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(cluster.weight(), 0);
}

#[test]
fn the_progress_deadline_aborts_when_told_to() {
    let mut object = rollout(4, json!([{ "setWeight": 50 }]), true);
    object["spec"]["progressDeadlineAbort"] = json!(true);
    object["spec"]["progressDeadlineSeconds"] = json!(60);
    let mut cluster = Cluster::deployed(object);
    cluster.broken.push("web:2");
    cluster.set_image("web:2");
    cluster.settle();
    let wake = cluster.plan().wake_at.unwrap();
    assert_eq!(wake.duration_since(cluster.now).as_secs(), 61);
    cluster.now = wake;
    cluster.settle();
    let hash = cluster.set("web:2").hash().unwrap();
    assert_eq!(
        cluster.message(),
        format!(
            "RolloutAborted: Rollout aborted update to revision 2: ReplicaSet \"web-{hash}\" has timed out progressing."
        )
    );
    cluster.wait(30);
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 0);
}

#[test]
fn a_spec_that_became_invalid_does_not_disarm_the_abort() {
    let mut cluster = paused_at_half();
    cluster.edit(|rollout| rollout.spec.revision_history_limit = Some(-1));
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.weight()), ("Degraded", 50));
    assert!(
        cluster
            .message()
            .starts_with("InvalidSpec: The Rollout \"web\" is invalid: spec.revisionHistoryLimit")
    );
    cluster.abort();
    cluster.settle();
    assert_eq!(cluster.weight(), 0);
}

#[test]
fn an_abort_takes_the_traffic_from_a_canary_service_that_is_gone_and_gives_none_to_a_stable_one_that_is()
 {
    for (gone, weight) in [("web-canary", 0), ("web-stable", 50)] {
        let mut cluster = paused_at_half();
        cluster.services.remove(gone);
        cluster.few.insert("web:2", 0);
        cluster.tick();
        cluster.settle();
        assert_eq!((cluster.phase(), cluster.weight()), ("Degraded", 50));
        cluster.abort();
        cluster.settle();
        assert_eq!(cluster.weight(), weight, "without {gone}");
    }
}
