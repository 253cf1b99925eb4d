//! The whole controller in the process of the test, with the real client, against an API server in memory.
#![expect(
    clippy::unwrap_used,
    reason = "in a test a wrong assumption is a failure"
)]

mod adoption;
mod analysis;
mod blue_green;
mod experiment;
mod gone;
mod harness;
mod jobs;
mod jobs_elsewhere;
mod rollout;
#[path = "../../../runtime/tests/l2/support/mod.rs"]
#[expect(dead_code, reason = "the runtime's own tests use the rest of it")]
mod support;
