//! `restartAt`: pods are replaced a few at a time.

use serde_json::json;
use sluice_crds::Time;

use crate::fixtures::{Cluster, blue_green, rollout};

impl Cluster {
    /// `restart`.
    fn restart(&mut self) {
        let now = Time(self.now);
        self.edit(|rollout| rollout.spec.restart_at = Some(now));
    }

    fn evictions(&self) -> usize {
        let evicted = self.log.iter().filter(|line| line.starts_with("evict"));
        evicted.count()
    }
}

#[test]
fn all_pods_are_replaced_and_no_more_are_missing_than_may_be() {
    let mut cluster = Cluster::deployed(rollout(8, json!([]), false));
    cluster.wait(60);
    cluster.restart();
    let mut least = 8;
    for _ in 0..60 {
        let moved = cluster.pass();
        least = least.min(cluster.set("web:1").available);
        if !moved && !cluster.tick() {
            break;
        }
        cluster.tick();
    }
    assert_eq!(least, 6, "25 % of 8 may be missing");
    assert_eq!(cluster.evictions(), 8);
    assert!(cluster.live.iter().all(|pod| pod.created == cluster.now));
    assert_eq!(
        cluster.status().restarted_at,
        cluster.rollout.spec.restart_at
    );
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn a_restart_is_told_and_waits_for_its_time() {
    let mut cluster = Cluster::deployed(rollout(2, json!([]), false));
    let at = cluster.now;
    cluster.wait(-60);
    cluster.edit(|rollout| rollout.spec.restart_at = Some(Time(at)));
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Progressing", "rollout is restarting")
    );
    assert_eq!(cluster.plan().wake_at, Some(at));
    assert_eq!(cluster.evictions(), 0);
}

#[test]
fn a_refused_eviction_is_tried_again() {
    let mut cluster = Cluster::deployed(rollout(4, json!([]), false));
    cluster.wait(60);
    cluster.restart();
    cluster.disruption_refused = true;
    cluster.pass();
    let plan = cluster.plan();
    assert_eq!(plan.effects.len(), 1);
    assert_eq!(
        plan.wake_at.unwrap().duration_since(cluster.now).as_secs(),
        30
    );
    cluster.disruption_refused = false;
    cluster.settle();
    assert_eq!(cluster.evictions(), 4);
}

#[test]
fn stable_pods_go_first_and_nothing_goes_while_sizes_change() {
    let mut cluster = Cluster::deployed(rollout(
        4,
        json!([{ "setWeight": 50 }, { "pause": {} }]),
        false,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.wait(60);
    cluster.restart();
    cluster.scale(6);
    let plan = cluster.plan();
    assert!(
        !format!("{:?}", plan.effects).contains("Evict"),
        "{:?}",
        plan.effects
    );
    cluster.settle();
    let order: Vec<&String> = cluster
        .log
        .iter()
        .filter(|line| line.starts_with("evict"))
        .collect();
    assert_eq!(order.first().unwrap().as_str(), "evict web:1");
    assert_eq!(order.last().unwrap().as_str(), "evict web:2");
    assert_eq!(cluster.phase(), "Paused");
}

#[test]
fn a_single_pod_is_replaced_too() {
    let mut cluster = Cluster::deployed(blue_green(1, json!({})));
    cluster.wait(60);
    cluster.restart();
    cluster.settle();
    assert_eq!(cluster.evictions(), 1);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn a_new_revision_counts_as_restarted() {
    let mut cluster = Cluster::deployed(rollout(2, json!([]), false));
    cluster.wait(60);
    cluster.restart();
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.evictions(), 0);
    assert_eq!(
        cluster.status().restarted_at,
        cluster.rollout.spec.restart_at
    );
}

#[test]
fn nothing_goes_in_a_plan_that_takes_pods_away_or_takes_a_set_over() {
    type Change = fn(&mut Cluster);
    let changes: [(Change, bool); 3] = [
        (|_| {}, true),
        (|cluster| cluster.scale(4), false),
        (|cluster| cluster.sets[0].owner = None, false),
    ];
    for (change, evicts) in changes {
        let mut cluster = Cluster::deployed(rollout(8, json!([]), false));
        cluster.wait(60);
        cluster.restart();
        change(&mut cluster);
        let effects = format!("{:?}", cluster.plan().effects);
        assert_eq!(effects.contains("EvictPod"), evicts, "{effects}");
        cluster.settle();
        let left = usize::try_from(cluster.pods("web:1")).unwrap();
        assert_eq!(cluster.evictions(), left);
    }
}
