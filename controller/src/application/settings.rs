//! Settings of the sync loop, as command line arguments.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use sluice_gitops::refresh::Interval;
use sluice_gitops_sources::SourcesConfig;

/// Settings of the sync loop.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Seconds between two looks at Git.
    #[arg(long, default_value_t = 180)]
    pub app_resync: u64,
    /// Each Application adds its own share of these seconds, so that they do not all look at once.
    #[arg(long, default_value_t = 20)]
    pub app_resync_jitter: u64,
    /// Applications that are worked on at once.
    #[arg(long, default_value_t = 10)]
    pub application_threads: usize,
    /// Port of POST /api/webhook.
    #[arg(long, default_value_t = 8083)]
    pub webhook_port: u16,
    /// Folder of clones and renderings; it belongs to one process. Default: a folder in the temporary one.
    #[arg(long)]
    pub source_cache_dir: Option<PathBuf>,
    /// Renderings and fetches that run at once.
    #[arg(long, default_value_t = 4)]
    pub source_concurrency: usize,
    /// The git program.
    #[arg(long, default_value = "git")]
    pub git: PathBuf,
    /// The helm program.
    #[arg(long, default_value = "helm")]
    pub helm: PathBuf,
    /// The kustomize program.
    #[arg(long, default_value = "kustomize")]
    pub kustomize: PathBuf,
    /// Let Applications name repositories on the controller's own disk (file://).
    #[arg(long)]
    pub allow_file_repositories: bool,
    /// Let kustomizations name bases and files of other servers.
    #[arg(long)]
    pub kustomize_remote_bases: bool,
}

impl Settings {
    /// How often to look at Git; at least every second.
    #[must_use]
    pub(crate) fn interval(&self) -> Interval {
        let seconds = |count: u64| {
            SignedDuration::try_from(Duration::from_secs(count)).unwrap_or(SignedDuration::MAX)
        };
        Interval {
            every: seconds(self.app_resync.max(1)),
            jitter: seconds(self.app_resync_jitter),
        }
    }

    /// Settings of the sources.
    #[must_use]
    pub(crate) fn sources(&self) -> SourcesConfig {
        let folder = self
            .source_cache_dir
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join("sluice-sources"));
        let mut config = SourcesConfig::new(folder);
        config.git.clone_from(&self.git);
        config.helm.clone_from(&self.helm);
        config.kustomize.clone_from(&self.kustomize);
        config.concurrency = self.source_concurrency.max(1);
        config.allow_file_urls = self.allow_file_repositories;
        config.kustomize_remote_bases = self.kustomize_remote_bases;
        config.network_env = SourcesConfig::network_variables(std::env::vars());
        if let Ok(path) = std::env::var("PATH") {
            config.search_path = path;
        }
        config
    }
}
