//! What every backend can do.

use std::pin::Pin;

use jiff::Timestamp;
use sluice_analysis::Outcome;
use sluice_crds::analysis::{Measurement, Metric};

use crate::backend::{Credentials, CredentialsRef};

/// A measurement under way.
pub type Measuring<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// The run that a measurement belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunIdentity {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

/// One measurement to take.
///
/// It holds secrets and therefore has no `Debug`.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The metric, with every argument in place.
    pub metric: &'a Metric,
    /// Number of the measurement, from 1.
    pub number: u32,
    /// The measurement under way that is looked at again.
    pub resume: Option<&'a Measurement>,
    /// The run.
    pub run: &'a RunIdentity,
    /// The time.
    pub now: Timestamp,
    /// Values of the Secret that [`Provider::credentials`] names, when it could be read.
    pub credentials: Option<&'a Credentials>,
}

/// A backend.
pub trait Provider: Send + Sync {
    /// Its key in `provider` of a metric, such as `prometheus`.
    fn kind(&self) -> &'static str;

    /// The Secret that holds the credentials for a metric. Most backends need none, or have them in the metric.
    fn credentials(&self, metric: &Metric) -> Option<CredentialsRef> {
        let _ = metric;
        None
    }

    /// Takes a measurement. Never fails in any other way than with [`Outcome::Error`], and ends within the metric's
    /// timeout. Dropping the future gives the measurement up.
    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a>;

    /// Ends the remote part of a measurement under way (a Job). Most backends have none.
    fn end<'a>(&'a self, task: Task<'a>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let _ = task;
        Box::pin(std::future::ready(()))
    }
}
