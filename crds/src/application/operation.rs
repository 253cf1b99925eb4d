//! `operation`: an order to sync now, and who gave it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::policy::RetryStrategy;
use super::{ApplicationSource, Info};

/// `operation` of an Application.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// What to sync.
    pub sync: Option<SyncOperation>,
    /// Who asked.
    pub initiated_by: Option<OperationInitiator>,
    /// Free information for people.
    pub info: Option<Vec<Info>>,
    /// What to do when it fails.
    pub retry: Option<RetryStrategy>,
}

/// `operation.sync`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncOperation {
    /// Revision to sync to. Absent and empty mean what `targetRevision` resolves to.
    pub revision: Option<String>,
    /// Delete what is no longer in Git.
    pub prune: Option<bool>,
    /// Only say what would be done.
    pub dry_run: Option<bool>,
    /// `apply` or `hook`.
    pub sync_strategy: Option<SyncStrategy>,
    /// Only these objects; a partial sync runs no hooks and leaves no history.
    pub resources: Option<Vec<SyncOperationResource>>,
    /// Source instead of the Application's.
    pub source: Option<ApplicationSource>,
    /// Manifests, as text, instead of those of the source.
    pub manifests: Option<Vec<String>>,
    /// Options for this run only.
    pub sync_options: Option<Vec<String>>,
    /// Sources instead of the Application's.
    pub sources: Option<Vec<ApplicationSource>>,
    /// Revisions, one for each of several sources.
    pub revisions: Option<Vec<String>>,
    /// How often self-heal has tried.
    pub auto_heal_attempts_count: Option<i64>,
}

/// `operation.sync.syncStrategy`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStrategy {
    /// Apply without hooks.
    pub apply: Option<SyncStrategyApply>,
    /// Apply with hooks (the default).
    pub hook: Option<SyncStrategyApply>,
}

/// A strategy's settings.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStrategyApply {
    /// Delete and create again what cannot be applied.
    pub force: Option<bool>,
}

/// One object of a partial sync.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncOperationResource {
    /// API group; absent and empty mean the core group.
    pub group: Option<String>,
    /// Kind.
    #[serde(default)]
    pub kind: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Namespace; absent and empty mean any.
    pub namespace: Option<String>,
}

/// Who started something.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationInitiator {
    /// A person.
    pub username: Option<String>,
    /// The controller itself.
    pub automated: Option<bool>,
}
