//! Analysis: from templates to the verdict of a run. Pure: no client, no clock, no file system.
//!
//! Follow a measurement: [`template`] makes the spec of a run, [`run::decide`] asks for measurements, a provider
//! answers (crate `sluice-analysis-providers`), [`run::absorb`] judges the answer with a [`condition`] and counts it.
//! Everything that was decided on the way is a [`reason::Reason`].

pub mod args;
pub mod condition;
pub mod expression;
pub mod job;
pub mod phase;
pub mod plan;
pub mod reason;
pub mod run;
pub mod secret;
pub mod template;
pub mod validate;

pub use phase::Phase;
pub use plan::{
    CancelRequest, Circumstances, Event, EventKind, MeasureRequest, Outcome, RunPlan,
    SecretArgument,
};
pub use reason::Reason;
pub use run::{absorb, absorb_with, decide};
pub use secret::SecretValues;
pub use template::{FieldError, TemplateLookup, Templates, build_run_spec};
