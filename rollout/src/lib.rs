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

pub mod hash;
pub mod plan;
pub mod reason;
pub mod request;
pub mod validation;
pub mod world;

pub use plan::{Effect, EventNote, EventType, Plan, Precondition};
pub use reason::Reason;
pub use world::{ReplicaSet, Service, Settings, World};
