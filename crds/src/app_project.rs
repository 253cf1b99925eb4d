//! `AppProject`: what the Applications of a team may use and where they may go.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::root_kind::{always_written, root_kind};

root_kind!(
    /// The limits of a group of Applications.
    AppProject, "appproject", "appprojects", &["appproj", "appprojs"], &[],
    {
        /// The limits.
        spec "spec": AppProjectSpec,
        /// Tokens that were issued.
        status "status": Option<AppProjectStatus>,
    }
);
always_written!(AppProjectSpec);

/// `spec` of an AppProject.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppProjectSpec {
    /// Repositories that may be used: globs, `!` denies.
    pub source_repos: Option<Vec<String>>,
    /// Clusters and namespaces that may be deployed to: globs, `!` denies.
    pub destinations: Option<Vec<ProjectDestination>>,
    /// For people; at most 255 characters.
    #[schemars(length(max = 255))]
    pub description: Option<String>,
    /// Roles of people and of tokens.
    pub roles: Option<Vec<ProjectRole>>,
    /// Cluster-wide kinds that may be deployed; absent and empty mean none.
    pub cluster_resource_whitelist: Option<Vec<ClusterResourceRule>>,
    /// Namespaced kinds that may not be deployed.
    pub namespace_resource_blacklist: Option<Vec<GroupKind>>,
    /// Reports objects that belong to no Application.
    pub orphaned_resources: Option<OrphanedResources>,
    /// When syncs are allowed or denied.
    pub sync_windows: Option<Vec<SyncWindow>>,
    /// Namespaced kinds that may be deployed; absent means all, empty means none.
    pub namespace_resource_whitelist: Option<Vec<GroupKind>>,
    /// Keys that commits must be signed with.
    pub signature_keys: Option<Vec<SignatureKey>>,
    /// Cluster-wide kinds that may not be deployed.
    pub cluster_resource_blacklist: Option<Vec<ClusterResourceRule>>,
    /// Namespaces, besides the controller's, that may hold Applications of this project.
    pub source_namespaces: Option<Vec<String>>,
    /// Only clusters that belong to this project may be used.
    pub permit_only_project_scoped_clusters: Option<bool>,
    /// Service accounts to act as, for each destination.
    pub destination_service_accounts: Option<Vec<DestinationServiceAccount>>,
    /// How commits are verified.
    pub source_integrity: Option<SourceIntegrity>,
}

/// A place that may be deployed to.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectDestination {
    /// Glob of the cluster's URL.
    pub server: Option<String>,
    /// Glob of the namespace.
    pub namespace: Option<String>,
    /// Glob of the cluster's name.
    pub name: Option<String>,
}

/// A role.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectRole {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Policy lines.
    pub policies: Option<Vec<String>>,
    /// Issued tokens.
    pub jwt_tokens: Option<Vec<JwtToken>>,
    /// Groups whose members have the role.
    pub groups: Option<Vec<String>>,
}

/// A token; its secret is nowhere in the API.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JwtToken {
    /// Issued at, Unix seconds.
    #[serde(default)]
    pub iat: i64,
    /// Expires at, Unix seconds.
    pub exp: Option<i64>,
    /// Identifier; removing the entry revokes the token.
    pub id: Option<String>,
}

/// A group and a kind; both may hold `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupKind {
    /// API group.
    #[serde(default)]
    pub group: String,
    /// Kind.
    #[serde(default)]
    pub kind: String,
}

/// A group, a kind and optionally a name; all may hold `*`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterResourceRule {
    /// API group.
    #[serde(default)]
    pub group: String,
    /// Kind.
    #[serde(default)]
    pub kind: String,
    /// Name; absent and empty mean all.
    pub name: Option<String>,
}

/// `spec.orphanedResources`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanedResources {
    /// Warn in a condition. Default true.
    pub warn: Option<bool>,
    /// Objects that do not count.
    pub ignore: Option<Vec<OrphanedResourceKey>>,
}

/// An object that does not count as orphaned.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanedResourceKey {
    /// API group.
    pub group: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Name.
    pub name: Option<String>,
}

/// A time in which syncs are allowed or denied.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncWindow {
    /// `allow` or `deny`.
    pub kind: Option<String>,
    /// When it begins: cron with five fields.
    pub schedule: Option<String>,
    /// How long it lasts.
    pub duration: Option<String>,
    /// Globs of Applications.
    pub applications: Option<Vec<String>>,
    /// Globs of namespaces.
    pub namespaces: Option<Vec<String>>,
    /// Globs of clusters.
    pub clusters: Option<Vec<String>>,
    /// People may sync nevertheless.
    pub manual_sync: Option<bool>,
    /// Time zone of the schedule. Default UTC.
    pub time_zone: Option<String>,
    /// The three lists must all match, instead of any.
    #[serde(rename = "andOperator")]
    pub use_and_operator: Option<bool>,
    /// For people.
    pub description: Option<String>,
    /// A sync that began in an allowed moment may end.
    pub sync_overrun: Option<bool>,
}

/// A key that commits must be signed with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignatureKey {
    /// Identifier of the key.
    #[serde(default, rename = "keyID")]
    pub key_id: String,
}

/// Who to act as at a destination.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DestinationServiceAccount {
    /// Glob of the cluster's URL.
    #[serde(default)]
    pub server: String,
    /// Glob of the namespace.
    pub namespace: Option<String>,
    /// Name, or `namespace:name`.
    #[serde(default)]
    pub default_service_account: String,
}

/// `spec.sourceIntegrity`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceIntegrity {
    /// For Git.
    pub git: Option<GitIntegrity>,
}

/// `spec.sourceIntegrity.git`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitIntegrity {
    /// Policies.
    pub policies: Option<Vec<GitIntegrityPolicy>>,
}

/// How the commits of some repositories are verified.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitIntegrityPolicy {
    /// The repositories.
    pub repos: Option<Vec<GitIntegrityRepo>>,
    /// Signatures by GnuPG.
    pub gpg: Option<GpgPolicy>,
}

/// Repositories of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitIntegrityRepo {
    /// Glob of the URL.
    #[serde(default)]
    pub url: String,
}

/// Which commits must be signed, and by whom.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpgPolicy {
    /// `none`, `head` or `strict`.
    pub mode: Option<String>,
    /// Keys.
    pub keys: Option<Vec<String>>,
}

/// `status` of an AppProject.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppProjectStatus {
    /// Tokens by role.
    pub jwt_tokens_by_role: Option<BTreeMap<String, JwtTokens>>,
}

/// The tokens of one role.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JwtTokens {
    /// Tokens.
    pub items: Option<Vec<JwtToken>>,
}
