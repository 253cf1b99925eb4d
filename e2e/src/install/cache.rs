//! The cache folder, outside of the checkout, and the lock that keeps two builders apart.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// `$SLUICE_CACHE`, or `sluice` in the user's cache folder.
///
/// # Errors
/// When neither `SLUICE_CACHE`, `XDG_CACHE_HOME` nor `HOME` is set.
pub fn folder() -> Result<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("SLUICE_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("sluice")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/sluice")))
        .context("no folder for the cache: set SLUICE_CACHE or HOME")
}

/// Waits until no other process builds or fetches into the cache; the lock ends with the returned file.
pub(super) async fn lock() -> Result<File> {
    let folder = folder()?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create the cache folder {}", folder.display()))?;
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await?
        .with_context(|| format!("cannot lock {}", path.display()))
}
