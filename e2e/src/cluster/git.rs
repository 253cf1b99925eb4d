//! The Git server as a part of the cluster, and repositories on it that tests and the demo push to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::layout::NODE_ADDRESS;
use super::outside::{self, Port};
use super::process::Launch;
use super::{Cluster, apply};
use crate::command::Command;

/// The process's name.
pub(super) const NAME: &str = "git-server";

/// Starts the Git server and waits until it answers. Pods find it as `git.git`.
pub(super) async fn start(cluster: &Cluster, program: &Path) -> Result<()> {
    let step = cluster.reporter.step(NAME);
    let port = cluster.info.ports.git;
    let root = cluster.layout.path("git");
    std::fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
    cluster.processes.ensure(
        Launch::new(NAME, program)
            .arg("serve-git")
            .file("root", &root)
            .flag("listen", format_args!("127.0.0.1:{port}"))
            .flag("listen", format_args!("{NODE_ADDRESS}:{port}")),
    )?;
    cluster
        .healthy(NAME, &cluster.info.git_url(), Duration::from_secs(10))
        .await?;
    step.done(cluster.info.git_url());
    Ok(())
}

/// Lets pods find the Git server by name.
pub(super) async fn service(cluster: &Cluster) -> Result<()> {
    let ports = [Port {
        name: "http",
        protocol: "TCP",
        service: 80,
        process: cluster.info.ports.git,
    }];
    let objects = outside::service("git", "git", None, &ports);
    apply::objects(&cluster.client().await?, &objects, None).await
}

/// A repository on the cluster's Git server, with a working copy to commit from.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Where this machine and every pod reach it.
    pub url: String,
    work: PathBuf,
    home: PathBuf,
}

impl Cluster {
    /// Creates an empty repository, in place of one with the same name, with the branch `main`.
    ///
    /// # Errors
    /// When git fails or the Git server is not reachable.
    pub async fn repository(&self, name: &str) -> Result<Repository> {
        let bare = self.layout.path("git").join(format!("{name}.git"));
        let work = self.layout.path("git-work").join(name);
        for folder in [&bare, &work] {
            if folder.exists() {
                std::fs::remove_dir_all(folder)
                    .with_context(|| format!("cannot remove {}", folder.display()))?;
            }
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let url = format!("http://{NODE_ADDRESS}:{}/{name}.git", self.info.ports.git);
        let repository = Repository {
            url,
            work,
            home: self.layout.path("home"),
        };
        let bare = bare.display().to_string();
        repository
            .git(&["init", "--quiet", "--bare", "--initial-branch=main", &bare])
            .await?;
        repository
            .git(&["-C", &bare, "config", "http.receivepack", "true"])
            .await?;
        repository
            .git(&["init", "--quiet", "--initial-branch=main", "."])
            .await?;
        repository
            .git(&["remote", "add", "origin", &repository.url])
            .await?;
        Ok(repository)
    }
}

impl Repository {
    /// A repository that somebody else serves, with a working copy in `work` (emptied first).
    ///
    /// # Errors
    /// When the folder cannot be emptied or Git cannot be run.
    pub async fn of(url: &str, work: &Path) -> Result<Self> {
        if work.exists() {
            std::fs::remove_dir_all(work)
                .with_context(|| format!("cannot remove {}", work.display()))?;
        }
        std::fs::create_dir_all(work)?;
        let home = work.join(".git");
        let repository = Self {
            url: url.to_owned(),
            work: work.to_owned(),
            home,
        };
        repository
            .git(&["init", "--quiet", "--initial-branch=main", "."])
            .await?;
        repository.git(&["remote", "add", "origin", url]).await?;
        Ok(repository)
    }

    /// Writes files (`None` removes one), commits them and pushes over HTTP. Returns the commit's full id. Called again with
    /// the same files after a push that failed, it pushes the commit that is there.
    ///
    /// # Errors
    /// When a file cannot be written, or the push fails.
    pub async fn push(&self, message: &str, files: &[(&str, Option<&str>)]) -> Result<String> {
        for (path, text) in files {
            let path = self.work.join(path);
            match text {
                Some(text) => super::layout::write(&path, text)?,
                None => std::fs::remove_file(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?,
            }
        }
        self.git(&["add", "--all"]).await?;
        let changed = self.git(&["status", "--porcelain"]).await?;
        if !changed.trim().is_empty() {
            self.git(&["commit", "--quiet", "--message", message])
                .await?;
        }
        self.git(&["push", "--quiet", "--force", "origin", "HEAD:main"])
            .await?;
        self.head().await
    }

    /// The full id of the last commit.
    ///
    /// # Errors
    /// When there is none.
    pub async fn head(&self) -> Result<String> {
        Ok(self.git(&["rev-parse", "HEAD"]).await?.trim().to_owned())
    }

    /// Runs git in the working copy, and returns what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub async fn git(&self, args: &[&str]) -> Result<String> {
        Command::new("git")
            .args(args)
            .dir(&self.work)
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Sluice")
            .env("GIT_AUTHOR_EMAIL", "sluice@example.com")
            .env("GIT_COMMITTER_NAME", "Sluice")
            .env("GIT_COMMITTER_EMAIL", "sluice@example.com")
            .env("http_proxy", "")
            .run()
            .await
    }
}
