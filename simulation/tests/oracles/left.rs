//! What is left of a Rollout that was deleted, or whose status was lost.

use sluice_rollout::{decide, gone};
use sluice_simulation::controller::engine::Engine;
use sluice_simulation::fixtures;
use sluice_simulation::schedule::Order;

use crate::defects::{bites, broken, guarded};

#[test]
fn no_service_waits_for_the_pods_of_a_rollout_that_is_gone() {
    let deaf = Engine {
        release: |_, _, _, _| Vec::new(),
        ..Engine::default()
    };
    let promise = "no Service waits for the pods of a Rollout that is gone";
    bites(promise, "routed-steps", deaf, &[]);
}

#[test]
fn pods_that_were_left_on_purpose_keep_their_services() {
    let hasty = Engine {
        release: |namespace, rollout, services, _| {
            gone::release(namespace, rollout, services, &|_| None)
        },
        ..Engine::default()
    };
    // Whether the pods are left depends on the version that the cluster is at.
    let promises = (0..3).filter_map(|touches| {
        let orders = vec![Order::Touch; touches];
        let broken = broken(fixtures::deployed("routed-steps"), hasty, &orders);
        Some(broken?.promise)
    });
    let promises: Vec<&str> = promises.collect();
    assert_eq!(
        promises,
        ["pods that were left on purpose keep their Services"]
    );
}

#[test]
fn a_lost_status_makes_no_revision_stable_that_was_not() {
    let careless = guarded(|world, now| {
        let mut plan = decide(world, now);
        if world.rollout.status.is_none() {
            plan.status
                .stable_rs
                .clone_from(&plan.status.current_pod_hash);
        }
        plan
    });
    let promise = "a lost status makes no revision stable that was not";
    bites(promise, "routed-steps", careless, &[Order::Image(1)]);
}
