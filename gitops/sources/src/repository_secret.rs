//! Repository Secrets (label `argocd.argoproj.io/secret-type`) and which of them opens a repository.
//!
//! Input: the decoded data of Secrets. Output: a [`RepoAccess`] for a URL and a project.
//!
//! The order: a `repository` Secret of the same project, then one without a project, both by URL; one without
//! credentials of its own takes those of the `repo-creds` Secret with the longest URL that the repository's URL starts
//! with. A key that Sluice does not support is an error when the Secret is used, never ignored: the Secret's owner
//! meant something by it.

use std::collections::BTreeMap;

use crate::access::{Credentials, RepoAccess, RepositoryKind, Secret};
use crate::error::SourceError;
use crate::repo_url::normalize;

/// Keys that change how a repository is reached and that Sluice does not support. (`forceHttpBasicAuth` is what Sluice
/// always does, and `webhookManifestCacheWarmDisabled` is about a cache that it does not have.)
const UNSUPPORTED: [&str; 12] = [
    "githubAppID",
    "githubAppInstallationID",
    "githubAppPrivateKey",
    "githubAppEnterpriseBaseUrl",
    "gcpServiceAccountKey",
    "useAzureWorkloadIdentity",
    "azureServicePrincipalClientId",
    "azureServicePrincipalClientSecret",
    "azureServicePrincipalTenantId",
    "azureActiveDirectoryEndpoint",
    "enableLfs",
    "insecureOCIForceHttp",
];

/// What a Secret is for: the value of its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretType {
    /// `repository`: one repository.
    Repository,
    /// `repo-creds`: every repository whose URL starts with the Secret's.
    RepoCreds,
}

impl SecretType {
    /// Reads the value of the label `argocd.argoproj.io/secret-type`; `None` for Secrets of other uses.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        match label {
            "repository" => Some(Self::Repository),
            "repo-creds" => Some(Self::RepoCreds),
            _ => None,
        }
    }
}

/// One repository Secret.
#[derive(Debug, Clone)]
pub struct RepositorySecret {
    /// Name of the Secret, for messages.
    pub secret_name: String,
    /// What it is for.
    pub secret_type: SecretType,
    /// Project that it is limited to.
    pub project: Option<String>,
    access: RepoAccess,
    unsupported: Vec<&'static str>,
}

impl RepositorySecret {
    /// Reads the decoded data of a Secret.
    ///
    /// # Errors
    /// When it holds no `url`, or a value is not text or makes no sense; the message names the key, not the value.
    pub fn parse(
        secret_name: &str,
        secret_type: SecretType,
        data: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, SourceError> {
        let place = |key: &str| format!("Secret {secret_name}: {key}");
        let text = |key: &str| -> Result<Option<String>, SourceError> {
            let Some(value) = data.get(key) else {
                return Ok(None);
            };
            let value = std::str::from_utf8(value)
                .map_err(|_| SourceError::invalid(place(key), "it is not UTF-8 text"))?;
            // Keys end in a line break that matters; everything else gets one by accident.
            let value = if key == "sshPrivateKey" {
                value
            } else {
                value.trim()
            };
            Ok(Some(value.to_owned()).filter(|value| !value.is_empty()))
        };
        let secret = |key: &str| text(key).map(|value| value.map(Secret::new));
        let flag = |key: &str| match text(key)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(SourceError::invalid(
                place(key),
                "it is neither \"true\" nor \"false\"",
            )),
        };
        let mut unsupported = Vec::new();
        for key in UNSUPPORTED {
            if text(key)?.is_some_and(|value| value != "false") {
                unsupported.push(key);
            }
        }
        let depth = match text("depth")? {
            None => None,
            Some(depth) => match depth.parse::<u32>() {
                // 0 asks for the whole history, which rendering never needs.
                Ok(0) => None,
                Ok(depth) => Some(depth),
                Err(_) => return Err(SourceError::invalid(place("depth"), "it is not a number")),
            },
        };
        let kind = match text("type")?.as_deref() {
            _ if flag("enableOCI")? => RepositoryKind::Oci,
            None | Some("git") => RepositoryKind::Git,
            Some("helm") => RepositoryKind::Helm,
            Some("oci") => RepositoryKind::Oci,
            Some(_) => {
                return Err(SourceError::invalid(
                    place("type"),
                    "it is not git, helm or oci",
                ));
            }
        };
        let url =
            text("url")?.ok_or_else(|| SourceError::invalid(place("url"), "it is missing"))?;
        let credentials = Credentials {
            username: text("username")?,
            password: secret("password")?,
            bearer_token: secret("bearerToken")?,
            ssh_private_key: secret("sshPrivateKey")?,
            ssh_known_hosts: None,
            tls_client_cert: text("tlsClientCertData")?,
            tls_client_key: secret("tlsClientCertKey")?,
            tls_ca: None,
            insecure: flag("insecure")?,
            insecure_ignore_host_key: flag("insecureIgnoreHostKey")?,
            proxy: secret("proxy")?,
            no_proxy: text("noProxy")?,
        };
        Ok(Self {
            secret_name: secret_name.to_owned(),
            secret_type,
            project: text("project")?,
            access: RepoAccess {
                url,
                kind,
                name: text("name")?,
                credentials,
                depth,
            },
            unsupported,
        })
    }

