//! `app diff`: what differs between Git and the cluster, field by field.
//!
//! | step | file |
//! |---|---|
//! | which repository, with what credentials; the manifests at a commit | [`render`] |
//! | what is there, and what the API server says it would become | [`observe`] |
//! | compare, as the sync loop does | `sluice_gitops::compare` |
//! | print | here |

mod observe;
mod render;

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;
use sluice_crds::app_project::AppProject;
use sluice_crds::application::Application;
use sluice_crds::decode;
use sluice_gitops::compare::{self, Comparison, Prediction, ResourceState, SyncCode};
use sluice_gitops::diff;
use sluice_gitops::ignore::Rules;
use sluice_gitops::key::Key;
use sluice_gitops::manifest::{Placement, Targets};
use sluice_gitops::options::SyncOptions;
use sluice_gitops::{manifest, project, tracking};
use tempfile::TempDir;

use super::{list, read, refresh};
use crate::cluster::{self, Cluster};
use crate::failure;
use crate::get::owned::text;
use crate::output;
use observe::Observed;

/// Exit code of a comparison that could not be made.
const NOT_COMPARED: u8 = 2;

/// Carries out `app diff`: exit code 1 when something differs, as `diff` and `argocd app diff` have it.
pub(super) async fn run(
    cluster: &Cluster,
    name: &str,
    revision: Option<&str>,
    summary: bool,
) -> Result<ExitCode> {
    let object = read(cluster, name).await?;
    if summary {
        refresh(cluster, name, false).await?;
        return listed(&read(cluster, name).await?);
    }
    match compared(cluster, &object, revision).await {
        Ok(outcome) => {
            let (text, differs) = outcome.text();
            output::print(&text)?;
            Ok(ExitCode::from(u8::from(differs)))
        }
        Err(error) => {
            output::complain(&format!("Error: {}", failure::sentence(&error)));
            output::complain("What the controller has found to differ:");
            listed(&object)?;
            Ok(ExitCode::from(NOT_COMPARED))
        }
    }
}

/// What the controller has found, without fields.
fn listed(application: &Value) -> Result<ExitCode> {
    let mut out = String::new();
    for resource in list(application, "/status/resources") {
        let status = text(resource, "/status");
        if matches!(status, "Synced" | "") {
            continue;
        }
        let pruned = resource.get("requiresPruning").and_then(Value::as_bool) == Some(true);
        let what = match (pruned, status) {
            (true, _) => "is not in Git",
            (false, "OutOfSync") => "is not as in Git",
            _ => "could not be compared",
        };
        let key = Key::new(
            text(resource, "/group"),
            text(resource, "/kind"),
            text(resource, "/namespace"),
            text(resource, "/name"),
        );
        out += &format!("{}{what}\n", title(&key));
    }
    output::print(&out)?;
    Ok(ExitCode::from(u8::from(!out.is_empty())))
}

/// Everything that a comparison came to.
struct Outcome {
    commit: String,
    targets: Targets,
    observed: Observed,
    comparison: Comparison,
}

async fn compared(cluster: &Cluster, object: &Value, revision: Option<&str>) -> Result<Outcome> {
    let application: Application =
        decode::decode(object).context("the Application cannot be read")?;
    let project = project_of(cluster, &application).await?;
    let (observe, cache) = (observe::Api::discover(cluster).await?, cache()?);
    let rendering = render::render(
        cluster,
        &application,
        &project,
        &observe,
        revision,
        cache.path(),
    )
    .await?;
    let status = application.status.as_ref();
    let control = status.and_then(|status| status.controller_namespace.clone());
    let own = application.metadata.namespace.clone().unwrap_or_default();
    let name = application.metadata.name.clone().unwrap_or_default();
    let placement = Placement {
        app: tracking::app_name(&own, &name, control.as_deref().unwrap_or(&own)),
        namespace: application.spec.destination.namespace().to_owned(),
    };
    let targets = manifest::targets(&rendering.objects, &placement, observe.scope())?;
    let observed = observe.observe(&application, &targets).await?;
    let policy = application.spec.sync_policy.as_ref();
    let written = policy
        .and_then(|policy| policy.sync_options.as_deref())
        .unwrap_or_default();
    let (options, _) = SyncOptions::parse(written.iter().map(String::as_str));
    let rules = Rules::new(
        application
            .spec
            .ignore_differences
            .as_deref()
            .unwrap_or_default(),
    );
    let comparison = compare::compare(
        &targets,
        &observed.live,
        &observed.predictions,
        &compare::Context {
            placement: &placement,
            destination: &application.spec.destination,
            project: &project,
            rules: &rules,
            options: &options,
        },
    );
    Ok(Outcome {
        commit: rendering.revision,
        targets,
        observed,
        comparison,
    })
}

