//! Looking at Git: which commit, with which credentials, and what it renders to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use sluice_crds::app_project::AppProject;
use sluice_crds::application::{Application, ApplicationSource};
use sluice_crds::names;
use sluice_gitops::application::RenderRequest;
use sluice_gitops::project;
use sluice_gitops_sources::{
    AppIdentity, DependencyAccess, RefSource, RenderRequest as SourceRequest, RepoAccess,
    RepositorySecret, SecretType, SourceError, Sources, select_access,
};
use sluice_runtime::{Cache, Key};

use super::catalog::Known;

/// What Git said.
#[derive(Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) sources: Vec<ApplicationSource>,
    pub(crate) revisions: Vec<String>,
    pub(crate) source_types: Vec<String>,
    /// The rendered objects, as JSON text: much smaller than parsed.
    objects: Box<[u8]>,
    pub(crate) warnings: Vec<String>,
}

impl Snapshot {
    /// The rendered objects.
    pub(crate) fn objects(&self) -> Vec<Value> {
        // The text was written by this type, so it always parses.
        serde_json::from_slice(&self.objects).unwrap_or_default()
    }
}

/// Why there is nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) transient: bool,
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        metrics::counter!("sluice_source_errors_total", "kind" => error.kind()).increment(1);
        Self {
            transient: error.is_transient(),
            message: error.to_string(),
        }
    }
}

/// Repositories and what opens them.
#[derive(Clone)]
pub(crate) struct Git {
    pub(crate) sources: Arc<Sources>,
    pub(crate) secrets: Arc<Cache>,
    pub(crate) config_maps: Arc<Cache>,
    pub(crate) control_namespace: Arc<str>,
}

/// What is to be looked at.
pub(crate) struct Look {
    pub(crate) app: Arc<Application>,
    pub(crate) project: Arc<AppProject>,
    pub(crate) request: RenderRequest,
    pub(crate) known: Arc<Known>,
    /// Render again even if the result is remembered.
    pub(crate) hard: bool,
    /// What was rendered last; if the commits are the same, it is the answer.
    pub(crate) last: Option<Arc<Snapshot>>,
}

impl Git {
    /// Resolves and renders.
    pub(crate) async fn look(&self, look: Look) -> Result<Arc<Snapshot>, Failure> {
        let keyring = Keyring::read(self);
        let project_name = look.app.spec.project();
        let sources = &look.request.sources;
        let mut accesses = Vec::new();
        let mut revisions = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            let access = keyring.access(&source.repo_url, project_name)?;
            let wanted = match look.request.revisions.get(index) {
                Some(revision) => ApplicationSource {
                    target_revision: Some(revision.clone()),
                    ..source.clone()
                },
                None => source.clone(),
            };
            revisions.push(self.sources.resolve_source(&access, &wanted).await?.sha);
            accesses.push(access);
        }
        if let Some(last) = &look.last
            && !look.hard
            && last.sources == *sources
            && last.revisions == revisions
        {
            return Ok(Arc::clone(last));
        }
        let ref_sources: BTreeMap<String, RefSource> = sources
            .iter()
            .zip(accesses.iter().zip(&revisions))
            .filter_map(|(source, (access, revision))| {
                let name = source.reference.clone().filter(|name| !name.is_empty())?;
                Some((
                    name,
                    RefSource {
                        access: access.clone(),
                        revision: revision.clone(),
                    },
                ))
            })
            .collect();
        let dependencies = keyring.dependencies(&look.project, project_name);
        let mut snapshot = Rendered::default();
        for ((source, access), revision) in sources.iter().zip(&accesses).zip(&revisions) {
            let request = SourceRequest {
                application: AppIdentity {
                    name: look.app.metadata.name.clone().unwrap_or_default(),
                    namespace: look.app.metadata.namespace.clone().unwrap_or_default(),
                    project: project_name.to_owned(),
                },
                destination_namespace: look.app.spec.destination.namespace().to_owned(),
                source: source.clone(),
                revision: revision.clone(),
                access: access.clone(),
                kube_version: look.known.kube_version.clone(),
                api_versions: look.known.api_versions.clone(),
                ref_sources: ref_sources.clone(),
                dependencies: dependencies.clone(),
                fresh: look.hard,
            };
            let rendered = self.sources.render(&request).await?;
            snapshot.objects.extend(rendered.objects.iter().cloned());
            snapshot
                .source_types
                .push(rendered.source_type.as_str().to_owned());
            snapshot.warnings.extend(rendered.warnings.iter().cloned());
        }
        let objects = serde_json::to_vec(&snapshot.objects).map_err(|error| Failure {
            message: format!("the rendering is no JSON: {error}"),
            transient: false,
        })?;
        Ok(Arc::new(Snapshot {
            sources: sources.clone(),
            revisions,
            source_types: snapshot.source_types,
            objects: objects.into_boxed_slice(),
            warnings: snapshot.warnings,
        }))
    }
}

