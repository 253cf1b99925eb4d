//! Fuzz targets: each module has a `run` that takes any bytes and fails when a promise is broken.
//!
//! The modules use nothing of this crate but [`mutation`], so that tests of other crates can include them by path.

pub mod application_decode;
pub mod condition;
pub mod duration;
pub mod mutation;
pub mod pod_template_hash;
pub mod rollout_decode;
