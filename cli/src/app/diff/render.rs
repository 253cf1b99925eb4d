//! The manifests of an Application at a commit, rendered on this machine with the credentials of the repository Secrets.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::ByteString;
use kube::api::ListParams;
use serde_json::Value;
use sluice_crds::app_project::AppProject;
use sluice_crds::application::{Application, ApplicationSource};
use sluice_crds::names;
use sluice_gitops::project;
use sluice_gitops_sources::{
    AppIdentity, DependencyAccess, RefSource, RenderRequest, RepoAccess, RepositorySecret,
    SecretType, SourceError, Sources, SourcesConfig, select_access,
};

use super::observe::Api;
use crate::cluster::{self, Cluster};
use crate::get::owned::text;

/// What the sources render to.
pub(super) struct Rendering {
    /// The objects, as rendered.
    pub objects: Vec<Value>,
    /// The commits, separated by commas.
    pub revision: String,
}

/// Resolves and renders all sources. `revision` replaces the target revision of an Application with one source.
pub(super) async fn render(
    cluster: &Cluster,
    application: &Application,
    project: &AppProject,
    api: &Api,
    revision: Option<&str>,
    cache: &Path,
) -> Result<Rendering> {
    let sources = application.spec.sources();
    ensure!(!sources.is_empty(), "the Application has no source");
    if revision.is_some() && sources.len() > 1 {
        bail!("--revision: the Application has several sources; which one is meant cannot be said");
    }
    let keyring = Keyring::read(cluster, application).await;
    let mut config = SourcesConfig::new(cache);
    if let Ok(path) = std::env::var("PATH") {
        config.search_path = path;
    }
    config.network_env = SourcesConfig::network_variables(std::env::vars());
    let shop = Sources::new(config)?;
    let name = application.spec.project();

    let mut resolved = Vec::new();
    for source in sources {
        let access = keyring.access(&source.repo_url, name)?;
        let wanted = match revision {
            Some(revision) => ApplicationSource {
                target_revision: Some(revision.to_owned()),
                ..source.clone()
            },
            None => source.clone(),
        };
        let found = shop
            .resolve_source(&access, &wanted)
            .await
            .map_err(|error| keyring.explain(error))?;
        resolved.push((source, access, found.sha));
    }
    let ref_sources: BTreeMap<String, RefSource> = resolved
        .iter()
        .filter_map(|(source, access, revision)| {
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
    let mut objects = Vec::new();
    for (source, access, revision) in &resolved {
        let request = RenderRequest {
            application: AppIdentity {
                name: application.metadata.name.clone().unwrap_or_default(),
                namespace: application.metadata.namespace.clone().unwrap_or_default(),
                project: name.to_owned(),
            },
            destination_namespace: application.spec.destination.namespace().to_owned(),
            source: (*source).clone(),
            revision: revision.clone(),
            access: access.clone(),
            kube_version: api.kube_version.clone(),
            api_versions: api.api_versions.clone(),
            ref_sources: ref_sources.clone(),
            dependencies: keyring.dependencies(project, name),
            fresh: false,
        };
        let rendered = shop
            .render(&request)
            .await
            .map_err(|error| keyring.explain(error))?;
        objects.extend(rendered.objects.iter().cloned());
    }
    let revisions: Vec<String> = resolved
        .into_iter()
        .map(|(_, _, revision)| revision)
        .collect();
    Ok(Rendering {
        objects,
        revision: revisions.join(","),
    })
}

/// What opens repositories.
#[derive(Clone, Default)]
struct Keyring {
    secrets: Vec<RepositorySecret>,
    known_hosts: Option<String>,
    certificates: BTreeMap<String, String>,
    /// Why the Secrets are not there.
    unread: Option<String>,
}

impl Keyring {
    /// Reads what the person may read; a public repository needs none of it.
    async fn read(cluster: &Cluster, application: &Application) -> Self {
        let status = application.status.as_ref();
        let control = status
            .and_then(|status| status.controller_namespace.clone())
            .unwrap_or_else(|| cluster.namespace.clone());
        let control = Cluster {
            namespace: control,
            ..cluster.clone()
        };
        let labelled = ListParams::default().labels(names::SECRET_TYPE);
        let mut keyring = Self::default();
        match control.list(&cluster::SECRETS, &labelled).await {
            Ok(secrets) => keyring.secrets = secrets.iter().filter_map(repository).collect(),
            Err(error) => keyring.unread = Some(crate::failure::of_client(&error)),
        }
        let map = async |name: &str| -> BTreeMap<String, String> {
            let found = control
                .get(&cluster::CONFIG_MAPS, name)
                .await
                .unwrap_or_default();
            serde_json::from_value(found.get("data").cloned().unwrap_or_default())
                .unwrap_or_default()
        };
        keyring.known_hosts = map("argocd-ssh-known-hosts-cm")
            .await
            .remove("ssh_known_hosts");
        keyring.certificates = map("argocd-tls-certs-cm").await;
        keyring
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
    fn dependencies(&self, project: &AppProject, name: &str) -> DependencyAccess {
        let (keyring, project, name) = (self.clone(), project.clone(), name.to_owned());
        DependencyAccess::new(move |url| {
            let permitted = project::permits_repository(&project, url);
            permitted.then(|| keyring.access(url, &name).ok()).flatten()
        })
    }

    /// A refusal may come from credentials that could not be read.
    fn explain(&self, error: SourceError) -> anyhow::Error {
        let context = "the manifests could not be rendered on this machine";
        match &self.unread {
            Some(why) => anyhow::Error::new(error).context(format!(
                "{context} (repository Secrets could not be read: {why})"
            )),
            None => anyhow::Error::new(error).context(context),
        }
    }
}

fn repository(secret: &Value) -> Option<RepositorySecret> {
    let label = secret
        .pointer("/metadata/labels")?
        .get(names::SECRET_TYPE)?
        .as_str()?;
    let data: BTreeMap<String, ByteString> =
        serde_json::from_value(secret.get("data")?.clone()).ok()?;
    let data = data
        .into_iter()
        .map(|(key, value)| (key, value.0))
        .collect();
    let parsed = RepositorySecret::parse(
        text(secret, "/metadata/name"),
        SecretType::from_label(label)?,
        &data,
    );
    // One malformed Secret does not shut the others out.
    parsed.context("a repository Secret is not usable").ok()
}

/// The host of a URL, without user and port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    host.split(':').next().unwrap_or_default()
}
