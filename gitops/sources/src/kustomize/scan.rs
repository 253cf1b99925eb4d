//! What a kustomization would load, before kustomize loads it.
//!
//! Kustomize reads files and folders anywhere above its own, follows links, fetches `http(s)://` wherever it expects a
//! file and clones Git repositories wherever it expects a folder. Everything that is named is resolved here first: it
//! must be in the repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::beneath::{Refusal, Root};
use crate::config::SourcesConfig;
use crate::detect::KUSTOMIZATIONS;
use crate::error::SourceError;
use crate::files::read_text;
use crate::yaml;

/// Kustomizations that one may reach through others.
const FOLDER_LIMIT: usize = 1000;

/// Fields that name files or folders with kustomizations.
const ROOTS: [&str; 6] = [
    "resources",
    "bases",
    "components",
    "generators",
    "transformers",
    "validators",
];
/// Fields that name files.
const FILES: [&str; 3] = ["crds", "configurations", "patchesStrategicMerge"];
/// Keys of maps that name files: in patches, replacements, generators, and plugin configurations.
const FILE_KEYS: [&str; 5] = ["path", "paths", "files", "envs", "env"];

/// How kustomize spells other servers without a scheme.
const REMOTE_SIGNS: [&str; 6] = [
    "github.com",
    "gitlab.com",
    "bitbucket.org",
    "?ref=",
    "git@",
    ".git",
];

const CHARTS: &str =
    "charts inside kustomizations are not rendered; give the Application a Helm source for them";

/// Checks the kustomization in `folder` and all that it reaches.
///
/// # Errors
/// When it names something outside of the repository, or something that is not there.
pub(super) fn check(root: &Root, folder: &Path, config: &SourcesConfig) -> Result<(), SourceError> {
    let mut scan = Scan {
        root,
        config,
        seen: BTreeSet::new(),
        open: vec![folder.to_owned()],
    };
    while let Some(folder) = scan.open.pop() {
        if scan.seen.len() >= FOLDER_LIMIT {
            return Err(SourceError::TooLarge {
                what: root.shown(&folder),
                limit: format!("{FOLDER_LIMIT} kustomizations"),
            });
        }
        if scan.seen.insert(folder.clone()) {
            scan.folder(&folder)?;
        }
    }
    Ok(())
}

struct Scan<'a> {
    root: &'a Root,
    config: &'a SourcesConfig,
    seen: BTreeSet<PathBuf>,
    open: Vec<PathBuf>,
}

