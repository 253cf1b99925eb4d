//! What can go wrong between a repository URL and a list of objects, in words for the person who wrote the
//! Application.
//!
//! Invariants: a message names the repository, file or field, and what to do about it; it holds no secret (messages
//! pass [`crate::redact::Redactor`] before they become an error) and no random path, so the same fault gives the
//! same message each time and a status that holds it is not rewritten for nothing.

/// A source could not be resolved or rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The server did not answer, or answered that it is in trouble. Goes away by itself.
    #[error("repository {url} cannot be reached: {message}")]
    RepositoryUnreachable {
        /// The repository, without credentials.
        url: String,
        /// In the words of the client.
        message: String,
    },
    /// The server answered that there is no such repository (some servers say so when the credentials are wrong).
    #[error(
        "repository {url} was not found: {message}; check spec.source.repoURL and its credentials"
    )]
    RepositoryNotFound {
        /// The repository, without credentials.
        url: String,
        /// In the words of the client.
        message: String,
    },
    /// The server refused the credentials, or wants some.
    #[error("access to repository {url} was denied: {message}; check the repository Secret")]
    AccessDenied {
        /// The repository, without credentials.
        url: String,
        /// In the words of the client.
        message: String,
    },
    /// The URL is malformed or of a kind that is not allowed.
    #[error("repository URL {url:?} is not usable: {reason}")]
    InvalidRepositoryUrl {
        /// The URL, without credentials.
        url: String,
        /// Why.
        reason: String,
    },
    /// No branch, tag, commit or version of that name.
    #[error("revision {revision:?} was not found in {url}: {reason}")]
    RevisionNotFound {
        /// The repository, without credentials.
        url: String,
        /// What `targetRevision` asked for.
        revision: String,
        /// Why.
        reason: String,
    },
    /// The path is not in the repository at this revision.
    #[error("{field}: {path:?} was not found in the repository: {reason}")]
    PathNotFound {
        /// The field of the API, or the file, that named it.
        field: String,
        /// The path as written.
        path: String,
        /// Why.
        reason: String,
    },
    /// The path, or a symbolic link on its way, leads out of the repository.
    #[error("{field}: {path:?} leads out of the repository: {reason}")]
    PathOutsideRepository {
        /// The field of the API, or the file, that named it.
        field: String,
        /// The path as written.
        path: String,
        /// Why.
        reason: String,
    },
    /// git, helm or kustomize failed.
    #[error("{tool} failed: {message}")]
    RenderFailed {
        /// The program.
        tool: &'static str,
        /// What it printed, shortened.
        message: String,
    },
    /// A file, or the output of a tool, is not a list of Kubernetes objects.
    #[error("{file}, document {document}: {message}")]
    ManifestInvalid {
        /// The file, relative to the repository, or `output of helm`.
        file: String,
        /// Counted from 1.
        document: usize,
        /// Why.
        message: String,
    },
    /// A field that Sluice knows and does not support.
    #[error("{field} is not supported: {reason}")]
    Unsupported {
        /// The field of the API.
        field: String,
        /// What to do instead.
        reason: String,
    },
    /// A field whose value makes no sense.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field of the API, or the file.
        field: String,
        /// Why.
        reason: String,
    },
    /// Something took longer than its limit and was stopped.
    #[error("{what} took longer than {seconds} s and was stopped")]
    Timeout {
        /// The program and what it did.
        what: String,
        /// The limit.
        seconds: u64,
    },
    /// Something is larger than its limit.
    #[error("{what} is larger than the limit of {limit}")]
    TooLarge {
        /// What.
        what: String,
        /// The limit with its unit.
        limit: String,
    },
    /// The cache folder or a program of the installation is unusable: nothing that the Application can change.
    #[error("the source cache failed: {message}")]
    Cache {
        /// What happened.
        message: String,
    },
}

impl SourceError {
    /// Whether it may go away without a change to the Application, so that the last good state is kept and the
    /// work is tried again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::RepositoryUnreachable { .. } | Self::Timeout { .. } | Self::Cache { .. }
        )
    }

    /// A short name for metrics and for the reason of an event: one of a fixed set.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RepositoryUnreachable { .. } => "RepositoryUnreachable",
            Self::RepositoryNotFound { .. } => "RepositoryNotFound",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::InvalidRepositoryUrl { .. } => "InvalidRepositoryUrl",
            Self::RevisionNotFound { .. } => "RevisionNotFound",
            Self::PathNotFound { .. } => "PathNotFound",
            Self::PathOutsideRepository { .. } => "PathOutsideRepository",
            Self::RenderFailed { .. } => "RenderFailed",
            Self::ManifestInvalid { .. } => "ManifestInvalid",
            Self::Unsupported { .. } => "Unsupported",
            Self::Invalid { .. } => "Invalid",
            Self::Timeout { .. } => "Timeout",
            Self::TooLarge { .. } => "TooLarge",
            Self::Cache { .. } => "Cache",
        }
    }

    pub(crate) fn cache(doing: &str, error: &std::io::Error) -> Self {
        Self::Cache {
            message: format!("{doing}: {error}"),
        }
    }

    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// Bytes as a person reads them.
pub(crate) fn bytes(count: u64) -> String {
    const MIB: u64 = 1 << 20;
    const KIB: u64 = 1 << 10;
    if count >= MIB && count.is_multiple_of(MIB) {
        format!("{} MiB", count / MIB)
    } else if count >= KIB && count.is_multiple_of(KIB) {
        format!("{} KiB", count / KIB)
    } else {
        format!("{count} bytes")
    }
}
