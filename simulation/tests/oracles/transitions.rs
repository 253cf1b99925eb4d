//! What must hold after every write.

use sluice_rollout::plan::Precondition;
use sluice_rollout::{Effect, decide};
use sluice_simulation::fixtures;
use sluice_simulation::schedule::Order;
use sluice_simulation::store::Key;

use crate::defects::{
    aborted, bites, broken, guarded, hash_of, instead, point, scales_stable_away, set, unguarded,
    updating,
};

#[test]
fn what_the_invariants_refuse_is_not_decided() {
    let promise = "nothing unsafe is decided";
    let orders = [Order::Image(1)];
    bites(
        promise,
        "routed-steps",
        guarded(scales_stable_away),
        &orders,
    );
    bites(promise, "blue-green", guarded(scales_stable_away), &orders);
}

#[test]
fn weights_sum_to_the_maximum() {
    let engine = unguarded(|world, now| {
        let mut plan = decide(world, now);
        for effect in &mut plan.effects {
            if let Effect::SetTraffic(split) = effect {
                split.max = 50;
            }
        }
        plan
    });
    bites(
        "weights sum to the maximum",
        "routed-steps",
        engine,
        &[Order::Image(1)],
    );
}

#[test]
fn an_abort_never_raises_the_canary() {
    let engine = unguarded(|world, now| {
        let mut plan = decide(world, now);
        for effect in &mut plan.effects {
            if let Effect::SetTraffic(split) = effect
                && aborted(world)
            {
                split.canary = 90;
                split.canary_hash = hash_of(world, false).map(str::to_owned);
            }
        }
        plan
    });
    let touch = Order::Touch;
    let orders = [
        Order::Image(1),
        touch,
        touch,
        touch,
        touch,
        Order::Abort,
        touch,
    ];
    bites(
        "an abort never raises the canary",
        "routed-steps",
        engine,
        &orders,
    );
}

#[test]
fn nothing_that_gets_traffic_is_scaled_away() {
    let engine = unguarded(scales_stable_away);
    let promise = "nothing that gets traffic is scaled away";
    bites(promise, "routed-steps", engine, &[Order::Image(1)]);
}

#[test]
fn traffic_is_not_sent_to_a_revision_without_pods() {
    let engine = unguarded(|world, now| {
        let new = set(world, false).filter(|set| updating(world) && set.replicas == 0);
        instead(world, now, new.and_then(|new| point(world, "stable", new)))
    });
    let promise = "traffic is not sent to a revision without pods";
    bites(promise, "routed-steps", engine, &[Order::Image(1)]);
}

#[test]
fn a_workload_makes_no_more_room_than_is_taken() {
    let engine = unguarded(|world, now| {
        let text = |pointer: &str| {
            let value = world.workload.and_then(|it| it.pointer(pointer)?.as_str());
            value.unwrap_or_default().to_owned()
        };
        let all = Effect::ScaleWorkload {
            name: text("/metadata/name"),
            precondition: Precondition {
                uid: text("/metadata/uid"),
                resource_version: text("/metadata/resourceVersion"),
            },
            from: 4,
            to: 0,
        };
        instead(world, now, Some(all))
    });
    let cluster = fixtures::cluster("workload-progressively");
    let broken = broken(cluster, engine, &[Order::Touch]);
    assert_eq!(
        broken.map(|it| it.promise),
        Some("a workload that is taken over makes no more room than is taken")
    );
}

#[test]
fn the_active_service_never_selects_what_is_scaled_away() {
    let engine = unguarded(scales_stable_away);
    let promise = "the active Service never selects what is scaled away";
    bites(promise, "blue-green", engine, &[Order::Image(1)]);
}

#[test]
fn an_update_that_is_given_up_is_not_switched_to() {
    let engine = unguarded(|world, now| {
        let new = set(world, false).filter(|_| aborted(world) && updating(world));
        instead(world, now, new.and_then(|new| point(world, "active", new)))
    });
    let orders = [Order::Image(1), Order::Touch, Order::Abort];
    let promise = "an update that is given up is not switched to";
    bites(promise, "blue-green-by-hand", engine, &orders);
}

#[test]
fn a_new_revision_is_whole_when_it_is_switched_to() {
    let engine = unguarded(|world, now| {
        let new = set(world, false).filter(|new| updating(world) && new.replicas == 1);
        instead(world, now, new.and_then(|new| point(world, "active", new)))
    });
    let promise = "a new revision is whole when it is switched to";
    bites(promise, "blue-green", engine, &[Order::Image(1)]);
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let engine = unguarded(|world, now| {
        let stable = set(world, true);
        instead(
            world,
            now,
            stable.and_then(|set| point(world, "preview", set)),
        )
    });
    let others = [Key::new("Service", "default", "preview")];
    let cluster = fixtures::cluster("blue-green").with_bystanders(&others);
    let broken = broken(cluster, engine, &[Order::Touch]);
    assert_eq!(
        broken.map(|it| it.promise),
        Some("what belongs to others is left alone")
    );
}
