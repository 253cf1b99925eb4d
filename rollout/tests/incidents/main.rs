//! The incidents of the field, each told as it happened elsewhere, on this engine.
//!
//! The number in a test's name is that of the incident in `docs/testing.md`, where the defect is named that was put back
//! into the engine to see the test fail; `e2e/mutations/` holds those defects.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a wrong assumption is a failure"
)]

mod aborts;
mod absent;
mod analyses;
mod capacity;
#[path = "../fixtures/mod.rs"]
#[expect(dead_code, reason = "the stories use more of it")]
mod fixtures;
mod promotion;
mod rest;
mod services;
mod views;

use fixtures::Cluster;

/// Passes a minute apart, with pods in between; `world` puts things as they are in spite of what was written.
fn pass_for_minutes(cluster: &mut Cluster, minutes: usize, mut world: impl FnMut(&mut Cluster)) {
    for _ in 0..minutes {
        cluster.pass();
        cluster.tick();
        world(cluster);
        cluster.wait(60);
    }
}

/// Every state on the way to rest, time included.
fn way(mut cluster: Cluster) -> Vec<Cluster> {
    let mut states = vec![cluster.clone()];
    for _ in 0..200 {
        let written = cluster.pass();
        let moved = cluster.tick();
        if !written && !moved {
            match cluster.plan().wake_at {
                Some(at) if at > cluster.now => cluster.now = at,
                _ => return states,
            }
        }
        states.push(cluster.clone());
    }
    panic!("it does not come to rest\n{}", cluster.describe());
}
