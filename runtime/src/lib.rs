//! The I/O toolkit of the controller: everything between a pure decision and the Kubernetes API.
//!
//! ```text
//!   watch ─▶ cache ─▶ subscribers ─▶ queue ─▶ (freshness gate) ─▶ observe, decide ─▶ execute ─▶ API
//!                                      ▲                                               │
//!                                      └── wake_at, backoff ───────── freshness ◀──────┘
//! ```
//!
//! * reading: [`api`], [`watch`], [`cache`], [`caches`], [`object`], [`projection`], [`kind`];
//! * deciding when: [`queue`], [`freshness`], [`clock`];
//! * writing: [`execute`] (the only place), [`fence`], [`patch`], [`events`];
//! * one of several: [`lease`] (pure), [`leader`];
//! * being looked at: [`telemetry`], [`series`], [`exposition`], [`process`], [`decision_log`], [`admin`];
//! * ending: [`shutdown`]; all of it together: [`context`].

pub mod admin;
pub mod api;
pub mod cache;
pub mod caches;
pub mod clock;
pub mod context;
pub mod decision_log;
pub mod events;
pub mod execute;
pub mod exposition;
pub mod fence;
pub mod freshness;
pub mod kind;
pub mod leader;
pub mod lease;
pub mod object;
pub mod process;
pub mod projection;
pub mod queue;
pub mod series;
pub mod shutdown;
pub mod telemetry;
mod text;
pub mod throttle;
pub mod watch;

pub use api::{Api, ApiError};
pub use cache::{Cache, Change, SyncState};
pub use caches::Caches;
pub use clock::Clock;
pub use context::Context;
pub use execute::{Executor, Must, WriteError, Written};
pub use fence::Fence;
pub use kind::Kind;
pub use object::{Key, Object};
pub use queue::{Next, Queue};
