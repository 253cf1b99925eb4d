//! The controller: for each kind a loop of observe → decide → act around a pure engine.
//!
//! `main.rs` reads the command line ([`args`]) into a [`Config`] and [`Clients`] and calls [`run()`], which tests call as
//! well. The loops: [`rollout`], [`experiment`], [`analysis`], [`application`]. What they share — caches, executor, queue,
//! Lease — is `sluice-runtime`.

mod analysis;
pub mod application;
pub mod args;
mod clients;
mod config;
mod experiment;
mod malformed;
mod reconcile;
mod rollout;
mod run;
mod stopped;
mod templates;
mod write;

pub use clients::Clients;
pub use config::{Config, Loops};
pub use run::{run, run_with_clock};
