//! A copy of the checkout, in which the defects are: the checkout itself is never touched.
//!
//! It holds what Git tracks, as it is in the working tree, and stays beside the build output: only files that differ are
//! written again, so that cargo builds again only what changed. Its crates have another version than those of the
//! checkout: what cargo builds of a crate is named after its name and version wherever it lies, so that otherwise a build
//! of the checkout could use what was built of a defect.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use sluice_e2e::command::Command;

use super::list::Mutation;

/// The version of the crates in the copy.
const VERSION: &str = "0.0.0-mutations";

/// The copy, and where it comes from.
pub(crate) struct Copy {
    from: PathBuf,
    root: PathBuf,
}

impl Copy {
    /// Makes the copy, or brings it up to date.
    ///
    /// # Errors
    /// When Git does not answer or a file cannot be copied.
    pub(crate) async fn new(from: &Path, root: &Path) -> Result<Self> {
        let listed = Command::new("git")
            .args(["ls-files", "-z"])
            .dir(from)
            .run()
            .await?;
        let tracked: BTreeSet<&str> = listed
            .split('\0')
            .filter(|file| !file.is_empty() && from.join(file).is_file())
            .collect();
        let copy = Self {
            from: from.to_owned(),
            root: root.to_owned(),
        };
        fs::create_dir_all(root).with_context(|| root.display().to_string())?;
        copy.drop_others(root, &tracked)?;
        for file in tracked {
            copy.restore(file)?;
        }
        Ok(copy)
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Puts a defect in.
    ///
    /// # Errors
    /// When a text is not there exactly once.
    pub(crate) fn put_in(&self, mutation: &Mutation) -> Result<()> {
        for edit in &mutation.edits {
            let path = self.root.join(&edit.file);
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let text = edit.apply(&text).with_context(|| mutation.id.clone())?;
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    /// Takes it out again.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn take_out(&self, mutation: &Mutation) -> Result<()> {
        for edit in &mutation.edits {
            self.restore(&edit.file)?;
        }
        Ok(())
    }

    fn restore(&self, file: &str) -> Result<()> {
        let (from, to) = (self.from.join(file), self.root.join(file));
        let mut wanted = fs::read(&from).with_context(|| from.display().to_string())?;
        if file == "Cargo.toml" {
            wanted = with_version(&String::from_utf8(wanted)?)?.into_bytes();
        }
        if fs::read(&to).is_ok_and(|present| present == wanted) {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::write(&to, wanted).with_context(|| to.display().to_string())
    }

    /// Deletes what is not tracked any more.
    fn drop_others(&self, folder: &Path, tracked: &BTreeSet<&str>) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                self.drop_others(&path, tracked)?;
                continue;
            }
            let file = path.strip_prefix(&self.root)?.to_string_lossy();
            if !tracked.contains(&*file) {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }
}

/// The manifest of the workspace with the version of the copy.
fn with_version(manifest: &str) -> Result<String> {
    let (before, rest) = manifest
        .split_once("\nversion = \"")
        .context("the Cargo.toml of the workspace gives its crates no version")?;
    let (_, after) = rest
        .split_once('"')
        .context("the version in the Cargo.toml of the workspace has no end")?;
    Ok(format!("{before}\nversion = \"{VERSION}\"{after}"))
}

/// The folder that cargo builds into, so that what is built already is not built again.
///
/// # Errors
/// When cargo does not say it.
pub(crate) async fn target_directory(root: &Path) -> Result<PathBuf> {
    let metadata = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version=1", "--locked"])
        .dir(root)
        .limit(Duration::from_secs(120))
        .run()
        .await?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let folder = metadata["target_directory"].as_str();
    Ok(PathBuf::from(
        folder.context("cargo metadata names no target_directory")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_copy_is_another_one() {
        let manifest = "[workspace.package]\nversion = \"0.1.0\"\nedition = \"2024\"\n";
        let changed = "[workspace.package]\nversion = \"0.0.0-mutations\"\nedition = \"2024\"\n";
        assert_eq!(with_version(manifest).unwrap(), changed);
        assert!(with_version("[workspace]\n").is_err());
    }
}
