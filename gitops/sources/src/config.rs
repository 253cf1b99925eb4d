//! Settings of the source loop: programs, limits, and what is allowed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of [`crate::Sources`].
#[derive(Debug, Clone)]
pub struct SourcesConfig {
    /// Folder of the cache. It belongs to one process alone, and everything in it may be deleted at any time.
    pub cache_dir: PathBuf,
    /// The git program: a path, or a name that is looked up in `search_path`.
    pub git: PathBuf,
    /// The helm program (version 3 or 4).
    pub helm: PathBuf,
    /// The kustomize program (version 5).
    pub kustomize: PathBuf,
    /// Where programs are looked up, as in `PATH`; also git's own `PATH`, for `ssh`.
    pub search_path: String,
    /// Limits of time.
    pub timeouts: Timeouts,
    /// Limits of size.
    pub limits: Limits,
    /// How many renderings and fetches run at once.
    pub concurrency: usize,
    /// Whether `file://` repositories are allowed: with them whoever writes an Application reads the controller's disk.
    pub allow_file_urls: bool,
    /// Whether a kustomization may name bases and files of other servers. They are fetched without credentials and
    /// without a pinned digest, from wherever the commit says, so the default is no.
    pub kustomize_remote_bases: bool,
    /// Environment of children that use the network: proxies and certificate authorities
    /// (see [`SourcesConfig::network_variables`]).
    pub network_env: BTreeMap<String, String>,
}

impl SourcesConfig {
    /// Names of environment variables that the controller's own environment may pass on to children that use the
    /// network.
    pub const NETWORK_VARIABLES: [&'static str; 10] = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "all_proxy",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ];

    /// Defaults, with the cache in `cache_dir` and programs found by name.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            git: "git".into(),
            helm: "helm".into(),
            kustomize: "kustomize".into(),
            search_path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            concurrency: 4,
            allow_file_urls: false,
            kustomize_remote_bases: false,
            network_env: BTreeMap::new(),
        }
    }

    /// Picks the variables of [`Self::NETWORK_VARIABLES`] out of an environment.
    #[must_use]
    pub fn network_variables(
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> BTreeMap<String, String> {
        environment
            .into_iter()
            .filter(|(name, _)| Self::NETWORK_VARIABLES.contains(&name.as_str()))
            .collect()
    }
}

/// Limits of time; the child is killed when one passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// One question to a server (`git ls-remote`).
    pub query: Duration,
    /// One transfer from a server (`git fetch`, a chart download).
    pub fetch: Duration,
    /// One local step (`helm template`, `kustomize build`, a checkout).
    pub render: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            query: Duration::from_secs(30),
            fetch: Duration::from_secs(180),
            render: Duration::from_secs(90),
        }
    }
}

/// Limits of size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one repository in the cache, as fetched.
    pub repository_bytes: u64,
    /// Bytes of all repositories in the cache; the least recently used go first.
    pub cache_bytes: u64,
    /// Files of one checkout.
    pub checkout_files: usize,
    /// Bytes of one checkout.
    pub checkout_bytes: u64,
    /// Checkouts that are kept for the next rendering.
    pub checkouts: usize,
    /// Bytes of all manifests of a directory source together.
    pub directory_bytes: u64,
    /// Bytes of one values file, kustomization or the like.
    pub file_bytes: u64,
    /// Bytes that a tool may render.
    pub rendered_bytes: u64,
    /// Bytes of memory that a child may ask for.
    pub child_memory_bytes: u64,
    /// Bytes of renderings that are remembered (each counted as its JSON text).
    pub remembered_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            repository_bytes: 2 << 30,
            cache_bytes: 8 << 30,
            checkout_files: 200_000,
            checkout_bytes: 2 << 30,
            checkouts: 8,
            directory_bytes: 10 << 20,
            file_bytes: 10 << 20,
            rendered_bytes: 32 << 20,
            child_memory_bytes: 768 << 20,
            remembered_bytes: 16 << 20,
        }
    }
}
