//! Tests of the GitOps engine from outside.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so"
)]

mod application;
mod auto_sync;
mod health;
mod health_vectors;
mod manifest;
mod project;
mod quarantine;
mod refresh;
mod support;
mod sync_plan;
mod webhook;
