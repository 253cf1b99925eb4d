//! What is asked of this crate, and what it answers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sluice_crds::application::ApplicationSource;

use crate::access::{RepoAccess, hex};

/// The Application that is rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AppIdentity {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `spec.project`, or `default`.
    pub project: String,
}

/// Another source of the same Application, whose files this one may use as `$ref/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefSource {
    /// Its repository.
    pub access: RepoAccess,
    /// Its resolved commit.
    pub revision: String,
}

/// Decides from where a chart may take its dependencies: gets the URL of a repository (or `@name`), gives what opens it,
/// or `None` when the project does not permit it.
#[derive(Clone)]
pub struct DependencyAccess(Arc<Decide>);

type Decide = dyn Fn(&str) -> Option<RepoAccess> + Send + Sync;

impl DependencyAccess {
    /// Decides by a function.
    pub fn new(decide: impl Fn(&str) -> Option<RepoAccess> + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    /// Permits nothing: dependencies must be in the chart's `charts/` folder.
    #[must_use]
    pub fn none() -> Self {
        Self::new(|_| None)
    }

    pub(crate) fn decide(&self, url: &str) -> Option<RepoAccess> {
        (self.0)(url)
    }
}

impl fmt::Debug for DependencyAccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DependencyAccess")
    }
}

/// What to render.
#[derive(Debug, Clone)]
pub struct RenderRequest {
    /// The Application.
    pub application: AppIdentity,
    /// `spec.destination.namespace`; may be empty.
    pub destination_namespace: String,
    /// The source, as in the spec.
    pub source: ApplicationSource,
    /// What the source's revision resolved to: a full commit name, or the version of a chart.
    pub revision: String,
    /// The source's repository.
    pub access: RepoAccess,
    /// Version of the destination cluster, as in `1.36.3`; empty if unknown.
    pub kube_version: String,
    /// API versions of the destination cluster, as in `apps/v1` and `apps/v1/Deployment`.
    pub api_versions: Vec<String>,
    /// Sources with a `ref`, by that name (without `$`).
    pub ref_sources: BTreeMap<String, RefSource>,
    /// From where charts may take dependencies.
    pub dependencies: DependencyAccess,
    /// Render again even if the result is remembered (a hard refresh).
    pub fresh: bool,
}

impl RenderRequest {
    /// A digest of everything that the rendering depends on.
    pub(crate) fn digest(&self) -> String {
        let references: Vec<_> = self
            .ref_sources
            .iter()
            .map(|(name, source)| (name, source.access.cache_key(), &source.revision))
            .collect();
        let inputs = serde_json::json!({
            "application": self.application,
            "destinationNamespace": self.destination_namespace,
            "source": self.source,
            "revision": self.revision,
            "repository": self.access.cache_key(),
            "kubeVersion": self.kube_version,
            "apiVersions": self.api_versions,
            "references": references,
        });
        hex(&Sha256::digest(inputs.to_string()))
    }
}

/// How a source is rendered; the words of `status.sourceType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum SourceType {
    /// A chart.
    Helm,
    /// A kustomization.
    Kustomize,
    /// Plain manifests.
    Directory,
}

impl SourceType {
    /// The word in `status.sourceType`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Helm => "Helm",
            Self::Kustomize => "Kustomize",
            Self::Directory => "Directory",
        }
    }
}

impl fmt::Display for SourceType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a source renders to.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The objects, in the order of the files or of the tool's output. Each has `apiVersion`, `kind` and a name (or
    /// `generateName`); namespaces and tracking marks are as the source has them.
    pub objects: Vec<Value>,
    /// How it was rendered.
    pub source_type: SourceType,
    /// Digest (SHA-256, hexadecimal) of everything that the rendering depends on: revision, source settings,
    /// Application, versions. Equal digests mean equal objects; the reverse does not hold.
    pub digest_inputs: String,
    /// What a person may want to know: files that are not manifests, keys that stand twice. Each names its file.
    pub warnings: Vec<String>,
}

/// What a revision resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedRevision {
    /// Full commit name, or the version of a chart.
    pub sha: String,
    /// The branch or tag that was followed, as in `refs/heads/main`; absent for a commit or a chart.
    pub name: Option<String>,
}
