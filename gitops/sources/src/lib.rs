//! From a repository URL to a list of Kubernetes objects: Git, Helm, Kustomize and plain manifests.
//!
//! Input: what an Application's source says, the repository's credentials, and what is known of the destination
//! cluster. Output: the commit that a revision names ([`Sources::resolve`]) and the objects that a commit renders to
//! ([`Sources::render`]).
//!
//! Everything in a repository is treated as written by a stranger: its paths (`beneath.rs`, `git/tree.rs`,
//! `kustomize/scan.rs`, `helm/values.rs`), its size and its YAML (`yaml/`), and what the tools do with it (`process.rs`,
//! `tool.rs`). Credentials are kept out of arguments, messages and caches (`git/session.rs`, `redact.rs`).
//!
//! Not done, and said so where it matters: Jsonnet and config management plugins are refused; charts inside
//! kustomizations are refused; remote value files and (unless switched on) remote bases are refused; folders with
//! submodules are refused; files in Git LFS stay pointers.
//!
//! Where to read on: `sources.rs` is the way of a request through the crate.

mod access;
mod beneath;
mod build_env;
mod config;
mod detect;
mod directory;
mod error;
mod files;
mod git;
mod glob;
mod helm;
mod kustomize;
mod manifest;
mod process;
mod redact;
mod remembered;
mod repo_url;
mod repository_secret;
mod request;
mod sources;
mod tool;
mod workshop;
pub mod yaml;

pub use access::{Credentials, RepoAccess, RepositoryKind, Secret};
pub use config::{Limits, SourcesConfig, Timeouts};
pub use error::SourceError;
pub use redact::{REDACTED, Redactor};
pub use repo_url::normalize as normalize_url;
pub use repository_secret::{RepositorySecret, SecretType, select as select_access};
pub use request::{
    AppIdentity, DependencyAccess, RefSource, RenderRequest, Rendered, ResolvedRevision, SourceType,
};
pub use sources::Sources;
