//! How the cluster is found: kubectl's own flags.

use std::path::PathBuf;

use clap::Args;

use super::seconds;

const HEADING: &str = "Connection";

/// How the cluster is found. `KUBECONFIG` counts as it does for kubectl.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct ConnectionArgs {
    /// Namespace; default: that of the kubeconfig's context
    #[arg(short, long, global = true, help_heading = HEADING)]
    pub namespace: Option<String>,
    /// Path of the kubeconfig
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, global = true, help_heading = HEADING)]
    pub context: Option<String>,
    /// Cluster of the kubeconfig
    #[arg(long, global = true, help_heading = HEADING, hide_short_help = true)]
    pub cluster: Option<String>,
    /// User of the kubeconfig
    #[arg(long, global = true, help_heading = HEADING, hide_short_help = true)]
    pub user: Option<String>,
    /// URL of the API server
    #[arg(short = 's', long, global = true, help_heading = HEADING, value_name = "URL", hide_short_help = true)]
    pub server: Option<String>,
    /// Bearer token for the API server
    #[arg(long, global = true, help_heading = HEADING, hide_short_help = true)]
    pub token: Option<String>,
    /// User to act as
    #[arg(long = "as", global = true, help_heading = HEADING, value_name = "USER", hide_short_help = true)]
    pub impersonate: Option<String>,
    /// Group to act as; may be given several times
    #[arg(long = "as-group", global = true, help_heading = HEADING, value_name = "GROUP", hide_short_help = true)]
    pub impersonate_groups: Vec<String>,
    /// File with the certificate authorities of the API server
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,
    /// File with a client certificate
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", hide_short_help = true)]
    pub client_certificate: Option<String>,
    /// File with the key of the client certificate
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", hide_short_help = true)]
    pub client_key: Option<String>,
    /// Name that the certificate of the API server must have
    #[arg(long, global = true, help_heading = HEADING, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// Does not check the certificate of the API server
    #[arg(long, global = true, help_heading = HEADING, hide_short_help = true)]
    pub insecure_skip_tls_verify: bool,
    /// Time after which a request is given up, as 30s; 0: never
    #[arg(long, global = true, help_heading = HEADING, value_name = "TIME", value_parser = seconds, hide_short_help = true)]
    pub request_timeout: Option<u64>,
    /// Without colours, also on a terminal
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Accepted for scripts: there is no log whose level could be set.
    #[arg(long, global = true, hide = true)]
    pub loglevel: Option<String>,
    /// Accepted for scripts: there is no log whose level could be set.
    #[arg(short = 'v', long, global = true, hide = true)]
    pub kloglevel: Option<i32>,
    /// Accepted for scripts: nothing is kept on disk.
    #[arg(long, global = true, hide = true)]
    pub cache_dir: Option<PathBuf>,
}
