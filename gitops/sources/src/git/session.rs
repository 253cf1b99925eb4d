//! One git child after another, hardened, with the credentials of one repository.
//!
//! Invariants: no configuration but the one written here (no system or user files, no hooks, no helpers, no prompts,
//! no submodules); only the transports that are allowed; credentials travel in the environment or in 0600 files of a
//! folder that is deleted with the session, never in arguments, URLs or the mirror's configuration; everything that git
//! prints is redacted before it is anywhere else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use tempfile::TempDir;

use crate::access::RepoAccess;
use crate::error::{SourceError, bytes};
use crate::process::{Invocation, Output, RunError, run};
use crate::redact::Redactor;
use crate::repo_url::{RepoUrl, Scheme};
use crate::workshop::Workshop;

/// Name that is sent with an access token when the Secret holds none, as GitHub and GitLab expect.
const TOKEN_USER: &str = "x-access-token";

/// Git with the credentials of one repository.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    shop: &'a Workshop,
    /// The URL without credentials.
    pub(crate) url: String,
    /// Hides the repository's secrets.
    pub(crate) redactor: Redactor,
    env: BTreeMap<String, OsString>,
    /// Home folder and key files; deleted with the session.
    folder: TempDir,
}

impl<'a> Session<'a> {
    /// Prepares git for a repository.
    ///
    /// # Errors
    /// When the URL is not allowed, or the temporary folder cannot be made.
    pub(crate) fn new(shop: &'a Workshop, access: &RepoAccess) -> Result<Self, SourceError> {
        let config = &shop.config;
        let url = RepoUrl::parse(&access.url, config.allow_file_urls)?;
        if url.scheme == Scheme::Oci {
            return Err(SourceError::InvalidRepositoryUrl {
                url: url.clean,
                reason:
                    "oci:// holds Helm charts, and is used with spec.source.chart or a chart's path"
                        .into(),
            });
        }
        let mut access = access.clone();
        if access.credentials.password.is_none() && access.credentials.bearer_token.is_none() {
            access.credentials.password = url.password.clone();
            access.credentials.username = access.credentials.username.or(url.username.clone());
        }
        let folder = shop.temporary("git")?;
        let mut redactor = Redactor::new(&access.credentials);
        redactor.rename_path(folder.path(), "<temporary>");
        let mut session = Self {
            shop,
            url: url.clean.clone(),
            redactor,
            env: BTreeMap::new(),
            folder,
        };
        session.base_environment();
        let mut settings = base_settings();
        match url.scheme {
            Scheme::Ssh => session.ssh(&access)?,
            Scheme::Http | Scheme::Https => session.http(&access, &url, &mut settings)?,
            _ => {}
        }
        session
            .env
            .insert("GIT_CONFIG_COUNT".into(), settings.len().to_string().into());
        for (index, (key, value)) in settings.into_iter().enumerate() {
            session
                .env
                .insert(format!("GIT_CONFIG_KEY_{index}"), key.into());
            session
                .env
                .insert(format!("GIT_CONFIG_VALUE_{index}"), value.into());
        }
        Ok(session)
    }

    fn base_environment(&mut self) {
        let config = &self.shop.config;
        let mut set = |name: &str, value: OsString| self.env.insert(name.to_owned(), value);
        for (name, value) in &config.network_env {
            set(name, value.into());
        }
        let protocols = if config.allow_file_urls {
            "http:https:ssh:git:file"
        } else {
            "http:https:ssh:git"
        };
        set("PATH", config.search_path.clone().into());
        set("HOME", self.folder.path().into());
        set("XDG_CONFIG_HOME", self.folder.path().into());
        set("TMPDIR", self.folder.path().into());
        set("LC_ALL", "C.UTF-8".into());
        set("LANGUAGE", "C".into());
        set("GIT_ALLOW_PROTOCOL", protocols.into());
        set("GIT_ASKPASS", "/bin/false".into());
        set("GIT_ATTR_NOSYSTEM", "1".into());
        set("GIT_CEILING_DIRECTORIES", config.cache_dir.clone().into());
        set("GIT_CONFIG_GLOBAL", "/dev/null".into());
        set("GIT_CONFIG_NOSYSTEM", "1".into());
        set("GIT_CONFIG_SYSTEM", "/dev/null".into());
        set("GIT_NO_REPLACE_OBJECTS", "1".into());
        set("GIT_OPTIONAL_LOCKS", "0".into());
        set("GIT_LFS_SKIP_SMUDGE", "1".into());
        set("GIT_TERMINAL_PROMPT", "0".into());
        set("SSH_ASKPASS", "/bin/false".into());
    }

