//! The Experiment engine: what to do next for one Experiment, as a pure function.
//!
//! ```text
//! experiment::decide(&World, now) -> Plan { effects, status, events, wake_at, reasons }
//! ```
//!
//! An Experiment runs ReplicaSets beside each other for a while, measures them, and takes them away again. The way of
//! one decision, each step one file:
//!
//! | question | file |
//! |---|---|
//! | what is wrong with the spec | `validation` |
//! | what do the AnalysisRuns say; which should exist | `analyses`, with `arguments` for their values |
//! | how is each template; its ReplicaSet and Service | `templates`, `service` |
//! | how is the Experiment as a whole | `verdict`, `conditions` |
//! | what is sent to the API for it | [`request`] |
//!
//! Invariants:
//! * the duration counts from the moment when every template was seen to be available, and that moment is in the status
//!   before anything is measured, so that a crash neither restarts the clock nor measures twice;
//! * a phase that is over never changes;
//! * pods go only after the runs that measure them were told to end, and never while the Rollout that owns the Experiment
//!   still sends requests to them;
//! * total: a spec that cannot be carried out is a condition; what the API refuses comes back as [`world::Refused`] and
//!   becomes the status of the template or of the analysis.

mod analyses;
mod arguments;
mod conditions;
mod decide;
mod draft;
pub mod plan;
pub mod request;
mod service;
mod templates;
mod validation;
mod verdict;
pub mod world;

use sluice_crds::experiment::Experiment;

use crate::validation::FieldError;

pub use decide::decide;
pub(crate) use service::ports;

pub use plan::{Effect, NewService, Plan, ServicePort};
pub use world::{OwnedService, Refused, World};

/// The first thing that is wrong with an Experiment, before anything is done about it; `None` when it can be carried out.
#[must_use]
pub fn validate(experiment: &Experiment) -> Option<FieldError> {
    let name = experiment.metadata.name.as_deref().unwrap_or_default();
    validation::problem(name, &experiment.spec)
}
