//! A cluster in memory and in virtual time, in which the engines run as they do in production.
//!
//! [`store`] is the API server, [`view`] a watch cache that lags, [`workload`] the pods, [`controller`] the loops of
//! Sluice, [`metrics`] what Prometheus would say. [`schedule`] makes random runs with faults, [`oracle`] judges every
//! transition, [`shrink`] makes a failing run small. [`timeline`] is a run without faults, for a person who asks what
//! would happen.
//!
//! Pure: no clock, no network, no randomness but from seeds.

pub mod controller;
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