#[derive(Default)]
struct Rendered {
    objects: Vec<Value>,
    source_types: Vec<String>,
    warnings: Vec<String>,
}

/// The repository Secrets and what is known of servers, as they are now.
#[derive(Clone)]
struct Keyring {
    secrets: Arc<Vec<RepositorySecret>>,
    known_hosts: Option<String>,
    certificates: Arc<BTreeMap<String, String>>,
}

impl Keyring {
    fn read(git: &Git) -> Self {
        let mut secrets = Vec::new();
        for object in git.secrets.all() {
            let value = object.value();
            let label = value
                .pointer("/metadata/labels")
                .and_then(|labels| labels.get(names::SECRET_TYPE))
                .and_then(Value::as_str)
                .unwrap_or_default();
            let Some(secret_type) = SecretType::from_label(label) else {
                continue;
            };
            let data = data_of(&value);
            match RepositorySecret::parse(&object.key.name, secret_type, &data) {
                Ok(secret) => secrets.push(secret),
                // One malformed Secret does not shut the others out.
                Err(error) => tracing::warn!(%error, "a repository Secret is not usable"),
            }
        }
        let map = |name: &str| -> BTreeMap<String, String> {
            let object = git.config_maps.get(&Key::new(&git.control_namespace, name));
            let value = object.map(|object| object.value()).unwrap_or_default();
            value
                .get("data")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect()
        };
        Self {
            secrets: Arc::new(secrets),
            known_hosts: map("argocd-ssh-known-hosts-cm").remove("ssh_known_hosts"),
            certificates: Arc::new(map("argocd-tls-certs-cm")),
        }
    }

    fn access(&self, url: &str, project: &str) -> Result<RepoAccess, SourceError> {
        let mut access = select_access(&self.secrets, url, project)?;
        access
            .credentials
            .ssh_known_hosts
            .clone_from(&self.known_hosts);
        access.credentials.tls_ca = self.certificates.get(host(url)).cloned();
        Ok(access)
    }

    /// Charts may take dependencies from where the project permits.
    fn dependencies(&self, project: &Arc<AppProject>, project_name: &str) -> DependencyAccess {
        let (keyring, project, name) = (self.clone(), Arc::clone(project), project_name.to_owned());
        DependencyAccess::new(move |url| {
            project::permits_repository(&project, url)
                .then(|| keyring.access(url, &name).ok())
                .flatten()
        })
    }
}

/// The host of a URL, without user and port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    host.split(':').next().unwrap_or_default()
}

/// `data` of a Secret, decoded; values that are no base64 are left out.
pub(crate) fn data_of(secret: &Value) -> BTreeMap<String, Vec<u8>> {
    use k8s_openapi::ByteString;
    secret
        .get("data")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| {
            let bytes: ByteString = serde_json::from_value(value.clone()).ok()?;
            Some((key.clone(), bytes.0))
        })
        .collect()
}

/// One sentence for each warning of a rendering.
pub(crate) fn warnings(snapshot: &Snapshot) -> impl Iterator<Item = (&'static str, String)> + '_ {
    snapshot
        .warnings
        .iter()
        .map(|warning| ("SourceWarning", warning.clone()))
}
