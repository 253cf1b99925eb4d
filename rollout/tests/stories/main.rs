//! Stories of rollouts, told by driving `decide` over a cluster of plain data.

mod abort;
mod analysis;
mod basic;
mod crash;
mod events;
mod fixtures;
mod history;
mod people;
mod routed;