    fn http(
        &mut self,
        access: &RepoAccess,
        url: &RepoUrl,
        settings: &mut Vec<(String, String)>,
    ) -> Result<(), SourceError> {
        let credentials = &access.credentials;
        let header = match (&credentials.bearer_token, &credentials.password) {
            (Some(token), _) => Some(format!("Authorization: Bearer {}", token.reveal())),
            (None, Some(password)) => {
                let user = credentials.username.as_deref().unwrap_or(TOKEN_USER);
                let pair = format!("{user}:{}", password.reveal());
                let pair = base64::engine::general_purpose::STANDARD.encode(pair);
                self.redactor.hide(&pair);
                Some(format!("Authorization: Basic {pair}"))
            }
            (None, None) => None,
        };
        if let Some(header) = header {
            if header.chars().any(char::is_control) {
                return Err(SourceError::invalid(
                    "repository Secret",
                    "the password or bearerToken contains a line break or control character",
                ));
            }
            settings.push((format!("http.{}.extraHeader", url.clean), header));
            // Git would send the header to wherever it is redirected.
            settings.push(("http.followRedirects".into(), "false".into()));
        }
        let mut file = |name: &str, text: Option<&str>, key: &str| -> Result<(), SourceError> {
            if let Some(text) = text {
                let path = self.private_file(name, text)?;
                settings.push((key.to_owned(), path.display().to_string()));
            }
            Ok(())
        };
        file("ca.pem", credentials.tls_ca.as_deref(), "http.sslCAInfo")?;
        file(
            "client.pem",
            credentials.tls_client_cert.as_deref(),
            "http.sslCert",
        )?;
        let key = credentials
            .tls_client_key
            .as_ref()
            .map(crate::access::Secret::reveal);
        file("client.key", key, "http.sslKey")?;
        if credentials.insecure {
            settings.push(("http.sslVerify".into(), "false".into()));
        }
        if let Some(proxy) = &credentials.proxy {
            settings.push(("http.proxy".into(), proxy.reveal().to_owned()));
        }
        if let Some(hosts) = &credentials.no_proxy {
            self.env.insert("no_proxy".into(), hosts.into());
            self.env.insert("NO_PROXY".into(), hosts.into());
        }
        Ok(())
    }

    fn ssh(&mut self, access: &RepoAccess) -> Result<(), SourceError> {
        let credentials = &access.credentials;
        if credentials.proxy.is_some() {
            return Err(SourceError::Unsupported {
                field: "proxy of a repository Secret".into(),
                reason: "SSH repositories are reached directly; use an https URL for a proxy"
                    .into(),
            });
        }
        let known = credentials.ssh_known_hosts.as_deref().unwrap_or_default();
        let known = self.private_file("known_hosts", known)?;
        let check = if credentials.insecure_ignore_host_key {
            "no"
        } else {
            "yes"
        };
        let mut command = format!(
            "ssh -F none -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 \
             -o UserKnownHostsFile={} -o GlobalKnownHostsFile=none -o StrictHostKeyChecking={check}",
            shell_safe(&known)?,
        );
        match &credentials.ssh_private_key {
            Some(key) => {
                // OpenSSH refuses a key without a line break at its end.
                let text = format!("{}\n", key.reveal().trim_end());
                let path = self.private_file("key", &text)?;
                command.push_str(&format!(" -o IdentitiesOnly=yes -i {}", shell_safe(&path)?));
            }
            None => command.push_str(" -o PubkeyAuthentication=no"),
        }
        // Git hands this line to a shell; it holds constants and paths made here, all checked by `shell_safe`.
        self.env.insert("GIT_SSH_COMMAND".into(), command.into());
        self.env.insert("GIT_SSH_VARIANT".into(), "ssh".into());
        Ok(())
    }

    fn private_file(&self, name: &str, text: &str) -> Result<PathBuf, SourceError> {
        let path = self.folder.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        let write = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        write.map_err(|error| SourceError::cache("writing a key file", &error))?;
        Ok(path)
    }

    /// Runs git.
    ///
    /// # Errors
    /// When it cannot be started, is killed by a limit, or ends with a failure; the failure is put into words by
    /// [`Session::failure`].
    pub(crate) async fn git(&self, call: Call<'_>) -> Result<Vec<u8>, SourceError> {
        let output = self.attempt(&call).await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(self.failure(call.what, &output))
    }

