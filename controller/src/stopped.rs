//! Why a plan was not carried out to its end.

use std::fmt;

use sluice_runtime::WriteError;

/// Why the rest of a plan was left; `R` says what was refused, by us or by the API.
#[derive(Debug)]
pub(crate) enum Stopped<R> {
    /// The view was not what the object is now: observe again.
    Again(WriteError),
    /// A write failed.
    Failed(WriteError),
    /// It will not be done as it was planned.
    Refused(R),
}

impl<R: fmt::Display> fmt::Display for Stopped<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Again(error) => write!(f, "observe again: {error}"),
            Stopped::Failed(error) => write!(f, "failed: {error}"),
            Stopped::Refused(why) => write!(f, "{why}"),
        }
    }
}

impl<R> From<WriteError> for Stopped<R> {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict(_) | WriteError::Gone(_) => Stopped::Again(error),
            other => Stopped::Failed(other),
        }
    }
}
