//! The runtime with the real client, against an API server in memory, in paused time.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod events;
mod execute;
mod freshness;
mod leader;
mod queue;
#[expect(dead_code, reason = "the tests of the controller use more of it")]
mod support;
mod watch;
