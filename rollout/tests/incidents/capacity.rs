//! R1, R5, R8, R10: pods that are there when requests come.

use serde_json::{Value, json};

use crate::fixtures::scenes::paused_at_half;
use crate::fixtures::{Cluster, rollout};
use crate::{pass_for_minutes, way};

/// argo-rollouts#2235, #2050, #3926, #4534: the old pods went when the controller had written the new weight, while the
/// router still sent requests to them. Here the router shows 30 % for hours whatever it is told.
#[test]
fn r01_stable_is_never_scaled_to_zero_while_it_gets_traffic() {
    let mut object = rollout(10, json!([{ "setWeight": 30 }, { "pause": {} }]), true);
    object["spec"]["strategy"]["canary"]["dynamicStableScale"] = json!(true);
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.pods("web:1")), (30, 7));
    cluster.promote();
    pass_for_minutes(&mut cluster, 200, |cluster| {
        cluster.routes = vec![Ok(30)];
        assert_eq!(cluster.pods("web:1"), 7, "{}", cluster.describe());
    });
    assert_eq!(cluster.stable(), "web:1");
    // The router follows at last.
    cluster.run_until("promoted", |cluster| cluster.stable() == "web:2");
    cluster.run_until("gone", |cluster| cluster.pods("web:1") == 0);
}

/// The same after the promotion: the stable Service keeps selecting the old pods, since every write of it is lost.
#[test]
fn r01_the_old_set_stays_while_the_stable_service_selects_it() {
    let mut cluster = Cluster::deployed(rollout(4, json!([{ "setWeight": 50 }]), true));
    let stable = cluster.services["web-stable"].clone();
    cluster.set_image("web:2");
    pass_for_minutes(&mut cluster, 100, |cluster| {
        cluster
            .services
            .insert("web-stable".to_owned(), stable.clone());
        assert_eq!(cluster.pods("web:1"), 4, "{}", cluster.describe());
    });
    assert_eq!(
        (cluster.stable().as_str(), cluster.weight()),
        ("web:2", 100)
    );
    cluster.run_until("gone", |cluster| cluster.pods("web:1") == 0);
    assert_eq!(cluster.selected("web-stable"), "web:2");
}

/// argo-rollouts#4900 is the fix: on an abort the canary's pods went before the traffic had left them.
#[test]
fn r05_the_pods_of_an_abort_go_after_the_traffic() {
    let mut cluster = paused_at_half();
    cluster.abort();
    pass_for_minutes(&mut cluster, 100, |cluster| {
        cluster.routes = vec![Ok(50)];
        assert_eq!(cluster.pods("web:2"), 2, "{}", cluster.describe());
    });
    cluster.run_until("gone", |cluster| cluster.pods("web:2") == 0);
    assert_eq!((cluster.weight(), cluster.pods("web:1")), (0, 4));
}

/// argo-rollouts#3272: a new size and a new template came in one change. Neither may hide the other.
#[test]
fn r08_a_new_size_with_a_new_template_goes_through_the_steps() {
    for (routed, before, after, sizes) in [
        (false, 4, 10, (8, 2)),
        (false, 10, 4, (4, 1)),
        (true, 4, 10, (10, 2)),
        (true, 10, 4, (4, 1)),
    ] {
        let steps = json!([{ "setWeight": 20 }, { "pause": {} }]);
        let mut cluster = Cluster::deployed(rollout(before, steps, routed));
        cluster.set_image("web:2");
        cluster.scale(after);
        // A quarter may be missing.
        let least = before.min(after) * 3 / 4;
        for state in way(cluster.clone()) {
            let available: i32 = state.sets.iter().map(|set| set.available).sum();
            assert!(available >= least, "{}", state.describe());
            assert!(state.pods("web:2") <= sizes.1, "{}", state.describe());
        }
        cluster.settle();
        assert_eq!((cluster.phase(), cluster.step()), ("Paused", 1));
        assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), sizes);
    }
}

/// argo-rollouts#3474, #3467, #4646: weights of another maximum than 100 came out above it or below 0.
#[test]
fn r10_another_maximum_is_the_whole() {
    let mut object = rollout(10, json!([{ "setWeight": 250 }, { "pause": {} }]), true);
    object["spec"]["strategy"]["canary"]["trafficRouting"]["maxTrafficWeight"] = json!(1000);
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.pods("web:2")), (250, 3));
    cluster.promote();
    cluster.settle();
    assert_eq!(cluster.weights, [250, 1000, 0]);
}

/// The same with pods for weights, and more than twenty of them.
#[test]
fn r10_the_share_of_many_pods_is_as_near_to_the_weight_as_whole_pods_can_be() {
    for replicas in [19, 20, 21, 33, 100, 999] {
        for weight in [1, 33, 50, 99] {
            let steps: Value = json!([{ "setWeight": weight }, { "pause": {} }]);
            let mut cluster = Cluster::deployed(rollout(replicas, steps, false));
            cluster.set_image("web:2");
            cluster.settle();
            let (stable, new) = (cluster.pods("web:1"), cluster.pods("web:2"));
            let total = stable + new;
            let what = format!("{replicas} at {weight}: {stable} + {new}");
            assert!((replicas..=replicas + 1).contains(&total), "{what}");
            assert!(stable > 0 && new > 0, "{what}");
            assert!((100 * new - total * weight).abs() <= 100, "{what}");
        }
    }
}
