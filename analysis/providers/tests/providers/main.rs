//! Tests of the metric backends against servers on loopback.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do, and clippy knows the tests only"
)]

mod aws;
mod backends;
mod guard;
mod kayenta;
mod prometheus;
mod sign_in;
mod support;
mod web;
