//! The GitOps engine: what to do next for one Application, as a pure function.
//!
//! ```text
//! decide(&AppWorld, now) -> AppPlan { effects, status, operation, annotations, events, wake_at, reasons, needs }
//! ```
//!
//! The way through it: rendered manifests become targets ([`manifest`]); targets are compared with live objects
//! ([`compare`], [`diff`], [`ignore`], [`health`]); the gates of automated sync are passed or not ([`auto_sync`]), with
//! [`quarantine`] holding what an aborted Rollout has proved to be bad; a sync runs in phases and waves
//! ([`sync_plan`]); [`application`] ties these together.
//!
//! Pure: no client, no clock, no file system, no random numbers. Rendering is done by another crate, reading and
//! writing the cluster by the controller.

pub mod application;
pub mod auto_sync;
pub mod backoff;
pub mod compare;
pub mod cron;
pub mod diff;
pub mod digest;
pub mod field_path;
pub mod glob;
pub mod health;
pub mod hook;
pub mod ignore;
pub mod key;
pub mod managed_fields;
pub mod manifest;
pub mod options;
pub mod project;
pub mod quarantine;
pub mod refresh;
pub mod repo_url;
pub mod scope;
pub mod sync_plan;
pub mod sync_window;
pub mod tracking;
pub mod webhook;
