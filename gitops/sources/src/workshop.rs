//! What every part of the crate works with: the settings, the folders of the cache, the programs, and the right to run.
//!
//! Invariant: the cache folder belongs to one process alone (a lock on a file in it says so, and the kernel takes the
//! lock away when the process dies), so what is left of an earlier process can be cleared at the start.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::SourcesConfig;
use crate::error::SourceError;
use crate::process::find_program;

/// Settings, folders, programs.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) config: SourcesConfig,
    permits: Semaphore,
    _lock: Lock,
}

/// The right to a cache folder.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    /// Closing the file would not do: a child that another thread is just starting has it open too, until it is another
    /// program.
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Workshop {
    /// Takes the cache folder.
    ///
    /// # Errors
    /// When it cannot be made, or another process has it.
    pub(crate) fn new(mut config: SourcesConfig) -> Result<Self, SourceError> {
        let make = |path: &Path| {
            std::fs::create_dir_all(path)
                .map_err(|error| SourceError::cache(&format!("making {}", path.display()), &error))
        };
        make(&config.cache_dir)?;
        config.cache_dir = config
            .cache_dir
            .canonicalize()
            .map_err(|error| SourceError::cache("finding the cache folder", &error))?;
        let lock = File::create(config.cache_dir.join("lock"))
            .map_err(|error| SourceError::cache("making the lock of the cache folder", &error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| SourceError::Cache {
            message: format!(
                "{} is in use by another process; give each its own folder",
                config.cache_dir.display()
            ),
        })?;
        let permits = Semaphore::new(config.concurrency.max(1));
        let shop = Self {
            config,
            permits,
            _lock: Lock(lock),
        };
        for folder in [shop.trees(), shop.temporaries()] {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(SourceError::cache("clearing the cache folder", &error));
                }
                _ => make(&folder)?,
            }
        }
        make(&shop.repositories())?;
        Ok(shop)
    }

    /// Where the objects of repositories are.
    pub(crate) fn repositories(&self) -> PathBuf {
        self.config.cache_dir.join("repositories")
    }

    /// Where checkouts are.
    pub(crate) fn trees(&self) -> PathBuf {
        self.config.cache_dir.join("trees")
    }

    fn temporaries(&self) -> PathBuf {
        self.config.cache_dir.join("temporary")
    }

    /// A folder that only this process reads and that is deleted with the value.
    pub(crate) fn temporary(&self, prefix: &str) -> Result<TempDir, SourceError> {
        tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(self.temporaries())
            .map_err(|error| SourceError::cache("making a temporary folder", &error))
    }

    /// Waits for the right to run a child.
    pub(crate) async fn permit(&self) -> Result<SemaphorePermit<'_>, SourceError> {
        self.permits
            .acquire()
            .await
            .map_err(|_| SourceError::Cache {
                message: "the source loop is shutting down".into(),
            })
    }

    /// Path of git.
    pub(crate) fn git(&self) -> Result<PathBuf, SourceError> {
        self.program("git", &self.config.git)
    }

    /// Path of helm.
    pub(crate) fn helm(&self) -> Result<PathBuf, SourceError> {
        self.program("helm", &self.config.helm)
    }

    /// Path of kustomize.
    pub(crate) fn kustomize(&self) -> Result<PathBuf, SourceError> {
        self.program("kustomize", &self.config.kustomize)
    }

    fn program(&self, name: &str, path: &Path) -> Result<PathBuf, SourceError> {
        find_program(path, &self.config.search_path).ok_or_else(|| SourceError::Cache {
            message: format!("the program {name} is not installed beside the controller"),
        })
    }
}
