//! Charts from Helm repositories (`https://…` with an `index.yaml`) and registries (`oci://…`).
//!
//! Invariant: credentials are in files of a folder that is deleted afterwards (0600), where helm looks for them, and
//! never in arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::json;

use crate::access::{RepoAccess, RepositoryKind};
use crate::beneath::{Refusal, Root};
use crate::error::SourceError;
use crate::redact::Redactor;
use crate::repo_url::{RepoUrl, Scheme};
use crate::tool::{Tool, args};
use crate::workshop::Workshop;
use crate::yaml;

/// Name of the one repository of a chart source.
const NAME: &str = "source";

/// helm with repositories that it may use.
#[derive(Debug)]
pub(super) struct HelmHome<'a> {
    /// helm with network.
    pub(super) tool: Tool<'a>,
}

impl<'a> HelmHome<'a> {
    /// Writes down repositories by name.
    pub(super) fn new(
        shop: &'a Workshop,
        repositories: &[(String, RepoAccess)],
    ) -> Result<Self, SourceError> {
        let mut tool = Tool::helm(shop)?.with_network();
        let mut entries = Vec::new();
        let mut registries = serde_json::Map::new();
        for (index, (name, access)) in repositories.iter().enumerate() {
            let url = RepoUrl::parse(&access.url, false)?;
            for secret in access.credentials.secrets() {
                tool.redactor.hide(secret);
            }
            let user = access.credentials.username.clone().or(url.username.clone());
            let password = access.credentials.password.clone().or(url.password.clone());
            let user = user.unwrap_or_default();
            let password = password
                .as_ref()
                .map(|secret| secret.reveal())
                .unwrap_or_default();
            match url.scheme {
                Scheme::Oci => {
                    let host = url
                        .clean
                        .trim_start_matches("oci://")
                        .split('/')
                        .next()
                        .unwrap_or_default();
                    if !password.is_empty() {
                        let pair = format!("{user}:{password}");
                        let auth = base64::engine::general_purpose::STANDARD.encode(pair);
                        tool.redactor.hide(&auth);
                        registries.insert(host.to_owned(), json!({ "auth": auth }));
                    }
                }
                Scheme::Http | Scheme::Https => {
                    let file = |suffix: &str, text: Option<&str>| match text {
                        Some(text) => tool
                            .private_file(&format!("tls-{index}-{suffix}.pem"), text)
                            .map(|path| path.display().to_string()),
                        None => Ok(String::new()),
                    };
                    let credentials = &access.credentials;
                    let key = credentials.tls_client_key.as_ref().map(|key| key.reveal());
                    entries.push(json!({
                        "name": name,
                        "url": url.clean,
                        "username": user,
                        "password": password,
                        "certFile": file("cert", credentials.tls_client_cert.as_deref())?,
                        "keyFile": file("key", key)?,
                        "caFile": file("ca", credentials.tls_ca.as_deref())?,
                        "insecure_skip_tls_verify": credentials.insecure,
                        "pass_credentials_all": false,
                    }));
                }
                _ => {
                    return Err(SourceError::InvalidRepositoryUrl {
                        url: url.clean,
                        reason: "charts come from https://, http:// or oci:// addresses".into(),
                    });
                }
            }
        }
        let list = json!({ "apiVersion": "v1", "generated": "2000-01-01T00:00:00Z", "repositories": entries });
        tool.private_file("repositories.yaml", &list.to_string())?;
        tool.private_file("registry.json", &json!({ "auths": registries }).to_string())?;
        Ok(Self { tool })
    }
}

/// A chart of a repository, as helm is told about it.
struct Chart<'a> {
    home: HelmHome<'a>,
    /// `source/name`, or `oci://host/path/name`.
    address: String,
    indexed: bool,
}

impl<'a> Chart<'a> {
    fn new(shop: &'a Workshop, access: &RepoAccess, chart: &str) -> Result<Self, SourceError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if !edge(chart.chars().next()) || !chart.chars().all(plain) || chart.contains("..") {
            return Err(SourceError::invalid(
                "spec.source.chart",
                "it is not the name of a chart",
            ));
        }
        let mut access = access.clone();
        // A registry may be written without its scheme when its Secret says `enableOCI`.
        if access.kind == RepositoryKind::Oci && !access.url.contains("://") {
            access.url = format!("oci://{}", access.url);
        }
        let url = RepoUrl::parse(&access.url, false)?;
        let indexed = url.scheme != Scheme::Oci;
        let address = if indexed {
            format!("{NAME}/{chart}")
        } else {
            format!("{}/{chart}", url.clean.trim_end_matches('/'))
        };
        let home = HelmHome::new(shop, &[(NAME.to_owned(), access)])?;
        Ok(Self {
            home,
            address,
            indexed,
        })
    }

    async fn update(&self) -> Result<(), SourceError> {
        if self.indexed {
            let words = args(["repo", "update", NAME]);
            self.home.tool.run(self.home.tool.home(), words).await?;
        }
        Ok(())
    }

    async fn run(
        &self,
        head: &[&str],
        version: &str,
        tail: Vec<OsString>,
    ) -> Result<Vec<u8>, SourceError> {
        let mut words: Vec<OsString> = head.iter().map(OsString::from).collect();
        words.push(self.address.clone().into());
        if !version.is_empty() {
            // Joined, so that a version cannot be an option.
            words.push(format!("--version={version}").into());
        }
        words.extend(tail);
        self.home.tool.run(self.home.tool.home(), words).await
    }
}

