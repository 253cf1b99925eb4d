//! A Git server for the sync loop: smart HTTP on loopback, in this program, with one repository.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, Repository, free_port, git_http};
use crate::command::Command;

/// The server; it ends with the value.
pub struct GitServer {
    /// The repository that it serves, with a working copy.
    pub repository: Repository,
    serving: JoinHandle<Result<()>>,
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl GitServer {
    /// Serves an empty repository from a cluster's folder.
    ///
    /// # Errors
    /// When git fails or the port is taken.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let root = cluster.layout().path("git");
        let bare = root.join("app.git");
        std::fs::create_dir_all(&bare)?;
        let git = |args: &[&str]| Command::new("git").args(args).dir(&bare).run();
        git(&["init", "--quiet", "--bare", "--initial-branch=main"]).await?;
        git(&["config", "http.receivepack", "true"]).await?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let serving = tokio::spawn(async move { git_http::serve(&root, &[address]).await });
        let url = format!("http://{address}/app.git");
        let work = cluster.layout().path("git-work");
        Ok(Self {
            repository: Repository::of(&url, &work).await?,
            serving,
        })
    }
}
