//! The list of defects: YAML files in `e2e/mutations/`, one for each crate.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// One file of the list.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Folder of the crate whose tests must fail.
    folder: String,
    mutations: Vec<Entry>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    defect: String,
    caught_by: String,
    edits: Vec<Edit>,
}

/// A defect that was seen elsewhere, as a change of this code.
#[derive(Debug)]
pub(crate) struct Mutation {
    /// Number of the incident and a short name: `R7-inherited-weight`.
    pub(crate) id: String,
    /// What is wrong with it, in a sentence.
    pub(crate) defect: String,
    /// The test that must fail.
    pub(crate) caught_by: Test,
    /// The change; several places where the same thing is seen to twice.
    pub(crate) edits: Vec<Edit>,
}

/// A test of a crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    /// Folder of the crate, from the root of the checkout.
    pub(crate) folder: String,
    /// Package name of the crate.
    pub(crate) package: String,
    /// Name of the test binary; `lib` for the tests beside the code.
    pub(crate) binary: String,
    /// Path of the test inside of it: `services::r02_…`.
    pub(crate) name: String,
}

/// A change of one file.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    /// From the root of the checkout.
    pub(crate) file: String,
    /// Text that occurs there exactly once.
    pub(crate) find: String,
    /// What it becomes.
    pub(crate) replace: String,
}

impl Edit {
    /// The text of the file with the change.
    ///
    /// # Errors
    /// When the text to be found is not there exactly once.
    pub(crate) fn apply(&self, text: &str) -> Result<String> {
        let times = text.matches(&self.find).count();
        ensure!(
            times == 1,
            "{}: the text to be found is there {times} times instead of once:\n{}",
            self.file,
            self.find
        );
        Ok(text.replacen(&self.find, &self.replace, 1))
    }
}

/// Reads the whole list, file by file in the order of their names: those that change one crate follow each other.
///
/// # Errors
/// A file that cannot be read, with its name.
pub(crate) fn read(root: &Path) -> Result<Vec<Mutation>> {
    let folder = root.join("e2e/mutations");
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let shown = path.display().to_string();
        let text = fs::read_to_string(&path).with_context(|| shown.clone())?;
        let file: File = serde_saphyr::from_str(&text).with_context(|| shown.clone())?;
        let package = package(root, &file.folder)?;
        for entry in file.mutations {
            let (binary, name) = entry.caught_by.split_once(' ').with_context(|| {
                format!(
                    "{shown}: caughtBy of {} is a test binary and a test",
                    entry.id
                )
            })?;
            all.push(Mutation {
                caught_by: Test {
                    folder: file.folder.clone(),
                    package: package.clone(),
                    binary: binary.to_owned(),
                    name: name.to_owned(),
                },
                id: entry.id,
                defect: entry.defect,
                edits: entry.edits,
            });
        }
    }
    Ok(all)
}

/// The package name in the manifest of a crate.
fn package(root: &Path, folder: &str) -> Result<String> {
    let manifest = root.join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
    let mut lines = text.lines();
    let name = lines.find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    name.map(str::to_owned)
        .with_context(|| format!("{} has no name", manifest.display()))
}

/// Whether an id is chosen: by its number, or as it is.
pub(crate) fn is_chosen(id: &str, only: Option<&str>) -> bool {
    only.is_none_or(|only| {
        let number = id.split('-').next().unwrap_or(id);
        id.eq_ignore_ascii_case(only) || number.eq_ignore_ascii_case(only)
    })
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
