//! `Application`: what a place in Git says should run in a namespace.
//!
//! One file for each part of the API: [`source`] (where the manifests are), [`policy`] (how they are applied),
//! [`operation`] (one run of the sync), [`status`].
//!
//! There is no status subresource and `operation` stands beside `spec`, as upstream: the CLI, UIs and this controller
//! all patch the main resource.

pub mod operation;
pub mod policy;
pub mod source;
pub mod status;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::root_kind::{Column, always_written, root_kind};
pub use operation::Operation;
pub use policy::SyncPolicy;
pub use source::{
    ApplicationSource, DirectorySource, HelmSource, KustomizeSource, PluginSource, SourceHydrator,
};
pub use status::ApplicationStatus;

root_kind!(
    /// The desired state of one application, and the state of bringing it about.
    Application, "application", "applications", &["app", "apps"],
    &[
        Column { name: "Sync Status", kind: "string", path: ".status.sync.status", priority: 0 },
        Column { name: "Health Status", kind: "string", path: ".status.health.status", priority: 0 },
        Column { name: "Revision", kind: "string", path: ".status.sync.revision", priority: 10 },
        Column { name: "Project", kind: "string", path: ".spec.project", priority: 10 },
    ],
    {
        /// What should run, and where.
        spec "spec": ApplicationSpec,
        /// An order to sync now; removed by the controller when it is done.
        operation "operation": Option<Operation>,
        /// What was found.
        status "status": Option<ApplicationStatus>,
    }
);
always_written!(ApplicationSpec);

/// `spec` of an Application.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSpec {
    /// Name of the AppProject. Absent and empty mean `default`.
    pub project: Option<String>,
    /// The one place that the manifests come from; ignored when `sources` has entries.
    pub source: Option<ApplicationSource>,
    /// Several places whose manifests are put together.
    pub sources: Option<Vec<ApplicationSource>>,
    /// Manifests that are rendered into a branch of their own before they are applied.
    pub source_hydrator: Option<SourceHydrator>,
    /// Where the objects go.
    #[serde(default)]
    pub destination: Destination,
    /// How and when they are applied.
    pub sync_policy: Option<SyncPolicy>,
    /// Differences that do not count.
    pub ignore_differences: Option<Vec<IgnoreDifferences>>,
    /// Free information for people.
    pub info: Option<Vec<Info>>,
    /// Number of `status.history` entries to keep. Default 10; 0 keeps none.
    pub revision_history_limit: Option<i64>,
}

impl ApplicationSpec {
    /// The project's name: `default` when none is written.
    #[must_use]
    pub fn project(&self) -> &str {
        match self.project.as_deref() {
            None | Some("") => "default",
            Some(name) => name,
        }
    }

    /// The sources in use: `sources` if it has entries, else `source`; empty when neither is there.
    #[must_use]
    pub fn sources(&self) -> &[ApplicationSource] {
        match (self.sources.as_deref(), &self.source) {
            (Some(sources), _) if !sources.is_empty() => sources,
            (_, Some(source)) => std::slice::from_ref(source),
            _ => &[],
        }
    }

    /// Whether the Application is written with `sources` (its status then has `revisions` instead of `revision`).
    #[must_use]
    pub fn has_multiple_sources(&self) -> bool {
        self.sources
            .as_ref()
            .is_some_and(|sources| !sources.is_empty())
    }

    /// `revisionHistoryLimit`, or its default 10; never negative.
    #[must_use]
    pub fn revision_history_limit(&self) -> usize {
        usize::try_from(self.revision_history_limit.unwrap_or(10)).unwrap_or(0)
    }
}

/// `spec.destination`: `server` or `name`, not both.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// URL of the cluster's API server.
    pub server: Option<String>,
    /// Name of the cluster.
    pub name: Option<String>,
    /// Namespace of objects that name none.
    pub namespace: Option<String>,
}

/// URL by which the cluster that the controller runs in is named.
pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
/// Name of the cluster that the controller runs in.
pub const IN_CLUSTER_NAME: &str = "in-cluster";

impl Destination {
    /// Whether this is the cluster that the controller runs in.
    #[must_use]
    pub fn is_in_cluster(&self) -> bool {
        match (
            self.server.as_deref().unwrap_or(""),
            self.name.as_deref().unwrap_or(""),
        ) {
            (server, "") => server.trim_end_matches('/') == IN_CLUSTER_SERVER,
            ("", name) => name == IN_CLUSTER_NAME,
            _ => false,
        }
    }

    /// The namespace of objects that name none; empty when the destination has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("")
    }
}

/// One entry of `spec.ignoreDifferences`. Group and kind may hold `*` and `?`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IgnoreDifferences {
    /// API group; absent and empty mean the core group.
    pub group: Option<String>,
    /// Kind.
    #[serde(default)]
    pub kind: String,
    /// Name; absent and empty mean all.
    pub name: Option<String>,
    /// Namespace; absent and empty mean all.
    pub namespace: Option<String>,
    /// Fields by RFC 6901 pointer.
    pub json_pointers: Option<Vec<String>>,
    /// Fields by jq path.
    pub jq_path_expressions: Option<Vec<String>>,
    /// Fields that one of these field managers owns.
    pub managed_fields_managers: Option<Vec<String>>,
}

/// A name and a value for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Info {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Value.
    #[serde(default)]
    pub value: String,
}
