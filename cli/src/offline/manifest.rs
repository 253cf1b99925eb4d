//! Manifests in files, folders or standard input, read as `kubectl apply` reads them.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sluice_gitops_sources::yaml::{self, Budget};

use crate::get::owned::text;

/// Largest file that is read, in bytes.
const LIMIT: u64 = 10 * 1024 * 1024;

/// One object and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// File as given.
    file: String,
    /// Number of the document in the file, from 1; `None` when there is only one.
    document: Option<usize>,
    /// The object.
    pub value: Value,
}

impl Manifest {
    /// A place for what is in no file.
    pub(crate) fn assumed() -> Self {
        Self {
            file: String::new(),
            document: None,
            value: Value::Null,
        }
    }

    /// Whether it is of a kind of a group; an empty group is the core group.
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        let written = text(&self.value, "/apiVersion")
            .split_once('/')
            .map_or("", |(group, _)| group);
        written == group && text(&self.value, "/kind") == kind
    }

    /// `metadata.name`.
    pub(crate) fn name(&self) -> &str {
        text(&self.value, "/metadata/name")
    }

    /// Whether it is in a namespace, or would be applied to it.
    pub(crate) fn is_in(&self, namespace: &str) -> bool {
        let written = text(&self.value, "/metadata/namespace");
        written.is_empty() || namespace.is_empty() || written == namespace
    }
}

/// `rollout.yaml: Rollout web`, with the number of the document when there are several.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(number) = self.document {
            write!(f, " (document {number})")?;
        }
        match (text(&self.value, "/kind"), self.name()) {
            ("", _) => Ok(()),
            (kind, name) => write!(f, ": {kind} {name}"),
        }
    }
}

/// Reads everything; folders with all that is in them.
///
/// # Errors
/// When a file cannot be read or is not YAML; the message names it.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Manifest>> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    let mut manifests = Vec::new();
    for file in files {
        let text = content(&file)?;
        manifests.extend(parse(&file.display().to_string(), &text)?);
    }
    ensure!(!manifests.is_empty(), "the files hold no manifests");
    Ok(manifests)
}

/// The files below a folder, in the order of their names.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path == Path::new("-") || !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let cannot = || format!("cannot read {}", path.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).with_context(cannot)? {
        entries.push(entry.with_context(cannot)?.path());
    }
    entries.sort();
    for entry in entries {
        let is_manifest = entry.extension().is_some_and(|extension| {
            extension == "yaml" || extension == "yml" || extension == "json"
        });
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if is_manifest {
            files.push(entry);
        }
    }
    Ok(())
}

/// The text of a file of moderate size.
///
/// # Errors
/// When it cannot be read, or is too large; the message names it.
pub(crate) fn content(file: &Path) -> Result<String> {
    let cannot = || format!("cannot read {}", file.display());
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).with_context(cannot)?)
    };
    let mut text = String::new();
    let read = source
        .take(LIMIT + 1)
        .read_to_string(&mut text)
        .with_context(cannot)?;
    ensure!(
        u64::try_from(read)? <= LIMIT,
        "{} is larger than {} MiB",
        file.display(),
        LIMIT >> 20
    );
    Ok(text)
}

/// The objects of a text; lists are taken apart.
fn parse(file: &str, text: &str) -> Result<Vec<Manifest>> {
    let documents = match yaml::parse(text, Budget::default()) {
        Ok(documents) => documents,
        Err(error) => bail!("{file}: not valid YAML: {error}"),
    };
    let documents: Vec<_> = documents
        .into_iter()
        .filter(|document| !document.value.is_null())
        .collect();
    let several = documents.len() > 1;
    let mut manifests = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let number = several.then_some(index + 1);
        if let Some(key) = document.duplicate_keys.first() {
            let number = number.map_or_else(String::new, |number| format!(" (document {number})"));
            bail!("{file}{number}: the key {key} stands twice");
        }
        let values = match document.value {
            Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
                match list.remove("items") {
                    Some(Value::Array(items)) => items,
                    _ => Vec::new(),
                }
            }
            value => vec![value],
        };
        manifests.extend(values.into_iter().map(|value| Manifest {
            file: file.to_owned(),
            document: number,
            value,
        }));
    }
    Ok(manifests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_numbered_when_there_are_several_and_lists_are_taken_apart() {
        let text = "kind: Service\nmetadata: {name: a}\n---\n---\nkind: List\nitems: [{kind: Pod, metadata: {name: b}}]\n";
        let read = parse("all.yaml", text).unwrap();
        let places: Vec<String> = read.iter().map(ToString::to_string).collect();
        assert_eq!(
            places,
            [
                "all.yaml (document 1): Service a",
                "all.yaml (document 2): Pod b"
            ]
        );
        let read = parse("one.yaml", "kind: Service\nmetadata: {name: a}").unwrap();
        assert_eq!(read[0].to_string(), "one.yaml: Service a");
    }

    #[test]
    fn what_is_not_yaml_is_named_with_its_line() {
        let error = parse("bad.yaml", "kind: Rollout\nspec: [1, 2\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("bad.yaml: not valid YAML: line "),
            "{error}"
        );
        let error = parse("twice.yaml", "spec: 1\nspec: 2\n")
            .unwrap_err()
            .to_string();
        assert_eq!(error, "twice.yaml: the key spec stands twice");
    }
}
