//! Arguments of the commands about Applications.

use clap::Subcommand;

use super::{Format, seconds};

/// `app`. Without --namespace, an Application that is not in the context's namespace is looked for in all.
#[derive(Subcommand, Debug)]
pub(crate) enum App {
    /// List Applications
    List {
        /// Of all namespaces
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// Print the objects themselves
        #[arg(short, long)]
        output: Option<Format>,
    },
    /// Show an Application and what it manages
    Get {
        /// Name of the Application
        name: String,
        /// Let the controller compare with Git first
        #[arg(long)]
        refresh: bool,
        /// As --refresh, past all caches
        #[arg(long)]
        hard_refresh: bool,
        /// Print the object itself
        #[arg(short, long)]
        output: Option<Format>,
    },
    /// Apply what Git says now
    Sync {
        /// Name of the Application
        name: String,
        /// Revision; default: the target revision
        #[arg(long)]
        revision: Option<String>,
        /// Delete what Git no longer has
        #[arg(long)]
        prune: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Do not wait for the end
        #[arg(long = "async")]
        asynchronous: bool,
        /// How long to wait
        #[arg(long, default_value = "300s", value_parser = seconds, value_name = "TIME")]
        timeout: u64,
    },
    /// Show what differs between Git and the cluster, field by field
    #[command(after_long_help = DIFF)]
    Diff {
        /// Name of the Application
        name: String,
        /// Compare with this revision; default: the target revision
        #[arg(long)]
        revision: Option<String>,
        /// Only list the objects that differ, as the controller has found them
        #[arg(long)]
        summary: bool,
    },
}

const DIFF: &str = "\
The comparison is the one that the controller makes, made here: the manifests are rendered with the git, helm and \
kustomize of this machine and the credentials of the repository Secrets, and for each object the API server is asked \
what it would become (a server-side dry run; nothing is changed). That needs a repository that this machine can \
reach, and permission to read those Secrets and to patch the objects. Where one of these is missing, it is said, and \
the objects that the controller has found to differ are listed without their fields, as with --summary.

Exit code 0: no difference; 1: there are differences; 2: it could not be compared.";
