//! Every manifest in `examples/` does what it says: Rollouts come up and are updated, Applications are synced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::gitops::synced;
use super::watch::{applications, healthy, observed, rollouts};
use crate::cluster::parse;
use crate::demo::stage::{kind, number, text};
use crate::product::checkout;

/// The repository that the examples' Applications read, as `http://git.git.svc/examples.git`.
const REPOSITORY: &str = "examples";

/// Rollouts of all routers: v1 becomes healthy, v2 gets to its first pause or analysis, and is then promoted in full.
pub(super) async fn rollouts_of_all_routers(stage: Arc<Stage>) -> Result<()> {
    for folder in folders("canary-")? {
        let shown = folder.display().to_string();
        rollout(&stage, &folder).await.context(shown)?;
    }
    Ok(())
}

async fn rollout(stage: &Stage, folder: &Path) -> Result<()> {
    let namespace = stage.cluster.namespace("example").await?;
    let name = namespace.name();
    for file in files(folder)? {
        for mut object in parse(&std::fs::read_to_string(&file)?)? {
            let plugins =
                "/spec/strategy/canary/trafficRouting/plugins/argoproj-labs~1gatewayAPI/namespace";
            if let Some(route) = object.pointer_mut(plugins) {
                *route = json!(name);
            }
            // One host is one namespace's: the demo of the same names may be there too.
            if let Some(hosts) = object.pointer_mut("/spec/hostnames") {
                *hosts = json!([format!("{name}.example.local")]);
            }
            namespace.apply_yaml(&object.to_string()).await?;
        }
    }
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.update(name, "v2").await?;
    let under_way = |rollout: &Value| {
        observed(rollout)
            && number(rollout, "/status/currentStepIndex") >= 1
            && text(rollout, "/status/phase") != "Degraded"
    };
    stage
        .rollout_until(name, "v2 to pass its first step", 60, under_way)
        .await?;
    let full = json!({ "status": { "promoteFull": true } });
    stage.patch_status(name, &rollouts(), "web", &full).await?;
    let promoted = |rollout: &Value| {
        healthy(rollout)
            && text(rollout, "/status/stableRS") == text(rollout, "/status/currentPodHash")
    };
    stage
        .rollout_until(name, "v2 to be promoted", 90, promoted)
        .await?;
    Ok(())
}

/// Templates are accepted as they are: the Rollouts of the examples use some, the others are there to be copied.
pub(super) async fn templates(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("templates").await?;
    for file in files(&checkout()?.join("examples/analysis"))? {
        let text = std::fs::read_to_string(&file)?;
        namespace
            .apply_yaml(&text)
            .await
            .with_context(|| file.display().to_string())?;
    }
    let templates = kind(
        "argoproj.io",
        "v1alpha1",
        "AnalysisTemplate",
        "analysistemplates",
    );
    let found = stage.list(namespace.name(), &templates).await?;
    ensure!(
        found.len() >= 2,
        "{} AnalysisTemplates were kept",
        found.len()
    );
    Ok(())
}

/// Applications of every kind of source, of hooks, of a project, and of Applications: each is synced and healthy.
pub(super) async fn applications_of_all_kinds(stage: Arc<Stage>) -> Result<()> {
    let examples = checkout()?.join("examples");
    let repository = stage.cluster.repository(REPOSITORY).await?;
    let content = examples.join("repository");
    let mut texts = Vec::new();
    for file in all_files(&content)? {
        let path = file.strip_prefix(&content)?.display().to_string();
        texts.push((path, std::fs::read_to_string(&file)?));
    }
    let texts: Vec<(&str, Option<&str>)> = texts
        .iter()
        .map(|(path, text)| (path.as_str(), Some(text.as_str())))
        .collect();
    repository.push("examples", &texts).await?;

    let mut objects = Vec::new();
    for file in files(&examples.join("applications"))? {
        objects.extend(parse(&std::fs::read_to_string(&file)?)?);
    }
    // The project first, as anybody would: an Application that names none is an error until it is there.
    objects.sort_by_key(|object| text(object, "/kind") == "Application");
    for object in &objects {
        stage.cluster.apply_yaml(&object.to_string()).await?;
    }
    // The one that is synced by hand, into a namespace that is there.
    let by_hand = "sample-app";
    let sample =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "sample" } });
    stage.cluster.apply_yaml(&sample.to_string()).await?;
    let order = json!({ "operation": { "sync": {}, "initiatedBy": { "username": "examples" } } });
    stage
        .patch("sluice", &applications(), by_hand, &order)
        .await?;
    let names: Vec<String> = objects
        .iter()
        .filter(|object| text(object, "/kind") == "Application")
        .map(|object| text(object, "/metadata/name"))
        .collect();
    let well = |app: &Value| synced(app) && text(app, "/status/health/status") == "Healthy";
    for name in &names {
        let what = format!("{name} to be synced and healthy");
        stage
            .until("sluice", &applications(), name, &what, 120, well)
            .await?;
    }
    clean(&stage, &objects, &names).await
}

async fn clean(stage: &Stage, objects: &[Value], names: &[String]) -> Result<()> {
    // The root first: it would bring its children back.
    let mut names: Vec<&String> = names.iter().collect();
    names.sort_by_key(|name| name.as_str() != "root-app");
    let mut namespaces = Vec::new();
    for name in names {
        let app = stage.get("sluice", &applications(), name).await?;
        namespaces.push(text(&app, "/spec/destination/namespace"));
        stage.delete("sluice", &applications(), name).await?;
    }
    namespaces.retain(|namespace| namespace != "sluice");
    for object in objects
        .iter()
        .filter(|object| text(object, "/kind") != "Application")
    {
        crate::cluster::delete(&stage.client, std::slice::from_ref(object), None).await?;
    }
    for namespace in namespaces {
        let object =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        crate::cluster::delete(&stage.client, &[object], None).await?;
    }
    Ok(())
}

fn folders(prefix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(checkout()?.join("examples"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "no examples begin with {prefix}");
    Ok(found)
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    found.retain(|path| path.is_file());
    found.sort();
    Ok(found)
}

fn all_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = files(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(all_files(&path)?);
        }
    }
    found.sort();
    Ok(found)
}