    /// Runs git and lets the caller judge how it ended.
    pub(crate) async fn attempt(&self, call: &Call<'_>) -> Result<Output, SourceError> {
        let limits = &self.shop.config.limits;
        let mut env = self.env.clone();
        env.extend(
            call.env
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        let mut args: Vec<OsString> = Vec::new();
        if let Some(folder) = call.git_dir {
            let mut option = OsString::from("--git-dir=");
            option.push(folder);
            args.push(option);
        }
        args.extend(call.args.iter().cloned());
        let invocation = Invocation {
            program: self.shop.git()?,
            args,
            env,
            cwd: call.cwd.unwrap_or_else(|| self.folder.path()).to_owned(),
            timeout: call.timeout,
            stdout_limit: call.stdout_limit,
            file_limit: limits.repository_bytes,
            memory_limit: limits.child_memory_bytes,
        };
        run(invocation).await.map_err(|error| match error {
            RunError::Timeout(limit) => SourceError::Timeout {
                what: format!("{} of {}", call.what, self.url),
                seconds: limit.as_secs(),
            },
            RunError::TooMuchOutput(limit) => SourceError::TooLarge {
                what: format!("the output of {} of {}", call.what, self.url),
                limit: bytes(limit),
            },
            error => SourceError::Cache {
                message: self.redactor.message(&error.to_string()),
            },
        })
    }

    /// Runs git against the server; once more with `.git` appended to the URL when the server redirects there, as
    /// GitLab does. The host stays the same, so the credentials go nowhere else.
    pub(crate) async fn git_with_redirect(
        &self,
        mut call: Call<'_>,
    ) -> Result<Vec<u8>, SourceError> {
        let output = self.attempt(&call).await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let failure = self.failure(call.what, &output);
        let url = self.url.trim_end_matches('/');
        let redirected = matches!(failure, SourceError::InvalidRepositoryUrl { .. });
        if !redirected || Path::new(url).extension().is_some_and(|end| end == "git") {
            return Err(failure);
        }
        for arg in call.args.iter_mut().filter(|arg| **arg == *self.url) {
            *arg = format!("{url}.git").into();
        }
        let output = self.attempt(&call).await?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(failure)
        }
    }

    /// What the session works with.
    pub(crate) fn shop(&self) -> &'a Workshop {
        self.shop
    }

    /// Puts git's failure into the words of [`SourceError`].
    pub(crate) fn failure(&self, what: &str, output: &Output) -> SourceError {
        super::refs::classify(
            what,
            &self.url,
            &self.redactor.message(&output.stderr),
            output.status,
        )
    }
}

/// One run of git.
pub(crate) struct Call<'a> {
    /// In words, for messages: `git fetch`.
    pub(crate) what: &'a str,
    /// The repository, if it works on one.
    pub(crate) git_dir: Option<&'a Path>,
    /// Where it starts; a temporary folder when absent.
    pub(crate) cwd: Option<&'a Path>,
    /// Arguments.
    pub(crate) args: Vec<OsString>,
    /// Variables on top of the session's.
    pub(crate) env: Vec<(&'a str, OsString)>,
    /// When it is killed.
    pub(crate) timeout: Duration,
    /// Bytes of output that are accepted.
    pub(crate) stdout_limit: u64,
}

/// Settings of every run: nothing from a repository or from the machine runs or reads anything else.
fn base_settings() -> Vec<(String, String)> {
    [
        ("core.fsmonitor", "false"),
        ("core.hooksPath", "/dev/null"),
        ("core.protectHFS", "true"),
        ("core.protectNTFS", "true"),
        ("core.symlinks", "true"),
        ("credential.helper", ""),
        ("fetch.recurseSubmodules", "false"),
        ("gc.auto", "0"),
        ("gc.autoDetach", "false"),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "30"),
        ("maintenance.auto", "false"),
        ("protocol.version", "2"),
        ("safe.directory", "*"),
        ("submodule.recurse", "false"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec()
}

/// A path that a shell reads as one word.
fn shell_safe(path: &Path) -> Result<String, SourceError> {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    match path.to_str() {
        Some(text) if text.chars().all(safe) => Ok(text.to_owned()),
        _ => Err(SourceError::Cache {
            message: "the cache folder's path has characters other than letters, digits, `/`, `.`, `_` and `-`; \
                      SSH repositories need a plain one"
                .into(),
        }),
    }
}
