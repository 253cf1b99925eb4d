//! R3, R4, R9: what an abort does, and what it does not.

use serde_json::json;

use crate::fixtures::scenes::paused_at_half;
use crate::fixtures::{Cluster, blue_green, rollout};

/// argo-rollouts#1292: an abort of a Rollout that was not in the middle of an update scaled the only set to nothing.
#[test]
fn r03_an_abort_with_nothing_under_way_changes_nothing() {
    let steps = json!([{ "setWeight": 50 }]);
    for object in [
        rollout(3, steps.clone(), false),
        rollout(3, steps, true),
        blue_green(3, json!({})),
    ] {
        let mut cluster = Cluster::deployed(object);
        cluster.abort();
        cluster.settle();
        cluster.wait(100_000);
        cluster.settle();
        assert_eq!((cluster.pods("web:1"), cluster.phase()), (3, "Healthy"));
        assert_eq!(cluster.status().abort, None);
        assert!(cluster.log.is_empty(), "{:?}", cluster.log);
    }
}

/// argo-rollouts#4461: the canary never got healthy, a person ordered its full promotion and then thought better of it.
#[test]
fn r04_an_abort_is_obeyed_after_a_full_promotion_was_ordered() {
    let mut cluster = paused_at_half();
    cluster.broken.push("web:2");
    cluster.promote_fully();
    cluster.settle();
    assert_eq!(cluster.stable(), "web:1");
    cluster.abort();
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.weight()), ("Degraded", 0));
    assert_eq!(cluster.status().promote_full, None);
}

/// argo-rollouts#2929: an update that was given up began again without anybody's order.
#[test]
fn r04_an_aborted_update_does_not_start_again_by_itself() {
    let mut cluster = paused_at_half();
    cluster.abort();
    cluster.settle();
    let happens: [fn(&mut Cluster); 6] = [
        |cluster| cluster.wait(100_000),
        |cluster| cluster.scale(6),
        |cluster| cluster.edit(|rollout| rollout.spec.revision_history_limit = Some(3)),
        |cluster| cluster.edit(|rollout| rollout.spec.paused = Some(true)),
        |cluster| cluster.edit(|rollout| rollout.spec.paused = None),
        // As in the status of another controller, or in one that was restored in part.
        |cluster| cluster.patch_status(|status| status.current_step_hash = None),
    ];
    for happens in happens {
        happens(&mut cluster);
        cluster.settle();
        assert_eq!((cluster.phase(), cluster.weight()), ("Degraded", 0));
        assert_eq!(cluster.status().abort, Some(true));
    }
    assert!(cluster.status().current_step_hash.is_some());
    cluster.retry();
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.weight(), cluster.step()),
        ("Paused", 50, 1)
    );
    assert_eq!(cluster.reason("Progressing"), "RolloutPaused");
}

/// argo-rollouts#3077, #3878, #4973: an autoscaler changed the size of a Rollout that was being aborted, and stable stayed
/// at the size that it had.
#[test]
fn r09_stable_follows_an_autoscaler_during_an_abort() {
    let mut cluster = paused_at_half();
    cluster.abort();
    cluster.settle();
    cluster.scale(8);
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (8, 2));
    cluster.scale(3);
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.weight()), (3, 0));
    cluster.wait(30);
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (3, 0));
    assert_eq!(cluster.phase(), "Degraded");
}

/// The same with a stable set that is small because the traffic had left it: it grows to the new size before the traffic
/// comes back.
#[test]
fn r09_traffic_comes_back_to_a_stable_set_of_the_new_size() {
    let mut object = rollout(10, json!([{ "setWeight": 80 }, { "pause": {} }]), true);
    object["spec"]["strategy"]["canary"]["dynamicStableScale"] = json!(true);
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.weight()), (2, 80));
    cluster.log.clear();
    cluster.abort();
    cluster.scale(20);
    cluster.settle();
    let at = |what: &str| cluster.log.iter().position(|line| line == what);
    let (grown, back) = (at("scale web:1 2 -> 20"), at("weight 0"));
    assert!(grown.is_some() && grown < back, "{:?}", cluster.log);
    assert_eq!((cluster.pods("web:1"), cluster.phase()), (20, "Degraded"));
}
