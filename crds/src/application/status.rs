//! `status` of an Application: what was found and what was done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use super::operation::OperationInitiator;
use super::policy::ManagedNamespaceMetadata;
use super::{ApplicationSource, Destination, IgnoreDifferences, Operation};
use crate::Time;

/// `status` of an Application.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationStatus {
    /// The managed objects.
    pub resources: Option<Vec<ResourceStatus>>,
    /// Whether the cluster says what Git says.
    pub sync: Option<SyncStatus>,
    /// How the managed objects are.
    pub health: Option<HealthStatus>,
    /// Successful complete syncs, oldest first.
    pub history: Option<Vec<RevisionHistory>>,
    /// What people should know; types that end in `Error` stop the Application.
    pub conditions: Option<Vec<ApplicationCondition>>,
    /// When the state was last compared with Git.
    pub reconciled_at: Option<Time>,
    /// The sync that runs or ran last.
    pub operation_state: Option<OperationState>,
    /// Legacy, no longer written.
    pub observed_at: Option<Time>,
    /// `Helm`, `Kustomize`, `Directory` or `Plugin`.
    pub source_type: Option<String>,
    /// The same, one for each of several sources.
    pub source_types: Option<Vec<String>>,
    /// URLs and images.
    pub summary: Option<ApplicationSummary>,
    /// Where the health of single objects is kept: `inline` or `appTree`.
    pub resource_health_source: Option<String>,
    /// Namespace of the controller that wrote this.
    pub controller_namespace: Option<String>,
    /// State of the hydrator.
    #[schemars(schema_with = "crate::schema::object")]
    pub source_hydrator: Option<Value>,
}

/// One managed object.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStatus {
    /// API group; absent for the core group.
    pub group: Option<String>,
    /// API version.
    pub version: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Namespace; absent for cluster-wide objects.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// `Synced`, `OutOfSync` or `Unknown`; absent for hooks.
    pub status: Option<String>,
    /// How it is; absent for kinds whose health cannot be told.
    pub health: Option<HealthStatus>,
    /// Whether it is a hook.
    pub hook: Option<bool>,
    /// It is live and no longer in Git.
    pub requires_pruning: Option<bool>,
    /// A person must agree before it is deleted.
    pub requires_deletion_confirmation: Option<bool>,
    /// Its wave.
    pub sync_wave: Option<i64>,
}

/// `status.sync`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// `Synced`, `OutOfSync` or `Unknown`.
    #[serde(default)]
    pub status: String,
    /// What it was compared with.
    pub compared_to: Option<ComparedTo>,
    /// Commit that it was compared with.
    pub revision: Option<String>,
    /// Commits, one for each of several sources.
    pub revisions: Option<Vec<String>>,
}

/// `status.sync.comparedTo`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparedTo {
    /// Source.
    pub source: Option<ApplicationSource>,
    /// Sources.
    pub sources: Option<Vec<ApplicationSource>>,
    /// Destination.
    #[serde(default)]
    pub destination: Destination,
    /// Differences that did not count.
    pub ignore_differences: Option<Vec<IgnoreDifferences>>,
}

/// Health of an Application or of one object.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthStatus {
    /// `Healthy`, `Suspended`, `Progressing`, `Missing`, `Degraded` or `Unknown`.
    pub status: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// When `status` last changed.
    pub last_transition_time: Option<Time>,
}

/// One successful sync.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionHistory {
    /// Commit.
    pub revision: Option<String>,
    /// When it ended.
    pub deployed_at: Option<Time>,
    /// Counted from 0, never reused.
    #[serde(default)]
    pub id: i64,
    /// Source.
    pub source: Option<ApplicationSource>,
    /// When it started.
    pub deploy_started_at: Option<Time>,
    /// Sources.
    pub sources: Option<Vec<ApplicationSource>>,
    /// Commits, one for each of several sources.
    pub revisions: Option<Vec<String>>,
    /// Who started it.
    pub initiated_by: Option<OperationInitiator>,
}

/// One condition. Upstream's conditions have no status: they are there or not.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationCondition {
    /// Type, as in `ComparisonError`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// One sentence.
    #[serde(default)]
    pub message: String,
    /// Since when.
    pub last_transition_time: Option<Time>,
}

/// `status.operationState`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationState {
    /// The order, as it was given.
    #[serde(default)]
    pub operation: Operation,
    /// `Running`, `Terminating`, `Failed`, `Error` or `Succeeded`.
    #[serde(default)]
    pub phase: String,
    /// One sentence.
    pub message: Option<String>,
    /// What was done so far.
    pub sync_result: Option<SyncOperationResult>,
    /// When it started.
    pub started_at: Option<Time>,
    /// When it ended; set together with phase `Running` it means that a retry is waited for.
    pub finished_at: Option<Time>,
    /// Number of retries so far.
    pub retry_count: Option<i64>,
}

/// `operationState.syncResult`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncOperationResult {
    /// One entry for each task that was started.
    pub resources: Option<Vec<ResourceResult>>,
    /// Commit.
    #[serde(default)]
    pub revision: String,
    /// Source.
    pub source: Option<ApplicationSource>,
    /// Sources.
    pub sources: Option<Vec<ApplicationSource>>,
    /// Commits, one for each of several sources.
    pub revisions: Option<Vec<String>>,
    /// What the namespace was given.
    pub managed_namespace_metadata: Option<ManagedNamespaceMetadata>,
}

/// What was done with one object.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceResult {
    /// API group.
    #[serde(default)]
    pub group: String,
    /// API version.
    #[serde(default)]
    pub version: String,
    /// Kind.
    #[serde(default)]
    pub kind: String,
    /// Namespace.
    #[serde(default)]
    pub namespace: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`.
    pub status: Option<String>,
    /// One sentence.
    pub message: Option<String>,
    /// `PreSync`, `Sync`, `PostSync` or `SyncFail` for hooks.
    pub hook_type: Option<String>,
    /// `Running`, `Succeeded`, `Failed`, `Error` or `Terminating`.
    pub hook_phase: Option<String>,
    /// Phase in which it was done.
    pub sync_phase: Option<String>,
    /// Images in it.
    pub images: Option<Vec<String>>,
}

/// `status.summary`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSummary {
    /// Addresses under which the application is reached.
    #[serde(rename = "externalURLs")]
    pub external_urls: Option<Vec<String>>,
    /// Images that run.
    pub images: Option<Vec<String>>,
    /// Whether it manages other Applications.
    pub is_app_of_apps: Option<bool>,
}
