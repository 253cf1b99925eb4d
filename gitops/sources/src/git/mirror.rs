//! The objects of one repository: a bare repository in the cache, filled by commit.
//!
//! Input: a repository and the name of a commit. Output: a folder that holds that commit.
//!
//! Only the commit that is asked for is fetched (`--depth 1`), because rendering needs no history; servers that hand out
//! branches and tags only are asked for all of them. Objects stay when their branch moves on, so an Application whose
//! server is gone still renders its last good commit.
//!
//! Invariants: one fetch at a time for each repository (reading goes on meanwhile: objects are only added, and packs
//! are replaced atomically); an interrupted fetch leaves nothing that blocks the next one; a repository above its limit
//! of size is deleted, not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::session::{Call, Session};
use crate::access::RepoAccess;
use crate::error::{SourceError, bytes};
use crate::workshop::Workshop;

/// Packs after which a repository is repacked into one.
const PACK_LIMIT: usize = 50;

/// One bare repository.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// Its folder.
    pub(crate) path: PathBuf,
    /// Held while its objects are fetched; the commits that are known to be there.
    present: tokio::sync::Mutex<BTreeSet<String>>,
    used: AtomicU64,
    size: AtomicU64,
}

/// All bare repositories of the cache.
#[derive(Debug, Default)]
pub(crate) struct Mirrors {
    open: Mutex<BTreeMap<String, Arc<Mirror>>>,
    clock: AtomicU64,
}

impl Mirrors {
    /// The bare repository of `access`, which may be empty.
    pub(crate) fn open(&self, shop: &Workshop, access: &RepoAccess) -> Arc<Mirror> {
        let key = access.cache_key();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mirror = open.entry(key.clone()).or_insert_with(|| {
            let path = shop.repositories().join(&key);
            Arc::new(Mirror {
                size: AtomicU64::new(folder_bytes(&path)),
                path,
                present: tokio::sync::Mutex::default(),
                used: AtomicU64::new(0),
            })
        });
        mirror.used.store(
            self.clock.fetch_add(1, Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
        Arc::clone(mirror)
    }

    /// Deletes the least recently used repositories until all together fit their limit.
    pub(crate) fn evict(&self, shop: &Workshop) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // What an earlier process left and nobody asked for since goes first.
        let known: BTreeSet<PathBuf> = open.values().map(|mirror| mirror.path.clone()).collect();
        let mut total: u64 = open
            .values()
            .map(|mirror| mirror.size.load(Ordering::Relaxed))
            .sum();
        for folder in subfolders(&shop.repositories()) {
            if !known.contains(&folder) {
                let size = folder_bytes(&folder);
                if total.saturating_add(size) > shop.config.limits.cache_bytes {
                    remove(&folder);
                } else {
                    total = total.saturating_add(size);
                }
            }
        }
        while total > shop.config.limits.cache_bytes {
            let oldest = open
                .iter()
                .filter(|(_, mirror)| Arc::strong_count(mirror) == 1)
                .min_by_key(|(_, mirror)| mirror.used.load(Ordering::Relaxed))
                .map(|(key, _)| key.clone());
            let Some(mirror) = oldest.and_then(|key| open.remove(&key)) else {
                break;
            };
            total = total.saturating_sub(mirror.size.load(Ordering::Relaxed));
            remove(&mirror.path);
        }
    }
}

impl Mirror {
    /// Makes sure that `commit` is here, and fetches it if it is not.
    ///
    /// # Errors
    /// When the server cannot be reached, does not have the commit, or sends too much.
    pub(crate) async fn ensure(
        &self,
        shop: &Workshop,
        access: &RepoAccess,
        commit: &str,
    ) -> Result<(), SourceError> {
        let mut present = self.present.lock().await;
        if present.contains(commit) && self.path.join("HEAD").is_file() {
            return Ok(());
        }
        let session = Session::new(shop, access)?;
        if !self.has(&session, commit).await? {
            let _permit = shop.permit().await?;
            self.prepare(&session).await?;
            self.fetch_commit(&session, shop, access, commit).await?;
            self.settle(&session, shop).await?;
        }
        present.insert(commit.to_owned());
        Ok(())
    }

    /// The full name of the commit whose name starts with `prefix`; fetches all branches and tags to find it.
    pub(crate) async fn expand(
        &self,
        shop: &Workshop,
        access: &RepoAccess,
        prefix: &str,
    ) -> Result<Option<String>, SourceError> {
        let _present = self.present.lock().await;
        let session = Session::new(shop, access)?;
        if self.path.join("HEAD").is_file()
            && let Some(commit) = self.find(&session, prefix).await?
        {
            return Ok(Some(commit));
        }
        let _permit = shop.permit().await?;
        self.prepare(&session).await?;
        self.fetch_all(&session, shop).await?;
        self.settle(&session, shop).await?;
        self.find(&session, prefix).await
    }

    fn call<'a>(&'a self, shop: &Workshop, what: &'a str, args: &[&str]) -> Call<'a> {
        Call {
            what,
            git_dir: Some(&self.path),
            cwd: None,
            args: args.iter().map(OsString::from).collect(),
            env: Vec::new(),
            timeout: shop.config.timeouts.render,
            stdout_limit: 1 << 20,
        }
    }

    async fn has(&self, session: &Session<'_>, commit: &str) -> Result<bool, SourceError> {
        if !self.path.join("HEAD").is_file() {
            return Ok(false);
        }
        Ok(self.find(session, commit).await?.is_some())
    }