    fn used(&self) -> Result<&RepoAccess, SourceError> {
        match self.unsupported.first() {
            None => Ok(&self.access),
            Some(key) => Err(SourceError::Unsupported {
                field: format!("Secret {}: {key}", self.secret_name),
                reason:
                    "use username and password, bearerToken, sshPrivateKey or a client certificate"
                        .into(),
            }),
        }
    }
}

/// What opens the repository `url` for an Application of `project`. A repository that no Secret mentions is reached
/// without credentials. `@name` and `alias:name`, as charts write for a dependency, mean the repository Secret with that
/// `name`.
///
/// # Errors
/// When the Secret that applies has keys that are not supported, and when no Secret has the name of an alias.
pub fn select(
    secrets: &[RepositorySecret],
    url: &str,
    project: &str,
) -> Result<RepoAccess, SourceError> {
    if let Some(name) = url.strip_prefix('@').or_else(|| url.strip_prefix("alias:")) {
        let named = secrets.iter().find(|secret| {
            secret.secret_type == SecretType::Repository
                && secret.access.name.as_deref() == Some(name)
        });
        return match named {
            Some(named) => select(secrets, &named.access.url, project),
            None => Err(SourceError::invalid(
                url,
                "no repository Secret has this name",
            )),
        };
    }
    let wanted = normalize(url);
    let permitted = |secret: &&RepositorySecret| {
        secret
            .project
            .as_deref()
            .is_none_or(|only| only.is_empty() || only == project)
    };
    // A Secret of the project comes before one for everybody; among equals, the name decides.
    let rank = |secret: &&RepositorySecret| {
        (
            secret.project.as_deref().unwrap_or_default().is_empty(),
            secret.secret_name.clone(),
        )
    };
    let own = secrets
        .iter()
        .filter(|secret| secret.secret_type == SecretType::Repository)
        .filter(permitted)
        .filter(|secret| normalize(&secret.access.url) == wanted)
        .min_by_key(rank);
    let mut access = match own {
        Some(secret) => RepoAccess {
            url: url.to_owned(),
            ..secret.used()?.clone()
        },
        None => RepoAccess::anonymous(url),
    };
    if access.credentials.is_anonymous() {
        let template = secrets
            .iter()
            .filter(|secret| secret.secret_type == SecretType::RepoCreds)
            .filter(permitted)
            .filter(|secret| covers(&normalize(&secret.access.url), &wanted))
            .max_by_key(|secret| {
                (
                    normalize(&secret.access.url).len(),
                    std::cmp::Reverse(rank(secret)),
                )
            });
        if let Some(template) = template {
            let found = template.used()?;
            access.credentials = found.credentials.clone();
            if own.is_none() {
                access.kind = found.kind;
            }
        }
    }
    Ok(access)
}

