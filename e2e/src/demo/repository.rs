//! The Git repository of the demo: a working copy whose pushes are the only way in which the app changes.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// A working copy with a remote.
pub struct Repository {
    folder: PathBuf,
    remote: String,
}

/// A pushed commit.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Full SHA-1.
    pub sha: String,
    /// First line of its message.
    pub subject: String,
}

impl Commit {
    /// The first seven digits.
    #[must_use]
    pub fn short(&self) -> &str {
        self.sha.get(..7).unwrap_or(&self.sha)
    }
}

impl Repository {
    /// Makes an empty working copy in `folder` (emptied first) that pushes to `remote`.
    ///
    /// # Errors
    /// When Git cannot be run.
    pub async fn create(folder: &Path, remote: &str) -> Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)
                .with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        std::fs::create_dir_all(folder)?;
        let repository = Self { folder: folder.to_owned(), remote: remote.to_owned() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]).await?;
        Ok(repository)
    }

    /// Path of a file of the working copy.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Writes files, commits them and pushes.
    ///
    /// # Errors
    /// When a file cannot be written or Git refuses; the message holds what Git said.
    pub async fn push(&self, subject: &str, files: &[(&str, String)]) -> Result<Commit> {
        for (file, content) in files {
            let path = self.folder.join(file);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, content)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", subject]).await?;
        self.git(&["push", "--quiet", "--force", &self.remote, "main"]).await?;
        let sha = self.git(&["rev-parse", "HEAD"]).await?;
        Ok(Commit { sha: sha.trim().to_owned(), subject: subject.to_owned() })
    }

    async fn git(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("git")
            .args(["-c", "user.name=Demo", "-c", "user.email=demo@example.invalid"])
            .args(["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"])
            .args(arguments)
            .current_dir(&self.folder)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run git: is it installed? `cargo xtask install` does it")?;
        if !output.status.success() {
            bail!(
                "git {} failed: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
