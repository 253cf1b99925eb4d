//! What went wrong with a measurement, in words for whoever wrote the template.

use std::error::Error;

use sluice_analysis::Outcome;

/// No answer, or a useless one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What happened.
    pub message: String,
    /// Whether trying again may help without anybody changing anything.
    pub transient: bool,
}

impl Failure {
    /// Trying again may help.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            transient: true,
        }
    }

    /// Somebody has to change something.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            transient: false,
        }
    }

    /// The same, with what it is about in front.
    pub(crate) fn within(self, field: &str) -> Self {
        Self {
            message: format!("{field}: {}", self.message),
            ..self
        }
    }

    /// A request that did not get through. The address is shown up to its host, since the rest may hold secrets.
    pub(crate) fn of_request(who: &str, origin: &str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_timeout() {
            return Self::transient(format!("{who} at {origin} did not answer in time"));
        }
        if error.is_builder() {
            return Self::permanent(format!("{who} at {origin}: {}", causes(&error)));
        }
        if error.is_redirect() {
            return Self::permanent(format!("{who} at {origin}: {}", causes(&error)));
        }
        Self::transient(format!("{who} unreachable at {origin}: {}", causes(&error)))
    }
}

/// The last causes say what happened; the first ones only that sending failed.
fn causes(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Error {
            message: failure.message,
            transient: failure.transient,
        }
    }
}
