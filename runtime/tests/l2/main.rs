//! The runtime with the real client, against an API server in memory, in paused time.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod events;
mod execute;
mod freshness;
mod leader;
mod queue;
mod support;
mod watch;
