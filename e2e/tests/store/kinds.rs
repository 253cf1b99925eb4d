//! The kinds that are compared, and what may be asked of their objects: `kinds.yaml` and `metadata.yaml` as data.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// A kind, with what there is to write to its objects.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Kind {
    pub(crate) kind: String,
    pub(crate) api_version: String,
    pub(crate) plural: String,
    /// Whether the status is a subresource.
    #[serde(default)]
    pub(crate) subresource: bool,
    /// What an object begins with, without its metadata.
    pub(crate) object: Value,
    /// Merge patches of everything but the metadata.
    pub(crate) merges: Vec<Value>,
    /// Merge patches of the status, for a kind with the subresource.
    #[serde(default)]
    pub(crate) statuses: Vec<Value>,
    /// JSON patches.
    pub(crate) operations: Vec<Vec<Value>>,
    /// Merge patches whose outcome is refused for its content, if it is a change.
    pub(crate) refused: Vec<Value>,
}

/// Fragments of patches of any object's metadata.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    pub(crate) merges: Vec<Value>,
    pub(crate) operations: Vec<Vec<Value>>,
}

/// All that sequences are made of.
#[derive(Debug)]
pub(crate) struct Kinds {
    pub(crate) all: Vec<Kind>,
    pub(crate) metadata: Metadata,
}

impl Kinds {
    pub(crate) fn load() -> Result<Self> {
        Ok(Self {
            all: serde_saphyr::from_str(include_str!("kinds.yaml")).context("kinds.yaml")?,
            metadata: serde_saphyr::from_str(include_str!("metadata.yaml"))
                .context("metadata.yaml")?,
        })
    }

    pub(crate) fn get(&self, kind: &str) -> Result<&Kind> {
        let found = self.all.iter().find(|it| it.kind == kind);
        found.with_context(|| format!("kinds.yaml has no {kind}"))
    }
}