    async fn find(&self, session: &Session<'_>, name: &str) -> Result<Option<String>, SourceError> {
        let name = format!("{name}^{{commit}}");
        // `--end-of-options` keeps a name from being an option; names here are hexadecimal anyway.
        let args = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &name,
        ];
        let call = self.call(session.shop(), "git rev-parse", &args);
        let output = session.attempt(&call).await?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.success() && super::is_full_sha(&text)).then_some(text))
    }

    /// An empty repository if there is none, and no locks of a fetch that was killed.
    async fn prepare(&self, session: &Session<'_>) -> Result<(), SourceError> {
        remove_locks(&self.path);
        if self.path.join("HEAD").is_file() && self.path.join("objects").is_dir() {
            return Ok(());
        }
        remove(&self.path);
        let mut call = self.call(
            session.shop(),
            "git init",
            &["init", "--quiet", "--bare", "--template="],
        );
        call.git_dir = None;
        call.args.push("--".into());
        call.args.push(self.path.clone().into());
        session.git(call).await.map(drop)
    }

    async fn fetch_commit(
        &self,
        session: &Session<'_>,
        shop: &Workshop,
        access: &RepoAccess,
        commit: &str,
    ) -> Result<(), SourceError> {
        let depth = format!("--depth={}", access.depth.unwrap_or(1).max(1));
        let refspec = format!("+{commit}:refs/sluice/{commit}");
        let result = self
            .fetch(session, shop, &["--no-tags", &depth], &[&refspec])
            .await;
        let refused = match result {
            Ok(()) => return Ok(()),
            Err(error @ SourceError::RenderFailed { .. }) => error,
            Err(other) => return Err(other),
        };
        let text = refused.to_string();
        if text.contains("unadvertised object")
            || text.contains("not our ref")
            || text.contains("shallow capabilities")
            || text.contains("does not support shallow")
        {
            self.fetch_all(session, shop).await?;
            if self.find(session, commit).await?.is_some() {
                return Ok(());
            }
            return Err(SourceError::RevisionNotFound {
                url: session.url.clone(),
                revision: commit.to_owned(),
                reason: "the server has no such commit".into(),
            });
        }
        if damaged(&text) {
            // The server answers and our copy is broken: start over.
            remove(&self.path);
            self.prepare(session).await?;
            return self
                .fetch(session, shop, &["--no-tags", &depth], &[&refspec])
                .await;
        }
        Err(refused)
    }

    async fn fetch_all(&self, session: &Session<'_>, shop: &Workshop) -> Result<(), SourceError> {
        let shallow = self.path.join("shallow").is_file();
        let mut options = vec!["--tags", "--prune"];
        if shallow {
            options.push("--unshallow");
        }
        self.fetch(
            session,
            shop,
            &options,
            &["+refs/heads/*:refs/remotes/origin/*"],
        )
        .await
    }

    async fn fetch(
        &self,
        session: &Session<'_>,
        shop: &Workshop,
        options: &[&str],
        refspecs: &[&str],
    ) -> Result<(), SourceError> {
        let mut args = vec![
            "fetch",
            "--quiet",
            "--force",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--update-shallow",
        ];
        args.extend(options);
        args.extend(["--", session.url.as_str()]);
        args.extend(refspecs);
        let mut call = self.call(shop, "git fetch", &args);
        call.timeout = shop.config.timeouts.fetch;
        session.git_with_redirect(call).await.map(drop)
    }

    /// After a fetch: measure, and repack when there are many packs.
    async fn settle(&self, session: &Session<'_>, shop: &Workshop) -> Result<(), SourceError> {
        let size = folder_bytes(&self.path);
        self.size.store(size, Ordering::Relaxed);
        let limit = shop.config.limits.repository_bytes;
        if size > limit {
            remove(&self.path);
            self.size.store(0, Ordering::Relaxed);
            return Err(SourceError::TooLarge {
                what: format!("repository {}", session.url),
                limit: bytes(limit),
            });
        }
        if pack_count(&self.path) > PACK_LIMIT {
            let mut call = self.call(shop, "git gc", &["gc", "--quiet", "--no-prune"]);
            call.timeout = shop.config.timeouts.fetch;
            // It only makes reading faster; a failure shows up in the next fetch if it matters.
            if let Err(error) = session.git(call).await {
                tracing::warn!(repository = %session.url, %error, "repacking failed");
            }
            self.size.store(folder_bytes(&self.path), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Whether git complains about its own files.
fn damaged(message: &str) -> bool {
    [
        "is corrupt",
        "bad object",
        "is empty",
        "missing object",
        "invalid sha1 pointer",
        "unable to read tree",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}

fn remove(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "a cache folder could not be deleted");
        }
        _ => {}
    }
}

/// Deletes the locks of a git that was killed; nobody else works in the folder.
fn remove_locks(folder: &Path) {
    for path in files(folder) {
        if path
            .extension()
            .is_some_and(|extension| extension == "lock")
        {
            let _ = std::fs::remove_file(path);
        }
    }
    let _ = std::fs::remove_file(folder.join("gc.pid"));
}

fn pack_count(folder: &Path) -> usize {
    let packs = std::fs::read_dir(folder.join("objects/pack"));
    packs
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "pack")
        })
        .count()
}

fn folder_bytes(folder: &Path) -> u64 {
    files(folder)
        .filter_map(|path| path.symlink_metadata().ok())
        .map(|found| found.len())
        .sum()
}

fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
}

/// All files beneath a folder of git's own making (no links, few levels).
fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.into_iter()
}
