//! The phase of a run, of a metric and of a measurement, as the API writes it.

use std::fmt;

/// A phase. The order is from best to worst, which is how the phase of a run follows from its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Ended well.
    Successful,
    /// Under way.
    Running,
    /// Not begun.
    Pending,
    /// Ended, and neither good nor bad: a person decides.
    Inconclusive,
    /// Could not be measured often enough.
    Error,
    /// Ended badly.
    Failed,
}

impl Phase {
    /// Reads the text of the API. Empty or unknown text is `Pending`: nothing is known about it yet.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "Successful" => Self::Successful,
            "Running" => Self::Running,
            "Inconclusive" => Self::Inconclusive,
            "Error" => Self::Error,
            "Failed" => Self::Failed,
            _ => Self::Pending,
        }
    }

    /// The text of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Successful => "Successful",
            Self::Running => "Running",
            Self::Pending => "Pending",
            Self::Inconclusive => "Inconclusive",
            Self::Error => "Error",
            Self::Failed => "Failed",
        }
    }

    /// Whether nothing changes any more.
    #[must_use]
    pub fn completed(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }

    /// Whether it ended in any way but well.
    #[must_use]
    pub fn bad(self) -> bool {
        matches!(self, Self::Inconclusive | Self::Error | Self::Failed)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
