//! Stories of rollouts, told by driving `decide` over a cluster of plain data.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a wrong assumption is a failure"
)]

mod abort;
mod analysis;
mod basic;
mod blue_green;
mod blue_green_pods;
mod conditions;
mod crash;
mod diaries;
mod events;
mod experiment_step;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod fuzz;
mod held;
mod history;
mod invariants;
mod managed_routes;
mod metadata;
mod people;
mod ping_pong;
mod plugin;
mod promotion;
mod restart;
mod routed;
mod scale;
mod sizes;
mod strategies;
mod ways_back;
mod workload;
