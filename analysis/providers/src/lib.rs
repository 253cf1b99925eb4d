//! Metric backends: the I/O side of analysis, one module for each backend behind one trait.
//!
//! In: a [`sluice_analysis::MeasureRequest`] and the secret values that it names. Out: an
//! [`sluice_analysis::Outcome`], always: whatever a backend does, however long it takes and however much it sends, comes
//! back as an outcome within the metric's timeout. A backend that is not built in is an error that names it.
//!
//! What a backend is told to connect to is written by whoever may write templates, so addresses of the link and of
//! cloud metadata services are refused (see [`http::guard`]), answers are bounded, and redirects stay on their host.

mod aws;
mod backend;
mod cloud_watch;
mod datadog;
mod graphite;
pub mod http;
mod influxdb;
mod kayenta;
mod new_relic;
pub mod prometheus;
mod provider;
mod registry;
mod skywalking;
mod wavefront;
pub mod web;

pub use aws::AwsEnvironment;
pub use backend::{Credentials, CredentialsRef};
pub use provider::{Measuring, Provider, RunIdentity, Task};
pub use registry::{Registry, Settings};
