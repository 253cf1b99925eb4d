//! Stories of Experiments, told by driving `experiment::decide` over a cluster of plain data.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a wrong assumption is a failure"
)]

mod analyses;
mod crash;
mod fixtures;
mod requests;
mod services;
mod templates;
mod validation;
