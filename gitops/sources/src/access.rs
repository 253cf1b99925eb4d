//! How a repository is reached: its URL and what opens it.
//!
//! Invariant: secrets are wrapped in [`Secret`], which never prints itself.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself; for writing into a child's environment or a 0600 file and nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(crate::redact::REDACTED)
    }
}

/// What kind of server a URL names; `type` and `enableOCI` of a repository Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum RepositoryKind {
    /// A Git repository.
    #[default]
    Git,
    /// A Helm repository: an `index.yaml` over HTTP.
    Helm,
    /// An OCI registry.
    Oci,
}

/// What opens a repository: the fields of a repository Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// `username`; absent is sent as `x-access-token`, as servers with access tokens expect.
    pub username: Option<String>,
    /// `password`, or an access token.
    pub password: Option<Secret>,
    /// `bearerToken`, sent instead of name and password.
    pub bearer_token: Option<Secret>,
    /// `sshPrivateKey`, in PEM.
    pub ssh_private_key: Option<Secret>,
    /// Lines of a `known_hosts` file, from the ConfigMap `argocd-ssh-known-hosts-cm`.
    pub ssh_known_hosts: Option<String>,
    /// `tlsClientCertData`, in PEM.
    pub tls_client_cert: Option<String>,
    /// `tlsClientCertKey`, in PEM.
    pub tls_client_key: Option<Secret>,
    /// Certificate authority of the server, in PEM, from the ConfigMap `argocd-tls-certs-cm`.
    pub tls_ca: Option<String>,
    /// `insecure`: the server's certificate is not verified.
    pub insecure: bool,
    /// `insecureIgnoreHostKey`: the server's SSH host key is not verified.
    pub insecure_ignore_host_key: bool,
    /// `proxy`: URL of an HTTP proxy.
    pub proxy: Option<Secret>,
    /// `noProxy`: hosts that are reached without it.
    pub no_proxy: Option<String>,
}

impl Credentials {
    /// Every text that must not be printed.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        [
            &self.password,
            &self.bearer_token,
            &self.ssh_private_key,
            &self.tls_client_key,
            &self.proxy,
        ]
        .into_iter()
        .flatten()
        .map(Secret::reveal)
    }

    /// Whether nothing identifies the caller to the server.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.password.is_none()
            && self.bearer_token.is_none()
            && self.ssh_private_key.is_none()
            && self.tls_client_cert.is_none()
    }

    /// A digest that tells two credentials apart; what was fetched with one is not served to another.
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let parts = [
            self.username.as_deref(),
            self.password.as_ref().map(Secret::reveal),
            self.bearer_token.as_ref().map(Secret::reveal),
            self.ssh_private_key.as_ref().map(Secret::reveal),
            self.tls_client_cert.as_deref(),
        ];
        for part in parts {
            hash.update([u8::from(part.is_some())]);
            hash.update(part.unwrap_or_default());
            hash.update([0]);
        }
        hex(&hash.finalize())
    }
}

/// A repository and what opens it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepoAccess {
    /// `spec.source.repoURL`, as written.
    pub url: String,
    /// Kind of server.
    pub kind: RepositoryKind,
    /// `name` of the repository Secret.
    pub name: Option<String>,
    /// What opens it.
    pub credentials: Credentials,
    /// `depth` of the repository Secret: how many commits of history are fetched. Absent: only the commit that is
    /// rendered, which is all that rendering needs.
    pub depth: Option<u32>,
}

impl RepoAccess {
    /// A Git repository that needs no credentials.
    #[must_use]
    pub fn anonymous(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    /// Name of its folder in the cache: a digest of the URL and of the credentials.
    pub(crate) fn cache_key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.url);
        hash.update([0]);
        hash.update(self.credentials.fingerprint());
        hex(&hash.finalize()).chars().take(40).collect()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_credentials_holds_no_secret() {
        let access = RepoAccess {
            url: "https://host/x".into(),
            credentials: Credentials {
                password: Some(Secret::new("canary-secret")),
                bearer_token: Some(Secret::new("canary-secret")),
                ssh_private_key: Some(Secret::new("canary-secret")),
                tls_client_key: Some(Secret::new("canary-secret")),
                proxy: Some(Secret::new("http://u:canary-secret@proxy")),
                ..Credentials::default()
            },
            ..RepoAccess::default()
        };
        assert!(!format!("{access:?}").contains("canary-secret"));
    }

    #[test]
    fn other_credentials_get_another_cache() {
        let open = RepoAccess::anonymous("https://host/x");
        let mut closed = open.clone();
        closed.credentials.password = Some(Secret::new("pw"));
        assert_ne!(open.cache_key(), closed.cache_key());
        assert_eq!(
            open.cache_key(),
            RepoAccess::anonymous("https://host/x").cache_key()
        );
    }
}
