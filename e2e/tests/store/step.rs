//! One request of a sequence, in names that mean the same on both servers.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An object's kind and name; which object that is changes when it is deleted and made again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// A request. Its texts may hold `$uid KIND/NAME N` and `$version KIND/NAME N`, see `kinds.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    pub(crate) on: Slot,
    pub(crate) send: Send,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Send {
    /// POST.
    Create(Value),
    /// PATCH with a JSON merge patch on the main resource.
    Merge(Value),
    /// PATCH with a JSON merge patch on the status subresource.
    MergeStatus(Value),
    /// PATCH with a JSON patch.
    Json(Value),
    /// DELETE with these preconditions (`uid`, `resourceVersion`).
    Delete(Value),
}

impl Send {
    /// The same request, with another body.
    pub(crate) fn with(&self, body: Value) -> Self {
        match self {
            Self::Create(_) => Self::Create(body),
            Self::Merge(_) => Self::Merge(body),
            Self::MergeStatus(_) => Self::MergeStatus(body),
            Self::Json(_) => Self::Json(body),
            Self::Delete(_) => Self::Delete(body),
        }
    }

    pub(crate) fn body(&self) -> &Value {
        match self {
            Self::Create(body)
            | Self::Merge(body)
            | Self::MergeStatus(body)
            | Self::Json(body)
            | Self::Delete(body) => body,
        }
    }

    /// One word for counts.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Merge(_) => "merge patch",
            Self::MergeStatus(_) => "merge patch of the status",
            Self::Json(_) => "JSON patch",
            Self::Delete(_) => "delete",
        }
    }
}

/// Why a request was refused, as far as those who send it act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    NotFound,
    AlreadyExists,
    Conflict,
    Invalid,
}

/// What a server says: an object, nothing after a deletion, or no.
pub(crate) type Answer = Result<Option<Value>, Class>;

/// A sequence as text that `known.yaml` takes: one request a line.
pub(crate) fn list(steps: &[Step]) -> String {
    let lines: Vec<String> = steps.iter().map(|step| json!(step).to_string()).collect();
    format!("[\n  {}\n]", lines.join(",\n  "))
}