/// The version of a chart that `revision` (a version or a range) names.
pub(crate) async fn resolve(
    shop: &Workshop,
    access: &RepoAccess,
    chart: &str,
    revision: &str,
) -> Result<String, SourceError> {
    let asked = if matches!(revision, "HEAD" | "*") {
        ""
    } else {
        revision
    };
    let found = Chart::new(shop, access, chart)?;
    let _permit = shop.permit().await?;
    found
        .update()
        .await
        .map_err(|error| unreachable(access, error))?;
    let output = found
        .run(&["show", "chart"], asked, Vec::new())
        .await
        .map_err(|error| not_found(access, chart, revision, error))?;
    let text = String::from_utf8_lossy(&output);
    let version = yaml::parse_one(&text)
        .ok()
        .and_then(|value| value["version"].as_str().map(str::to_owned));
    version.ok_or_else(|| SourceError::RevisionNotFound {
        url: shown(access),
        revision: format!("{chart} {revision}"),
        reason: "the chart has no version".into(),
    })
}

/// Downloads a chart into `target`, which must be an empty folder, and gives the chart's folder in it.
pub(crate) async fn pull(
    shop: &Workshop,
    access: &RepoAccess,
    chart: &str,
    version: &str,
    target: &Path,
) -> Result<PathBuf, SourceError> {
    let found = Chart::new(shop, access, chart)?;
    let _permit = shop.permit().await?;
    found
        .update()
        .await
        .map_err(|error| unreachable(access, error))?;
    let tail = vec!["--untar".into(), "--untardir".into(), target.into()];
    found
        .run(&["pull"], version, tail)
        .await
        .map_err(|error| not_found(access, chart, version, error))?;
    check_links(target)?;
    let name = chart.rsplit('/').next().unwrap_or(chart);
    let folder = target.join(name);
    if folder.join("Chart.yaml").is_file() {
        return Ok(folder);
    }
    Err(SourceError::PathNotFound {
        field: "spec.source.chart".into(),
        path: chart.to_owned(),
        reason: "the archive holds no chart of that name".into(),
    })
}

fn shown(access: &RepoAccess) -> String {
    Redactor::new(&access.credentials).text(&access.url)
}

/// helm's failure to read the repository itself.
fn unreachable(access: &RepoAccess, error: SourceError) -> SourceError {
    match error {
        SourceError::RenderFailed { message, .. } => {
            let denied = ["401", "403", "Unauthorized", "Forbidden", "denied"];
            let url = shown(access);
            if denied.iter().any(|sign| message.contains(sign)) {
                SourceError::AccessDenied { url, message }
            } else if message.contains("404") {
                SourceError::RepositoryNotFound { url, message }
            } else {
                SourceError::RepositoryUnreachable { url, message }
            }
        }
        other => other,
    }
}

/// helm's failure to find a chart in a repository that answers.
fn not_found(access: &RepoAccess, chart: &str, revision: &str, error: SourceError) -> SourceError {
    match error {
        SourceError::RenderFailed { ref message, .. }
            if message.contains("not found") || message.contains("no chart") =>
        {
            SourceError::RevisionNotFound {
                url: shown(access),
                revision: format!("{chart} {revision}"),
                reason: message.clone(),
            }
        }
        other => unreachable(access, other),
    }
}

/// No link of an unpacked chart may lead out of it.
fn check_links(folder: &Path) -> Result<(), SourceError> {
    let failed = |error: &std::io::Error| SourceError::cache("reading a chart", error);
    let root = Root::new(folder).map_err(|error| failed(&error))?;
    let mut open = vec![root.path().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            let kind = entry.file_type().map_err(|error| failed(&error))?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_symlink() {
                let inner = root.shown(&entry.path());
                if let Err(refusal @ Refusal::Outside(_)) = root.resolve(&inner) {
                    return Err(refusal.into_error("spec.source.chart", inner));
                }
            }
        }
    }
    Ok(())
}

/// Whether a version is written out and needs no look at the repository.
pub(crate) fn is_pinned(revision: &str) -> bool {
    semver::Version::parse(revision.strip_prefix('v').unwrap_or(revision)).is_ok()
}
