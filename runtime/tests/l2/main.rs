//! The runtime with the real client, against an API server in memory, in paused time.

mod events;
mod execute;
mod freshness;
mod leader;
mod queue;
mod support;
mod watch;
