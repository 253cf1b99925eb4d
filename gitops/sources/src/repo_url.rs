//! Repository URLs: what is allowed, and how two spellings of one repository compare.
//!
//! Input: `repoURL` as a person wrote it. Output: a URL that is safe to hand to git (no credentials in it, no option
//! in disguise, a known scheme), the credentials that were in it, and a normal form for comparison.

use crate::access::Secret;
use crate::error::SourceError;
use crate::redact::Redactor;

/// Longest URL that is accepted, in bytes.
const LENGTH_LIMIT: usize = 2048;

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// `http://`
    Http,
    /// `https://`
    Https,
    /// `ssh://`, or `user@host:path`
    Ssh,
    /// `git://`
    Git,
    /// `file://`; only where the installation allows it.
    File,
    /// `oci://`; Helm charts only.
    Oci,
}

/// A URL that is safe to hand to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepoUrl {
    /// How it is reached.
    pub(crate) scheme: Scheme,
    /// What the client gets: no password in it.
    pub(crate) clean: String,
    /// Name that stood before `@` of an HTTP URL.
    pub(crate) username: Option<String>,
    /// Password that stood before `@` of an HTTP URL.
    pub(crate) password: Option<Secret>,
}

impl RepoUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`SourceError::InvalidRepositoryUrl`] when it is malformed, of an unknown scheme, or `file://` without
    /// `allow_file`.
    pub(crate) fn parse(text: &str, allow_file: bool) -> Result<Self, SourceError> {
        let refuse = |reason: &str| SourceError::InvalidRepositoryUrl {
            url: Redactor::default().text(text.get(..200).unwrap_or(text)),
            reason: reason.to_owned(),
        };
        if text.is_empty() {
            return Err(refuse("it is empty; set spec.source.repoURL"));
        }
        if text.len() > LENGTH_LIMIT {
            return Err(refuse("it is longer than 2048 bytes"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(refuse("it contains a space or a control character"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::parse_scp(text).ok_or_else(|| {
                refuse("it has no scheme; write https://…, ssh://… or user@host:path")
            });
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ssh" | "git+ssh" | "ssh+git" => Scheme::Ssh,
            "git" => Scheme::Git,
            "oci" => Scheme::Oci,
            "file" if allow_file => {
                return Ok(Self {
                    scheme: Scheme::File,
                    clean: format!("file://{rest}"),
                    username: None,
                    password: None,
                });
            }
            "file" => {
                return Err(refuse(
                    "repositories on the controller's own disk are not allowed",
                ));
            }
            _ => {
                return Err(refuse(
                    "its scheme is not one of https, http, ssh, git, oci",
                ));
            }
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => (rest, String::new()),
        };
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        if host.is_empty() || host.starts_with('-') || host.starts_with(':') {
            return Err(refuse("its host is missing or malformed"));
        }
        if path.starts_with("/-") && scheme == Scheme::Ssh {
            return Err(refuse("its path starts with a dash"));
        }
        let (mut username, mut password) = (None, None);
        let mut shown_user = String::new();
        if let Some(userinfo) = userinfo {
            let (user, secret) = match userinfo.split_once(':') {
                Some((user, secret)) => (user, Some(secret)),
                None => (userinfo, None),
            };
            if user.starts_with('-') {
                return Err(refuse("its user name starts with a dash"));
            }
            match scheme {
                Scheme::Ssh => shown_user = format!("{user}@"),
                _ => username = Some(percent_decoded(user)),
            }
            password = secret.map(|secret| Secret::new(percent_decoded(secret)));
        }
        let name = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Ssh => "ssh",
            Scheme::Git => "git",
            Scheme::File => "file",
            Scheme::Oci => "oci",
        };
        Ok(Self {
            scheme,
            clean: format!("{name}://{shown_user}{host}{path}"),
            username,
            password,
        })
    }

    /// `user@host:path` and `host:path`, as ssh writes them.
    fn parse_scp(text: &str) -> Option<Self> {
        let (authority, path) = text.split_once(':')?;
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
        if host.is_empty()
            || host.starts_with('-')
            || authority.starts_with('-')
            || !authority.chars().all(plain)
            || path.is_empty()
            || path.starts_with('-')
            || path.starts_with(':')
        {
            return None;
        }
        Some(Self {
            scheme: Scheme::Ssh,
            clean: text.to_owned(),
            username: None,
            password: None,
        })
    }
}

/// A normal form in which two spellings of one repository are equal: lower case, no credentials, no `.git`, and
/// `git@host:path` as `ssh://git@host/path`. For comparison with Secrets and projects, never for fetching.
#[must_use]
pub fn normalize(url: &str) -> String {
    let mut text = url.trim().to_ascii_lowercase();
    if !text.contains("://")
        && let Some((authority, path)) = text.split_once(':')
    {
        text = format!("ssh://{authority}/{}", path.trim_start_matches('/'));
    }
    if let Some((scheme, rest)) = text.split_once("://")
        && scheme != "ssh"
    {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        text = if path.is_empty() {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}/{path}")
        };
    }
    let text = text.trim_end_matches('/');
    text.strip_suffix(".git").unwrap_or(text).to_owned()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let decoded = match (byte, tail) {
            (b'%', [high, low, ..]) => std::str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        match decoded {
            Some(value) => {
                bytes.push(value);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RepoUrl, SourceError> {
        RepoUrl::parse(text, false)
    }

    #[test]
    fn credentials_in_a_url_are_taken_out_of_it() {
        let url = parse("https://bot:p%40ss@example.com/org/repo.git").unwrap();
        assert_eq!(url.clean, "https://example.com/org/repo.git");
        assert_eq!(url.username.as_deref(), Some("bot"));
        assert_eq!(url.password.unwrap().reveal(), "p@ss");
    }

    #[test]
    fn the_user_of_an_ssh_url_stays() {
        assert_eq!(
            parse("ssh://git@host:22/x").unwrap().clean,
            "ssh://git@host:22/x"
        );
        assert_eq!(
            parse("git@github.com:org/repo.git").unwrap().scheme,
            Scheme::Ssh
        );
    }

    #[test]
    fn options_in_disguise_and_foreign_transports_are_refused() {
        for text in [
            "",
            "--upload-pack=touch /tmp/x",
            "-oProxyCommand=x:y",
            "ssh://-oProxyCommand=x/y",
            "ssh://-oUser=x@host/y",
            "git@-host:x",
            "git@host:-x",
            "ext::sh -c id",
            "ext::sh",
            "fd::17",
            "/etc",
            "../x",
            "file:///etc",
            "ftp://host/x",
            "https:///x",
            "https://host/a b",
            "https://host/a\nb",
        ] {
            assert!(parse(text).is_err(), "{text:?} was accepted");
        }
        assert!(RepoUrl::parse("file:///srv/repo", true).is_ok());
    }

    #[test]
    fn an_error_about_a_url_does_not_print_its_password() {
        let error = parse("ftp://bot:canary@host/x").unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }

    #[test]
    fn spellings_of_one_repository_compare_equal() {
        let ssh = normalize("git@github.com:Org/Repo.git");
        assert_eq!(ssh, normalize("ssh://git@github.com/org/repo"));
        assert_eq!(
            normalize("https://user@Host/Org/Repo.git"),
            normalize("https://host/org/repo/")
        );
        assert_ne!(ssh, normalize("https://github.com/org/repo"));
    }
}
