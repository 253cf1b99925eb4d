//! R2, R7, R11, R12: what Services select and routes say, and in which order.

use serde_json::json;
use sluice_rollout::Effect;

use crate::fixtures::scenes::{header_step, paused_at_half, shown_routes, with_managed_routes};
use crate::fixtures::{Cluster, rollout};
use crate::way;

fn moves(cluster: &Cluster) -> Vec<&str> {
    let log = cluster.log.iter().map(String::as_str);
    log.filter(|line| line.starts_with("select web-canary"))
        .collect()
}

/// argo-rollouts#4973: the canary Service went to and fro between the revisions as pods came and went and an autoscaler
/// changed the size.
#[test]
fn r02_the_canary_service_does_not_flap() {
    let mut cluster = paused_at_half();
    for replicas in [8, 3, 4] {
        cluster.broken.push("web:2");
        cluster.settle();
        cluster.scale(replicas);
        cluster.settle();
        cluster.broken.clear();
        cluster.settle();
    }
    assert!(moves(&cluster).is_empty(), "{:?}", cluster.log);
    cluster.abort();
    for replicas in [6, 2, 9] {
        cluster.settle();
        cluster.scale(replicas);
        cluster.wait(10);
    }
    cluster.settle();
    assert_eq!(moves(&cluster), ["select web-canary web:1"]);
}

/// argo-rollouts#3354, #4534: downtime with a release that came before the one before had ended. It may neither take that
/// one's pods away under the traffic nor inherit its weight.
#[test]
fn r07_a_second_release_before_the_first_has_ended_gets_traffic_only_after_that_has_lost_it() {
    let mut cluster = paused_at_half();
    cluster.set_image("web:3");
    cluster.settle();
    assert_eq!(
        cluster.log,
        [
            "weight 0",
            "create web:3",
            "scale web:3 0 -> 2",
            "scale web:2 2 -> 0",
            "select web-canary web:3",
            "weight 50",
        ]
    );
    assert_eq!(
        (cluster.stable().as_str(), cluster.pods("web:1")),
        ("web:1", 4)
    );
}

/// argo-rollouts#4564, #4612, #4752: the router was told the weight before it knew which pods are the canary's.
#[test]
fn r11_a_weight_comes_after_the_pods_and_the_service_that_it_is_for() {
    let steps = json!([
        { "setWeight": 10 }, { "pause": { "duration": 10 } }, { "setWeight": 60 }, { "pause": { "duration": 10 } }
    ]);
    let mut cluster = Cluster::deployed(rollout(10, steps, true));
    cluster.set_image("web:2");
    let mut rises = 0;
    for state in way(cluster) {
        for effect in state.plan().effects {
            let Effect::SetTraffic(split) = effect else {
                continue;
            };
            if split.canary <= state.weight() {
                continue;
            }
            rises += 1;
            let new = state.set("web:2");
            assert_eq!(state.services["web-canary"].hash(), new.hash());
            assert_eq!(split.canary_hash.as_deref(), new.hash());
            assert!(new.available * 10 >= split.canary, "{}", state.describe());
        }
    }
    assert_eq!(rises, 3);
}

/// argo-rollouts#3898, #4307, #4831: header routes outlived the canary that they led to.
#[test]
fn r12_the_first_effect_of_an_abort_takes_routes_and_weight_away() {
    let scale = json!({ "setCanaryScale": { "replicas": 1 } });
    let beta = header_step("beta", "yes");
    for (weight, first, second) in [(0, &scale, &beta), (25, &scale, &beta), (25, &beta, &scale)] {
        let steps = json!([first, { "setWeight": weight }, second, { "pause": {} }]);
        let mut cluster = with_managed_routes(steps);
        cluster.set_image("web:2");
        cluster.settle();
        assert_eq!(
            (shown_routes(&cluster), cluster.weight()),
            (vec!["beta"], weight)
        );
        cluster.abort();
        let plan = cluster.plan();
        let Some(Effect::SetTraffic(split)) = plan.effects.first() else {
            panic!("{plan:?}")
        };
        assert_eq!((split.canary, split.routes.len()), (0, 0));
        cluster.run_until("aborted", |cluster| cluster.pods("web:2") == 0);
        assert_eq!(shown_routes(&cluster), Vec::<&str>::new());
        assert_eq!(cluster.phase(), "Degraded");
    }
}

/// The same when the canary's pods are gone by themselves.
#[test]
fn r12_routes_go_with_the_last_pod_of_the_canary_and_come_back_with_the_first() {
    let steps = json!([
        { "setCanaryScale": { "replicas": 1 } }, header_step("beta", "yes"), { "pause": {} }
    ]);
    let mut cluster = with_managed_routes(steps);
    cluster.set_image("web:2");
    cluster.settle();
    cluster.broken.push("web:2");
    cluster.settle();
    assert_eq!(shown_routes(&cluster), Vec::<&str>::new());
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(shown_routes(&cluster), ["beta"]);
}
