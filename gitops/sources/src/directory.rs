//! Plain manifests: the files of a folder, in the order of their names.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sluice_crds::application::source::{DirectorySource, JsonnetSource};

use crate::config::Limits;
use crate::error::{SourceError, bytes};
use crate::files::read_bytes;
use crate::git::tree::Tree;
use crate::glob::Glob;
use crate::manifest;

/// Renders the manifests of `folder`, which lies in `tree`.
pub(crate) fn render(
    tree: &Tree,
    folder: &Path,
    settings: &DirectorySource,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<Vec<Value>, SourceError> {
    let jsonnet = |field: &str| SourceError::Unsupported {
        field: field.to_owned(),
        reason: "Jsonnet is not evaluated; commit the YAML that it makes".into(),
    };
    if settings
        .jsonnet
        .as_ref()
        .is_some_and(|jsonnet| *jsonnet != JsonnetSource::default())
    {
        return Err(jsonnet("spec.source.directory.jsonnet"));
    }
    let include = glob("spec.source.directory.include", settings.include.as_deref())?;
    let exclude = glob("spec.source.directory.exclude", settings.exclude.as_deref())?;
    let every_name = settings.disable_extension_filter.unwrap_or(false);

    let mut objects = Vec::new();
    let mut left = limits.directory_bytes;
    for path in files(
        folder,
        settings.recurse.unwrap_or(false),
        limits.checkout_files,
    )? {
        let inner = path
            .strip_prefix(folder)
            .unwrap_or(&path)
            .display()
            .to_string();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        if !every_name && !matches!(extension, "yaml" | "yml" | "json" | "jsonnet") {
            continue;
        }
        let excluded = exclude.as_ref().is_some_and(|glob| glob.matches(&inner));
        let included = include.as_ref().is_none_or(|glob| glob.matches(&inner));
        if excluded || !included || name.starts_with(".argocd-source") {
            continue;
        }
        let real = tree
            .root
            .resolve_from(folder, &inner)
            .map_err(|refusal| refusal.into_error("spec.source.path", tree.root.shown(&path)))?;
        if !real.is_file() {
            continue;
        }
        let shown = tree.root.shown(&path);
        if extension == "jsonnet" {
            return Err(jsonnet(&shown));
        }
        let content = read_bytes(&real, &shown, left).map_err(|error| match error {
            SourceError::TooLarge { .. } => SourceError::TooLarge {
                what: format!("the manifests in {}", tree.root.shown(folder)),
                limit: bytes(limits.directory_bytes),
            },
            other => other,
        })?;
        left = left.saturating_sub(content.len() as u64);
        objects.extend(manifest::from_file(&shown, &content, warnings)?);
    }
    Ok(objects)
}

fn glob(field: &str, text: Option<&str>) -> Result<Option<Glob>, SourceError> {
    text.filter(|text| !text.is_empty())
        .map(|text| Glob::new(text).map_err(|reason| SourceError::invalid(field, reason)))
        .transpose()
}

/// Files and symbolic links of a folder, sorted by path; links to folders are not entered.
fn files(folder: &Path, recurse: bool, limit: usize) -> Result<Vec<PathBuf>, SourceError> {
    let failed = |error: &std::io::Error| SourceError::cache("reading a checkout", error);
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            let kind = entry.file_type().map_err(|error| failed(&error))?;
            if kind.is_dir() {
                if recurse {
                    open.push(entry.path());
                }
            } else {
                found.push(entry.path());
            }
            if found.len() > limit {
                return Err(SourceError::TooLarge {
                    what: "the folder of the source".into(),
                    limit: format!("{limit} files"),
                });
            }
        }
    }
    found.sort();
    Ok(found)
}
