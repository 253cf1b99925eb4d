//! The whole controller in the process of the test, with the real client, against an API server in memory.

mod analysis;
mod experiment;
mod harness;
mod jobs;
mod rollout;
#[path = "../../../runtime/tests/l2/support/mod.rs"]
#[expect(dead_code, reason = "the runtime's own tests use the rest of it")]
mod support;
