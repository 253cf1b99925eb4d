//! Dependencies of a chart.
//!
//! A chart in Git usually carries its dependencies in `charts/`. One that does not is completed in a private copy by
//! `helm dependency build`, if each dependency comes from a folder of the same repository or from a repository that the
//! Application's project permits.

use std::path::Path;

use serde_json::Value;

use super::repository::HelmHome;
use crate::access::RepoAccess;
use crate::error::SourceError;
use crate::files::read_text;
use crate::git::tree::Tree;
use crate::request::RenderRequest;
use crate::tool::args;
use crate::workshop::Workshop;
use crate::yaml;

/// A dependency that is not in `charts/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependency {
    /// Its place, for messages: `web/Chart.yaml: dependencies[0]`.
    place: String,
    name: String,
    repository: String,
}

/// The dependencies of the chart in `folder` that it does not carry.
pub(super) fn missing(
    tree: &Tree,
    folder: &Path,
    limit: u64,
) -> Result<Vec<Dependency>, SourceError> {
    let mut found = Vec::new();
    for file in ["Chart.yaml", "requirements.yaml"] {
        let Ok(path) = tree.root.resolve_from(folder, file) else {
            continue;
        };
        let shown = tree.root.shown(&path);
        let value = yaml::parse_one(&read_text(&path, &shown, limit)?)
            .map_err(|error| SourceError::invalid(&shown, error.to_string()))?;
        let entries = value["dependencies"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for (index, entry) in entries.iter().enumerate() {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let name = text("name");
            if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
                return Err(SourceError::invalid(
                    format!("{shown}: dependencies[{index}].name"),
                    "it is missing or not the name of a chart",
                ));
            }
            if !is_carried(folder, &name, &entry["version"]) {
                found.push(Dependency {
                    place: format!("{shown}: dependencies[{index}]"),
                    name,
                    repository: text("repository"),
                });
            }
        }
    }
    Ok(found)
}

/// Whether `charts/` holds the chart, as a folder or as an archive.
fn is_carried(folder: &Path, name: &str, version: &Value) -> bool {
    let charts = folder.join("charts");
    if charts.join(name).join("Chart.yaml").is_file() {
        return true;
    }
    if let Some(version) = version.as_str()
        && charts.join(format!("{name}-{version}.tgz")).is_file()
    {
        return true;
    }
    // `name-1.2.3.tgz`, and not `name-other-1.2.3.tgz`.
    let archives = std::fs::read_dir(charts).into_iter().flatten().flatten();
    archives
        .filter_map(|entry| entry.file_name().into_string().ok())
        .any(|file| {
            file.strip_suffix(".tgz")
                .and_then(|file| file.strip_prefix(name))
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|version| crate::git::constraint::version(version).is_some())
        })
}

/// Completes the private copy `chart` of the chart in `folder`.
pub(super) async fn build(
    shop: &Workshop,
    tree: &Tree,
    folder: &Path,
    chart: &Path,
    missing: &[Dependency],
    request: &RenderRequest,
) -> Result<(), SourceError> {
    let mut repositories: Vec<(String, RepoAccess)> = Vec::new();
    for dependency in missing {
        let Dependency {
            place,
            name,
            repository,
        } = dependency;
        if let Some(path) = repository.strip_prefix("file://") {
            tree.root
                .resolve_from(folder, path)
                .map_err(|refusal| refusal.into_error(format!("{place}.repository"), repository))?;
            continue;
        }
        if repository.is_empty() {
            return Err(SourceError::PathNotFound {
                field: place.clone(),
                path: format!("charts/{name}"),
                reason: "the dependency names no repository; commit its chart".into(),
            });
        }
        let permitted = request.dependencies.decide(repository).filter(|access| {
            // Behind a name there may be a URL that the project does not permit.
            access.url == *repository || request.dependencies.decide(&access.url).is_some()
        });
        let Some(access) = permitted else {
            return Err(SourceError::Unsupported {
                field: format!("{place}.repository"),
                reason: format!(
                    "{:?} is not permitted in project {}; permit it there, or commit the dependency to charts/",
                    crate::redact::Redactor::default().text(repository),
                    request.application.project,
                ),
            });
        };
        let alias = repository
            .strip_prefix('@')
            .or_else(|| repository.strip_prefix("alias:"));
        let label = alias.map_or_else(
            || format!("repository-{}", repositories.len()),
            str::to_owned,
        );
        if !repositories.iter().any(|(known, _)| *known == label) {
            repositories.push((label, access));
        }
    }
    let home = HelmHome::new(shop, &repositories)?;
    let tool = home.tool.showing(chart).showing(tree.root.path());
    let mut words = args(["dependency", "build", "."]);
    if repositories.is_empty() {
        words.push("--skip-refresh".into());
    }
    let _permit = shop.permit().await?;
    tool.run(chart, words).await.map(drop)
}
