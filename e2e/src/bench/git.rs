//! A Git server for the sync loop: smart HTTP on loopback, in a process of its own, with one repository.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cluster::process::Launch;
use crate::cluster::{Cluster, Repository, free_port};
use crate::command::Command;

/// The process's name.
const NAME: &str = "git-server";

/// Serves an empty repository from a cluster's folder until the cluster ends. Returns it with a working copy.
///
/// # Errors
/// When git fails or the server does not start.
pub async fn serve(cluster: &Cluster) -> Result<Repository> {
    let root = cluster.layout().path("git");
    let bare = root.join("app.git");
    std::fs::create_dir_all(&bare)?;
    let git = |args: &[&str]| Command::new("git").args(args).dir(&bare).run();
    git(&["init", "--quiet", "--bare", "--initial-branch=main"]).await?;
    git(&["config", "http.receivepack", "true"]).await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    // The benchmark is a part of xtask, which has this subcommand for the full cluster.
    let xtask = std::env::current_exe().context("this program does not know its own path")?;
    let launch = Launch::new(NAME, &xtask)
        .arg("serve-git")
        .file("root", &root);
    cluster.processes().ensure(launch.flag("listen", address))?;
    let connect = || async { Ok(tokio::net::TcpStream::connect(address).await?) };
    cluster
        .processes()
        .ready(NAME, Duration::from_secs(10), connect)
        .await?;
    let work = cluster.layout().path("git-work");
    Repository::of(&format!("http://{address}/app.git"), &work).await
}