/// A folder for checkouts, gone when the command ends.
fn cache() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("kubectl-sluice")
        .tempdir()
        .context("cannot make a folder for the checkout")
}

async fn project_of(cluster: &Cluster, application: &Application) -> Result<AppProject> {
    let name = application.spec.project();
    match cluster.get(&cluster::APP_PROJECTS, name).await {
        Ok(found) => Ok(decode::decode(&found)?),
        Err(_) if name == "default" => Ok(project::implicit_default()),
        Err(error) => Err(error),
    }
}

impl Outcome {
    /// The text, and whether anything differs.
    fn text(&self) -> (String, bool) {
        let differing: Vec<&ResourceState> = self
            .comparison
            .resources
            .iter()
            .filter(|state| state.sync != SyncCode::Synced && !state.extraneous_is_fine)
            .collect();
        let mut out: String = differing.iter().map(|state| self.one(state)).collect();
        for (kind, message) in &self.comparison.conditions {
            out += &format!("{kind}: {message}\n");
        }
        let against = crate::get::below::commit(&self.commit);
        out += &match differing.len() {
            0 => format!("No difference to {against}.\n"),
            1 => format!("1 object differs from {against}.\n"),
            number => format!("{number} objects differ from {against}.\n"),
        };
        (out, !differing.is_empty())
    }

    fn one(&self, state: &ResourceState) -> String {
        let mut out = title(&state.key);
        match (
            state.wanted,
            state.live,
            self.observed.predictions.get(&state.key),
        ) {
            (false, _, _) => out += "is not in Git (a sync with prune deletes it)\n",
            (true, false, _) => {
                out += "is not in the cluster (a sync creates it)\n";
                if let Some(target) = self.targets.plain(&state.key) {
                    out += &whole(&state.key, &target.object);
                }
            }
            (true, true, Some(Err(error))) => {
                out += &format!("the API server refuses it: {}\n", error.message());
            }
            (true, true, _) if state.sync == SyncCode::Unknown => {
                out += "is not permitted by the project, or could not be compared\n";
            }
            (true, true, _) => {
                for change in &state.changes {
                    out += &format!("{change}\n");
                }
            }
        }
        out
    }
}

fn title(key: &Key) -> String {
    let place = if key.namespace.is_empty() {
        String::new()
    } else {
        format!("{}/", key.namespace)
    };
    format!("===== {} {place}{} =====\n", key.kind, key.name)
}

/// A whole object as an addition; a Secret without its values.
fn whole(key: &Key, object: &Value) -> String {
    let mut object = diff::normalized(object);
    if key.kind.group.is_empty() && key.kind.kind == "Secret" {
        diff::mask(&mut Value::Null, &mut object);
    }
    let yaml = serde_saphyr::to_string(&object).unwrap_or_default();
    yaml.trim_end()
        .lines()
        .map(|line| format!("+ {line}\n"))
        .collect()
}

/// What the API server says of a target.
type Predictions = std::collections::BTreeMap<Key, Prediction>;

#[cfg(test)]
mod tests;
