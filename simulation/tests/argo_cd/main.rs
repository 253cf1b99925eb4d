//! What Argo CD sees of the objects that the engines write, and what its actions do to them.
//!
//! [`plays`] lets clusters of the simulation go through updates of every kind and collects the moments that look different
//! to Argo CD. Their objects are `e2e/vectors/health/objects.json`; what Argo CD's own scripts say about them is
//! `vectors.json` beside it, which the tests of `gitops/` hold against the health that Sluice tells. Here every action that
//! the scripts offer is carried out at its moment.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a wrong assumption is a failure"
)]

mod actions;
mod objects;
mod plays;
