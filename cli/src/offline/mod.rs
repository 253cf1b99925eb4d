//! What needs no cluster: `simulate` and `lint`, over manifests in files.
//!
//! [`manifest`] reads the files as `kubectl apply` would; [`check`] finds what is wrong in them, with the engine's own
//! validation; [`lint`] prints that; [`simulate`] plays an update of what is right.

pub(crate) mod check;
pub(crate) mod lint;
pub(crate) mod manifest;
pub(crate) mod simulate;
mod stand_in;
mod unknown;
