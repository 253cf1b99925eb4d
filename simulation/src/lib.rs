//! A cluster in memory and in virtual time, in which the engines run as they do in production.
//!
//! | what | module |
//! |---|---|
//! | the API server, and a watch cache that lags | [`store`], [`requests`], [`view`] |
//! | pods, and what Prometheus would say of them | [`workload`], [`metrics`] |
//! | the loops of Sluice: observe → decide → act | [`controller`] |
//! | all of them together | [`cluster`], with those that schedules are played on in [`fixtures`] |
//! | random runs, with what people do and what goes wrong | [`schedule`], [`random`] |
//! | judges of every transition, of what rests, and of the pace | [`oracle`] |
//! | a failing run made small; many runs; what occurred in them | [`shrink`], [`soak`], [`coverage`] |
//! | a run without faults, for a person who asks what would happen | [`timeline`] |
//!
//! Pure: no clock, no network, no randomness but from seeds.

pub mod cluster;
pub mod controller;
pub mod coverage;
pub mod fixtures;
pub mod metrics;
pub mod oracle;
pub mod random;
pub mod requests;
pub mod schedule;
pub mod shrink;
pub mod soak;
pub mod store;
pub mod timeline;
pub mod view;
pub mod workload;
