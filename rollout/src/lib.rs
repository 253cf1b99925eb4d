//! The Rollout engine: what to do next for one Rollout, as a pure function.
//!
//! ```text
//! decide(&World, now) -> Plan { effects, status, events, wake_at, reasons }
//! ```
//!
//! * [`world`]: what was observed, as plain data. * [`plan`]: what is to be written. * [`reason`]: why.
//!
//! `decide` is total: it neither fails nor panics; a bad spec is a plan whose status says `InvalidSpec` and why.
//! Effects are ordered so that **every prefix of them is safe**: after a crash between any two writes, observing and
//! deciding again continues correctly. The order inside a plan is: make new capacity ready → move traffic → see that
//! it moved → take old capacity away.
//!
//! Where to read on: `decide` tells the story in forty lines, each of them one file.
//!
//! | question | file |
//! |---|---|
//! | which ReplicaSet is which; making the new one | `revision`, `equality`, `hash`; `ping_pong` |
//! | what every part of a decision looks at; what it writes into | `seen`, `draft` |
//! | what follows from the spec and from what it names, kept between decisions | `basis` (with `validation`, `hash`) |
//! | a new update begins; orders of people; giving up; stuck | `update`, `abort`, `deadline`, `invalid` |
//! | how far the update is | `steps`, `pause`, `plugin`, `analysis` (with `run`, `arguments`), `experiment_step`, `promote`; `blue_green::gate` |
//! | what has to be written for that | `weight`, `services`, `replicas`, `history`; `blue_green` |
//! | what is put into templates and live pods beside that | `metadata`, `anti_affinity` |
//! | pods that are to be restarted; a workload that is taken over | `restart`, `workload` |
//! | what is said about it | `conditions`, `phase`, `counts`, `duration` |
//! | what must never happen | `invariants` |
//!
//! Services that a Rollout leaves behind when it is deleted are let go in [`gone`].
//!
//! Experiments are a machine of their own, in [`experiment`].

mod abort;
mod analysis;
mod anti_affinity;
mod arguments;
mod basis;
mod blue_green;
mod conditions;
mod counts;
mod deadline;
mod decide;
mod draft;
mod duration;
mod equality;
pub mod experiment;
mod experiment_step;
pub mod gone;
pub mod hash;
mod history;
mod invalid;
pub mod invariants;
mod managed_routes;
mod metadata;
mod names;
mod pause;
mod phase;
mod ping_pong;
pub mod plan;
pub mod plugin;
mod promote;
pub mod reason;
mod replicas;
pub mod request;
mod restart;
mod revision;
mod run;
mod seen;
mod services;
mod steps;
mod time;
mod update;
pub mod validation;
mod weight;
mod workload;
pub mod world;

pub use basis::Basis;
pub use decide::decide;
pub use plan::{Effect, EventNote, EventType, Plan, Precondition};
pub use reason::Reason;
pub use world::{Pod, ReplicaSet, Service, Settings, World};
