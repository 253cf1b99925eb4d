//! Kustomizations: `scan.rs` checks what a kustomization would load, `edit.rs` applies `source.kustomize` to a private
//! copy, and this file runs `kustomize build`.

mod edit;
mod scan;

use std::path::Path;

use serde_json::Value;
use sluice_crds::application::KustomizeSource;

use crate::build_env::BuildEnv;
use crate::error::SourceError;
use crate::files::copy_tree;
use crate::git::tree::Tree;
use crate::manifest;
use crate::request::RenderRequest;
use crate::tool::{Tool, args};
use crate::workshop::Workshop;

/// Renders the kustomization in `folder`, which lies in `tree`.
pub(crate) async fn render(
    shop: &Workshop,
    tree: &Tree,
    folder: &Path,
    settings: &KustomizeSource,
    request: &RenderRequest,
    warnings: &mut Vec<String>,
) -> Result<Vec<Value>, SourceError> {
    let unsupported = |field: &str, reason: &str| SourceError::Unsupported {
        field: format!("spec.source.kustomize.{field}"),
        reason: reason.to_owned(),
    };
    if settings
        .version
        .as_deref()
        .is_some_and(|version| !version.is_empty())
    {
        return Err(unsupported(
            "version",
            "the kustomize beside the controller is used",
        ));
    }
    let filled = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if settings.kube_version.is_some() || filled(&settings.api_versions) {
        return Err(unsupported(
            "kubeVersion",
            "charts inside kustomizations are not rendered",
        ));
    }
    let variables = BuildEnv::of(request);
    let mut tool = Tool::kustomize(shop)?
        .with_variables(&variables)
        .showing(tree.root.path());
    let edits = edit::plan(settings, &variables)?;

    // Held until the end: the private copy is deleted with it.
    let copy;
    let (root, folder) = if edits.is_empty() {
        (tree.root.clone(), folder.to_owned())
    } else {
        copy = shop.temporary("kustomize")?;
        tool = tool.showing(copy.path());
        let from = tree.root.path().to_owned();
        let to = copy.path().to_owned();
        let written = folder.to_owned();
        let copied = tokio::task::spawn_blocking(move || {
            copy_tree(&from, &to, &|path| path.parent() == Some(written.as_path()))
        });
        copied
            .await
            .map_err(|error| SourceError::Cache {
                message: error.to_string(),
            })?
            .map_err(|error| SourceError::cache("copying a checkout", &error))?;
        let inner = folder
            .strip_prefix(tree.root.path())
            .unwrap_or(Path::new(""));
        let root = crate::beneath::Root::new(copy.path())
            .map_err(|error| SourceError::cache("opening a copy", &error))?;
        let folder = root.path().join(inner);
        edit::apply(&tool, &root, &folder, settings, edits).await?;
        (root, folder)
    };
    scan::check(&root, &folder, &shop.config)?;
    if shop.config.kustomize_remote_bases {
        tool = tool.with_network().with_programs();
    }
    let output = tool.run(&folder, args(["build", "."])).await?;
    manifest::from_tool("kustomize", &output, warnings)
}
