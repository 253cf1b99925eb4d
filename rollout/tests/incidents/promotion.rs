//! R22: the end of an update, where the last of the traffic changes hands.

use serde_json::json;
use sluice_rollout::Effect;

use crate::fixtures::scenes::{header_step, with_managed_routes};
use crate::fixtures::{Cluster, rollout};
use crate::way;

/// flagger#1851: while the new revision was being promoted its weight was put back to 0, and the old one served again.
#[test]
fn r22_the_weight_leaves_the_canary_only_when_the_stable_service_selects_it() {
    let mut cluster = Cluster::deployed(rollout(4, json!([{ "setWeight": 50 }]), true));
    cluster.set_image("web:2");
    for state in way(cluster.clone()) {
        for effect in state.plan().effects {
            if let Effect::SetTraffic(split) = effect
                && split.canary < state.weight()
            {
                assert_eq!(state.selected("web-stable"), "web:2");
            }
        }
    }
    cluster.settle();
    assert_eq!(cluster.weights, [50, 100, 0]);
}

/// flagger#1931: a promotion that failed left the traffic with pods that did not work. Here the new pods break while they
/// get everything, before the promotion and in the middle of it.
#[test]
fn r22_a_promotion_that_fails_leaves_the_traffic_with_pods_that_work() {
    let steps = json!([{ "setWeight": 100 }, { "pause": { "duration": 10 } }]);
    let mut cluster = Cluster::deployed(rollout(4, steps, true));
    cluster.set_image("web:2");
    let mut told = 0;
    for state in way(cluster) {
        if state.weight() < 100 {
            continue;
        }
        let mut state = state;
        let switched = state.selected("web-stable") == "web:2";
        state.broken.push("web:2");
        state.tick();
        state.settle();
        if !switched {
            told += 1;
            assert_eq!(state.weight(), 0, "{}", state.describe());
            assert_eq!(state.selected("web-stable"), "web:1");
            assert_eq!((state.pods("web:1"), state.set("web:1").available), (4, 4));
        }
        state.broken.clear();
        state.run_until("promoted", |state| {
            state.phase() == "Healthy" && state.stable() == "web:2"
        });
    }
    assert!(told >= 3, "before the promotion and after it: {told}");
}

/// flagger#1713: another order of what is matched by headers counted as another revision, and the canary began again.
#[test]
fn r22_another_order_of_managed_routes_does_not_begin_the_update_again() {
    let steps = json!([
        { "setWeight": 25 }, header_step("beta", "yes"), header_step("urgent", "yes"), { "pause": {} }
    ]);
    let mut cluster = with_managed_routes(steps);
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (3, 25));
    cluster.log.clear();
    cluster.edit_canary(|canary| {
        let routing = canary.traffic_routing.as_mut().unwrap();
        routing.managed_routes.as_mut().unwrap().reverse();
    });
    for state in way(cluster.clone()) {
        assert_eq!((state.step(), state.weight()), (3, 25));
    }
    cluster.settle();
    assert_eq!(cluster.log, ["routes [beta urgent]", "weight 25"]);
}
