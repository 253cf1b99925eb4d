//! Which renderer a source needs, and the overrides that tools commit beside it.

use std::path::Path;

use serde_json::Value;
use sluice_crds::application::ApplicationSource;

use crate::error::SourceError;
use crate::files::read_text;
use crate::git::tree::Tree;
use crate::request::SourceType;
use crate::yaml;

/// The names that kustomize gives its file.
pub(crate) const KUSTOMIZATIONS: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The renderer: the one that is set explicitly, else by the files.
///
/// # Errors
/// When several are set, or one that is not supported.
pub(crate) fn source_type(
    source: &ApplicationSource,
    folder: &Path,
) -> Result<SourceType, SourceError> {
    match source.explicit_types().as_slice() {
        [] => {}
        ["helm"] => return Ok(SourceType::Helm),
        ["kustomize"] => return Ok(SourceType::Kustomize),
        ["directory"] => return Ok(SourceType::Directory),
        ["plugin"] => {
            return Err(SourceError::Unsupported {
                field: "spec.source.plugin".into(),
                reason: "config management plugins are not run; commit the rendered manifests or use helm, \
                         kustomize or a directory"
                    .into(),
            });
        }
        several => {
            return Err(SourceError::invalid(
                "spec.source",
                format!(
                    "only one type may be set, and these are: {}",
                    several.join(", ")
                ),
            ));
        }
    }
    if source.chart.is_some() || folder.join("Chart.yaml").is_file() {
        return Ok(SourceType::Helm);
    }
    if KUSTOMIZATIONS
        .iter()
        .any(|name| folder.join(name).is_file())
    {
        return Ok(SourceType::Kustomize);
    }
    Ok(SourceType::Directory)
}

/// Merges `.argocd-source.yaml` and `.argocd-source-<application>.yaml` of the source's folder into it. They may change
/// how it is rendered, not what: repository, revision, path and chart stay.
///
/// # Errors
/// When a file is malformed.
pub(crate) fn with_overrides(
    source: &ApplicationSource,
    application: &str,
    tree: &Tree,
    folder: &Path,
    limit: u64,
) -> Result<ApplicationSource, SourceError> {
    let mut merged = source.clone();
    for name in [
        ".argocd-source.yaml".to_owned(),
        format!(".argocd-source-{application}.yaml"),
    ] {
        if application.contains('/') || folder.join(&name).symlink_metadata().is_err() {
            continue;
        }
        let path = tree
            .root
            .resolve_from(folder, &name)
            .map_err(|refusal| refusal.into_error("spec.source.path", &name))?;
        let shown = tree.root.shown(&path);
        let patch = yaml::parse_one(&read_text(&path, &shown, limit)?)
            .map_err(|error| SourceError::invalid(&shown, error.to_string()))?;
        if !patch.is_object() && !patch.is_null() {
            return Err(SourceError::invalid(&shown, "it is not a map"));
        }
        let mut value = serde_json::to_value(&merged)
            .map_err(|error| SourceError::invalid("spec.source", error.to_string()))?;
        merge(&mut value, &patch);
        let patched: ApplicationSource = sluice_crds::decode::decode(&value)
            .map_err(|error| SourceError::invalid(&shown, error.to_string()))?;
        merged = ApplicationSource {
            repo_url: source.repo_url.clone(),
            path: source.path.clone(),
            target_revision: source.target_revision.clone(),
            chart: source.chart.clone(),
            reference: source.reference.clone(),
            name: source.name.clone(),
            tag_prefix: source.tag_prefix.clone(),
            ..patched
        };
    }
    Ok(merged)
}

/// JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else { return };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(_) => merge(target.entry(key.clone()).or_insert(Value::Null), value),
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}