impl Scan<'_> {
    fn folder(&mut self, folder: &Path) -> Result<(), SourceError> {
        for name in KUSTOMIZATIONS {
            let Ok(path) = self.root.resolve_from(folder, name) else {
                continue;
            };
            let shown = self.root.shown(&folder.join(name));
            let value = self.read(&path, &shown)?;
            self.kustomization(folder, &shown, &value)?;
        }
        Ok(())
    }

    fn read(&self, path: &Path, shown: &str) -> Result<Value, SourceError> {
        let text = read_text(path, shown, self.config.limits.file_bytes)?;
        yaml::parse_one(&text).map_err(|error| SourceError::invalid(shown, error.to_string()))
    }

    fn kustomization(
        &mut self,
        folder: &Path,
        shown: &str,
        value: &Value,
    ) -> Result<(), SourceError> {
        for field in ["helmCharts", "helmChartInflationGenerator"] {
            if value[field]
                .as_array()
                .is_some_and(|charts| !charts.is_empty())
            {
                return Err(SourceError::Unsupported {
                    field: format!("{shown}: {field}"),
                    reason: CHARTS.into(),
                });
            }
        }
        for field in ROOTS {
            for (place, entry) in strings(shown, field, &value[field]) {
                self.root_entry(
                    folder,
                    &place,
                    entry,
                    !matches!(field, "resources" | "bases" | "components"),
                )?;
            }
        }
        for field in FILES {
            for (place, entry) in strings(shown, field, &value[field]) {
                if !inline(entry) {
                    self.resolve(folder, &place, entry)?;
                }
            }
        }
        for field in [
            "patches",
            "patchesJson6902",
            "replacements",
            "openapi",
            "configMapGenerator",
            "secretGenerator",
        ] {
            let mut entries = Vec::new();
            file_entries(&value[field], &format!("{shown}: {field}"), &mut entries);
            for (place, entry) in entries {
                self.resolve(folder, &place, entry)?;
            }
        }
        Ok(())
    }

    /// An entry of `resources` and the like: a file, a folder with a kustomization, or (for plugins) inline YAML.
    fn root_entry(
        &mut self,
        folder: &Path,
        place: &str,
        entry: &str,
        plugin: bool,
    ) -> Result<(), SourceError> {
        if plugin && inline(entry) {
            return self.plugin(place, entry);
        }
        let Some(path) = self.resolve(folder, place, entry)? else {
            return Ok(());
        };
        if path.is_dir() {
            self.open.push(path);
        } else if plugin {
            let text = read_text(
                &path,
                &self.root.shown(&path),
                self.config.limits.file_bytes,
            )?;
            self.plugin(place, &text)?;
        }
        Ok(())
    }

    /// The configuration of a generator or transformer names files as well. Kustomize keeps those below the folder of
    /// the kustomization; but it would fetch a URL.
    fn plugin(&self, place: &str, text: &str) -> Result<(), SourceError> {
        let documents = yaml::parse(text, yaml::Budget::default())
            .map_err(|error| SourceError::invalid(place, error.to_string()))?;
        for document in documents {
            if document.value["kind"] == "HelmChartInflationGenerator" {
                return Err(SourceError::Unsupported {
                    field: place.to_owned(),
                    reason: CHARTS.into(),
                });
            }
            let mut entries = Vec::new();
            file_entries(&document.value, place, &mut entries);
            for (place, entry) in entries.iter().filter(|(_, entry)| entry.contains("://")) {
                self.remote(place, entry)?;
            }
        }
        Ok(())
    }

    fn remote(&self, place: &str, entry: &str) -> Result<(), SourceError> {
        if self.config.kustomize_remote_bases {
            return Ok(());
        }
        Err(SourceError::Unsupported {
            field: place.to_owned(),
            reason: format!(
                "{:?} is on another server, and remote bases are switched off; copy it into the repository",
                crate::redact::Redactor::default().text(entry)
            ),
        })
    }

    /// The real path of an entry; `None` for a remote one where those are allowed.
    fn resolve(
        &self,
        folder: &Path,
        place: &str,
        entry: &str,
    ) -> Result<Option<PathBuf>, SourceError> {
        if entry.contains("://") || entry.contains("::") {
            return self.remote(place, entry).map(|()| None);
        }
        match self.root.resolve_from(folder, entry) {
            Ok(path) => Ok(Some(path)),
            Err(Refusal::Missing(_)) if REMOTE_SIGNS.iter().any(|sign| entry.contains(sign)) => {
                self.remote(place, entry).map(|()| None)
            }
            Err(refusal) => Err(refusal.into_error(place, entry)),
        }
    }
}

/// What stands under keys that name files, anywhere in `value`, with its place.
fn file_entries<'v>(value: &'v Value, place: &str, found: &mut Vec<(String, &'v str)>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                file_entries(item, &format!("{place}[{index}]"), found);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                let place = format!("{place}.{key}");
                match value {
                    Value::String(entry) if FILE_KEYS.contains(&key.as_str()) => {
                        found.push((place, entry));
                    }
                    Value::Array(items) if FILE_KEYS.contains(&key.as_str()) => {
                        let entries = items.iter().enumerate().filter_map(|(index, item)| {
                            let entry = item.as_str()?;
                            // `files` may give the key of the ConfigMap first: `key=path`.
                            let path = match entry.split_once('=') {
                                Some((_, path)) if key == "files" => path,
                                _ => entry,
                            };
                            Some((format!("{place}[{index}]"), path))
                        });
                        found.extend(entries);
                    }
                    value => file_entries(value, &place, found),
                }
            }
        }
        _ => {}
    }
}

/// Whether an entry is YAML itself and not a path.
fn inline(entry: &str) -> bool {
    entry.contains('\n')
}

/// The strings of a list, with their places.
fn strings<'v>(shown: &str, field: &str, value: &'v Value) -> Vec<(String, &'v str)> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| Some((format!("{shown}: {field}[{index}]"), item.as_str()?)))
        .collect()
}
