//! Value files and inline values of a chart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_crds::application::HelmSource;

use crate::beneath::{Refusal, Root};
use crate::build_env::BuildEnv;
use crate::error::SourceError;
use crate::git::tree::Tree;

/// Where value files may be.
pub(super) struct Places<'a> {
    /// The checkout of the chart.
    pub(super) tree: &'a Tree,
    /// The chart's folder in it.
    pub(super) folder: &'a Path,
    /// Checkouts of other sources, by their `ref`.
    pub(super) references: &'a BTreeMap<String, Arc<Tree>>,
    /// Variables that a path may use.
    pub(super) variables: &'a BuildEnv,
}

impl Places<'_> {
    /// The files of `helm.valueFiles`, in order.
    pub(super) fn value_files(&self, settings: &HelmSource) -> Result<Vec<PathBuf>, SourceError> {
        let ignore_missing = settings.ignore_missing_value_files.unwrap_or(false);
        let mut paths = Vec::new();
        for (index, entry) in settings.value_files.iter().flatten().enumerate() {
            let field = format!("spec.source.helm.valueFiles[{index}]");
            match self.file(&field, entry) {
                Ok(path) => paths.push(plain(&field, path)?),
                Err(SourceError::PathNotFound { .. }) if ignore_missing => {}
                Err(error) => return Err(error),
            }
        }
        Ok(paths)
    }

    /// The real path of a file: relative to the chart, from the repository's top after a `/`, or in another source
    /// after `$ref/`.
    pub(super) fn file(&self, field: &str, entry: &str) -> Result<PathBuf, SourceError> {
        let reference = entry.strip_prefix('$').and_then(|rest| {
            let (name, path) = rest.split_once('/')?;
            Some((&self.references.get(name)?.root, path.to_owned()))
        });
        let (root, found): (&Root, _) = match reference {
            Some((root, path)) => {
                let path = self.variables.substitute(&path);
                (root, root.resolve(path.trim_start_matches('/')))
            }
            None => {
                let path = self.variables.substitute(entry);
                if path.contains("://") {
                    return Err(SourceError::Unsupported {
                        field: field.to_owned(),
                        reason: "value files are not fetched from other servers; commit the file"
                            .into(),
                    });
                }
                let root = &self.tree.root;
                match path.strip_prefix('/') {
                    Some(path) => (root, root.resolve(path)),
                    None => (root, root.resolve_from(self.folder, path)),
                }
            }
        };
        let path = found.map_err(|refusal| refusal.into_error(field, entry))?;
        if !path.is_file() {
            let reason = format!("{} is not a file", root.shown(&path));
            return Err(Refusal::Missing(reason).into_error(field, entry));
        }
        Ok(path)
    }
}

/// A path that helm reads as one path: it splits at commas, and opens each part.
pub(super) fn plain(field: &str, path: PathBuf) -> Result<PathBuf, SourceError> {
    let odd = |c: char| matches!(c, ',' | '"' | '\\' | '{' | '}') || c.is_control();
    match path.to_str() {
        Some(text) if !text.contains(odd) => Ok(path),
        _ => Err(SourceError::invalid(
            field,
            "the file's path has a comma, quote, brace, backslash or control character; rename the file",
        )),
    }
}

/// Inline values as one YAML text: `valuesObject`, or `values`.
pub(super) fn inline(settings: &HelmSource) -> Result<Option<String>, SourceError> {
    if let Some(object) = settings
        .values_object
        .as_ref()
        .filter(|object| !object.is_null())
    {
        return Ok(Some(object.to_string()));
    }
    match settings
        .values
        .as_deref()
        .filter(|values| !values.trim().is_empty())
    {
        Some(values) => {
            let value = crate::yaml::parse_one(values).map_err(|error| {
                SourceError::invalid("spec.source.helm.values", error.to_string())
            })?;
            if value.is_object() || value.is_null() {
                Ok(Some(values.to_owned()))
            } else {
                Err(SourceError::invalid(
                    "spec.source.helm.values",
                    "it is not a map",
                ))
            }
        }
        None => Ok(None),
    }
}
