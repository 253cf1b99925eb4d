//! Names of objects, and what requests expect and are refused for.

use serde_json::Value;
use sluice_crds::pointer::text;

use super::fields::Fields;

/// Identity of an object: kind, namespace (empty for cluster scope), name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl Key {
    /// A key from its three parts.
    #[must_use]
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of an object.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        Self::new(
            text(object, "/kind"),
            text(object, "/metadata/namespace"),
            text(object, "/metadata/name"),
        )
    }

    /// Whether it is the key of an object with these fields.
    pub(super) fn is_of(&self, object: &Fields) -> bool {
        self.kind == object.text("/kind")
            && self.namespace == object.text("/metadata/namespace")
            && self.name == object.text("/metadata/name")
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 404.
    #[error("{0} is not found")]
    NotFound(Key),
    /// 409 on create.
    #[error("{0} already exists")]
    AlreadyExists(Key),
    /// 409 on a write whose resourceVersion or uid no longer holds.
    #[error("{0}: the object has been modified or replaced")]
    Conflict(Key),
    /// 422.
    #[error("{0} is invalid: {1}")]
    Invalid(Key, String),
    /// 403: a quota, or a webhook that does not want it.
    #[error("{0} is forbidden: exceeded quota")]
    Forbidden(Key),
    /// No answer, or 503: nothing was written.
    #[error("{0}: the API server does not answer")]
    Unavailable(Key),
}

/// What a write must find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// `metadata.uid`, when it matters.
    pub uid: Option<String>,
    /// `metadata.resourceVersion`, when it matters.
    pub resource_version: Option<String>,
}

/// Which part of an object a patch may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status, for kinds with a status subresource; everything for the others.
    Main,
    /// The status subresource: only the status, and of built-in kinds the metadata.
    Status,
}