/// Whether a URL prefix covers a repository. It ends at a `/`: credentials for `https://host/team` are not sent to
/// `https://host/team-b` nor to `https://host.example.com`.
fn covers(prefix: &str, url: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    url.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, secret_type: SecretType, pairs: &[(&str, &str)]) -> RepositorySecret {
        let data = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        RepositorySecret::parse(name, secret_type, &data.collect()).unwrap()
    }

    fn password(access: &RepoAccess) -> Option<&str> {
        access.credentials.password.as_ref().map(Secret::reveal)
    }

    #[test]
    fn the_secret_of_the_project_comes_first() {
        let all = [
            secret(
                "a-global",
                SecretType::Repository,
                &[("url", "https://host/x.git"), ("password", "global")],
            ),
            secret(
                "b-own",
                SecretType::Repository,
                &[
                    ("url", "https://host/x"),
                    ("password", "own"),
                    ("project", "web"),
                ],
            ),
        ];
        assert_eq!(
            password(&select(&all, "https://host/x", "web").unwrap()),
            Some("own")
        );
        assert_eq!(
            password(&select(&all, "https://host/x", "other").unwrap()),
            Some("global")
        );
        assert_eq!(
            password(&select(&all, "https://host/y", "web").unwrap()),
            None
        );
    }

    #[test]
    fn the_longest_template_fills_in_missing_credentials() {
        let all = [
            secret(
                "repo",
                SecretType::Repository,
                &[("url", "https://host/team/x"), ("insecure", "true")],
            ),
            secret(
                "short",
                SecretType::RepoCreds,
                &[("url", "https://host"), ("password", "short")],
            ),
            secret(
                "long",
                SecretType::RepoCreds,
                &[("url", "https://host/team/"), ("password", "long")],
            ),
        ];
        assert_eq!(
            password(&select(&all, "https://host/team/x", "p").unwrap()),
            Some("long")
        );
        assert_eq!(
            password(&select(&all, "https://host/team-b/x", "p").unwrap()),
            Some("short")
        );
        assert_eq!(
            password(&select(&all, "https://host.evil.example/x", "p").unwrap()),
            None
        );
    }

    #[test]
    fn an_alias_means_the_secret_of_that_name() {
        let all = [secret(
            "s",
            SecretType::Repository,
            &[
                ("url", "https://host/charts"),
                ("name", "stable"),
                ("type", "helm"),
            ],
        )];
        assert_eq!(
            select(&all, "@stable", "p").unwrap().url,
            "https://host/charts"
        );
        assert_eq!(
            select(&all, "alias:stable", "p").unwrap().url,
            "https://host/charts"
        );
        assert!(select(&all, "@other", "p").is_err());
    }

    #[test]
    fn a_template_of_another_project_is_not_used() {
        let all = [secret(
            "t",
            SecretType::RepoCreds,
            &[("url", "https://host"), ("password", "x"), ("project", "a")],
        )];
        assert_eq!(
            password(&select(&all, "https://host/y", "b").unwrap()),
            None
        );
    }

    #[test]
    fn a_key_that_is_not_supported_is_named_when_the_secret_is_used() {
        let all = [secret(
            "app",
            SecretType::Repository,
            &[("url", "https://host/x"), ("githubAppID", "12")],
        )];
        assert!(select(&all, "https://host/other", "p").is_ok());
        let message = select(&all, "https://host/x", "p").unwrap_err().to_string();
        assert!(message.contains("Secret app: githubAppID"), "{message}");
    }

    #[test]
    fn a_malformed_secret_is_refused_without_its_values() {
        let data = BTreeMap::from([
            ("url".to_owned(), b"https://h/x".to_vec()),
            ("insecure".to_owned(), b"canary".to_vec()),
        ]);
        let message = RepositorySecret::parse("s", SecretType::Repository, &data)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("insecure") && !message.contains("canary"),
            "{message}"
        );
        assert!(RepositorySecret::parse("s", SecretType::Repository, &BTreeMap::new()).is_err());
    }
}
