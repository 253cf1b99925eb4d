//! The files of one commit on disk.
//!
//! Input: a bare repository and a commit. Output: a folder with its files, shared by everybody who renders this commit
//! and never written to; a renderer that must change files makes a private copy (`copy.rs`).
//!
//! Invariants: a checkout is complete before anybody sees it; it is bounded in files and bytes before the first file is
//! written; no symbolic link in it leads out of it (the whole checkout is refused
//! otherwise, as helm and kustomize follow links); submodules stay empty folders, and a source that needs one is refused
//! ([`Tree::submodule_of`]), since with pruning an empty folder would mean that everything in it is to be deleted.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use super::mirror::Mirror;
use super::session::{Call, Session};
use crate::access::RepoAccess;
use crate::beneath::{Refusal, Root};
use crate::error::{SourceError, bytes};
use crate::workshop::Workshop;

/// A checkout. Its folder is deleted when nobody holds it any more.
#[derive(Debug)]
pub(crate) struct Tree {
    /// What paths may not leave.
    pub(crate) root: Root,
    /// Folders that another repository would fill.
    submodules: Vec<PathBuf>,
    /// What is deleted: the folder itself, or one around it.
    folder: PathBuf,
}

impl Tree {
    /// Takes over a folder; `inner` is where the files begin, at the folder itself or in it.
    pub(crate) fn adopt(folder: TempDir, inner: &Path) -> std::io::Result<Self> {
        let root = Root::new(inner)?;
        Ok(Self {
            root,
            submodules: Vec::new(),
            folder: folder.keep(),
        })
    }

    /// A submodule in a folder of this tree, or around it.
    pub(crate) fn submodule_of(&self, folder: &Path) -> Option<&Path> {
        let folder = folder.strip_prefix(self.root.path()).unwrap_or(folder);
        self.submodules
            .iter()
            .find(|module| module.starts_with(folder) || folder.starts_with(module))
            .map(PathBuf::as_path)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.folder);
        // A large checkout takes a while to delete, and whoever holds it last may be an async task.
        std::thread::spawn(move || {
            let _ = std::fs::remove_dir_all(path);
        });
    }
}

type Cell = Arc<tokio::sync::Mutex<Option<Arc<Tree>>>>;

/// Checkouts that are kept for the next rendering.
#[derive(Debug, Default)]
pub(crate) struct Trees {
    kept: Mutex<BTreeMap<(String, String), (u64, Cell)>>,
    clock: AtomicU64,
}

impl Trees {
    /// The checkout of a commit that `mirror` holds.
    ///
    /// # Errors
    /// When it is too large, has a link that leads out of it, or cannot be written.
    pub(crate) async fn checkout(
        &self,
        shop: &Workshop,
        access: &RepoAccess,
        mirror: &Mirror,
        commit: &str,
    ) -> Result<Arc<Tree>, SourceError> {
        let cell = self.cell(shop, access, commit);
        let mut slot = cell.lock().await;
        if let Some(tree) = slot.as_ref() {
            return Ok(Arc::clone(tree));
        }
        let _permit = shop.permit().await?;
        let tree = Arc::new(lay_out(shop, access, mirror, commit).await?);
        *slot = Some(Arc::clone(&tree));
        Ok(tree)
    }

    /// The checkout if there is one already.
    pub(crate) async fn get(
        &self,
        shop: &Workshop,
        access: &RepoAccess,
        commit: &str,
    ) -> Option<Arc<Tree>> {
        let cell = self.cell(shop, access, commit);
        let slot = cell.lock().await;
        slot.clone()
    }

    fn cell(&self, shop: &Workshop, access: &RepoAccess, commit: &str) -> Cell {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = kept
            .entry((access.cache_key(), commit.to_owned()))
            .or_default();
        slot.0 = now;
        let cell = Arc::clone(&slot.1);
        while kept.len() > shop.config.limits.checkouts.max(1) {
            let oldest = kept
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            kept.remove(&oldest);
        }
        cell
    }
}

/// One line of `git ls-tree`.
struct Entry<'a> {
    mode: &'a [u8],
    size: u64,
    path: &'a Path,
}

fn entries(listing: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    listing.split(|byte| *byte == 0).filter_map(|line| {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let (head, path) = (line.get(..tab)?, line.get(tab + 1..)?);
        let mut words = head
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty());
        let mode = words.next()?;
        let size = words
            .nth(2)
            .and_then(|size| std::str::from_utf8(size).ok()?.parse().ok());
        Some(Entry {
            mode,
            size: size.unwrap_or(0),
            path: Path::new(OsStr::from_bytes(path)),
        })
    })
}

async fn lay_out(
    shop: &Workshop,
    access: &RepoAccess,
    mirror: &Mirror,
    commit: &str,
) -> Result<Tree, SourceError> {
    let session = Session::new(shop, access)?;
    let limits = &shop.config.limits;
    let call = |what, args: &[&str]| Call {
        what,
        git_dir: Some(&mirror.path),
        cwd: None,
        args: args.iter().map(|arg| (*arg).into()).collect(),
        env: Vec::new(),
        timeout: shop.config.timeouts.render,
        stdout_limit: 128 << 20,
    };
    let args = [
        "ls-tree",
        "-r",
        "-l",
        "-z",
        "--full-tree",
        "--end-of-options",
        commit,
    ];
    let listing = session.git(call("git ls-tree", &args)).await?;
    let too_large = |limit: String| SourceError::TooLarge {
        what: format!("commit {commit} of {}", session.url),
        limit,
    };
    let (mut files, mut size) = (0_usize, 0_u64);
    for entry in entries(&listing) {
        files += 1;
        size = size.saturating_add(entry.size);
    }
    if files > limits.checkout_files {
        return Err(too_large(format!("{} files", limits.checkout_files)));
    }
    if size > limits.checkout_bytes {
        return Err(too_large(bytes(limits.checkout_bytes)));
    }

    let staging = tempfile::Builder::new()
        .prefix("tree")
        .tempdir_in(shop.trees())
        .map_err(|error| SourceError::cache("making a checkout folder", &error))?;
    let index = shop.temporary("index")?;
    let index_file = index.path().join("index");
    let mut read = call("git read-tree", &["read-tree", commit]);
    read.env.push(("GIT_INDEX_FILE", index_file.clone().into()));
    session.git(read).await?;
    let mut write = call(
        "git checkout-index",
        &["checkout-index", "--all", "--force", "--quiet"],
    );
    write.env.push(("GIT_INDEX_FILE", index_file.into()));
    write.env.push(("GIT_WORK_TREE", staging.path().into()));
    write.cwd = Some(staging.path());
    session.git(write).await?;

    let root = Root::new(staging.path())
        .map_err(|error| SourceError::cache("opening a checkout folder", &error))?;
    for entry in entries(&listing).filter(|entry| entry.mode == b"120000") {
        if let Err(Refusal::Outside(reason)) = root.resolve(entry.path) {
            return Err(SourceError::PathOutsideRepository {
                field: format!("commit {commit}"),
                path: entry.path.display().to_string(),
                reason: format!("{reason}; replace the symbolic link by a file"),
            });
        }
    }
    let inner = staging.path().to_owned();
    let mut tree = Tree::adopt(staging, &inner)
        .map_err(|error| SourceError::cache("opening a checkout folder", &error))?;
    tree.submodules = entries(&listing)
        .filter(|entry| entry.mode == b"160000")
        .map(|entry| entry.path.to_owned())
        .collect();
    Ok(tree)
}
