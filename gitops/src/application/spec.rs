//! What is wrong with an Application's spec. Nothing is silently ignored: what cannot be carried out is refused in an
//! `InvalidSpecError` that names the field, and what has no effect is said in a warning.

use sluice_crds::app_project::AppProject;
use sluice_crds::application::{Application, ApplicationSource};

use super::Conditions;
use super::world::AppWorld;
use crate::backoff;
use crate::ignore::Rules;
use crate::options::SyncOptions;
use crate::project;

/// A spec that was read.
pub(super) struct Checked {
    pub(super) conditions: Conditions,
    pub(super) options: SyncOptions,
    pub(super) rules: Rules,
}

/// Reads the parts of the spec that need reading, and collects what is wrong.
pub(super) fn check(world: &AppWorld<'_>, project: &AppProject) -> Checked {
    let app = world.app;
    let mut errors: Vec<String> = Vec::new();
    let project_missing = world.project.is_none() && app.spec.project() != "default";
    if project_missing {
        errors.push(format!(
            "Application referencing project {} which does not exist",
            app.spec.project()
        ));
    }
    sources(app, &mut errors);
    destination(app, &mut errors);
    if errors.is_empty() {
        errors.extend(project::violations(
            app,
            project,
            &world.settings.control_namespace,
        ));
    }
    let policy = app.spec.sync_policy.as_ref();
    let written = policy
        .and_then(|policy| policy.sync_options.as_deref())
        .unwrap_or(&[]);
    let (options, wrong) = SyncOptions::parse(written.iter().map(String::as_str));
    errors.extend(
        wrong
            .iter()
            .map(|error| format!("spec.syncPolicy.syncOptions: {error}")),
    );
    errors.extend(
        policy
            .and_then(|policy| policy.retry.as_ref())
            .and_then(backoff::problem),
    );
    let rules = Rules::new(app.spec.ignore_differences.as_deref().unwrap_or(&[]));
    errors.extend(rules.errors().iter().cloned());
    let mut conditions: Conditions = errors
        .into_iter()
        .map(|message| ("InvalidSpecError", message))
        .collect();
    if !project_missing {
        let notes = project::without_effect(project);
        conditions.extend(
            notes
                .into_iter()
                .map(|note| ("UnsupportedFieldWarning", note)),
        );
    }
    Checked {
        conditions,
        options,
        rules,
    }
}

fn is_set(text: &Option<String>) -> bool {
    text.as_deref().is_some_and(|text| !text.is_empty())
}

fn sources(app: &Application, errors: &mut Vec<String>) {
    if app.spec.source_hydrator.is_some() {
        errors.push("spec.sourceHydrator is not supported: use spec.source".to_owned());
        return;
    }
    let sources = app.spec.sources();
    if sources.is_empty() {
        errors.push(
            "spec.source.repoURL and either spec.source.path or spec.source.chart are required"
                .to_owned(),
        );
    }
    let many = app.spec.has_multiple_sources();
    for (index, source) in sources.iter().enumerate() {
        let field = if many {
            format!("spec.sources[{index}]")
        } else {
            "spec.source".to_owned()
        };
        one_source(source, &field, errors);
    }
}

fn one_source(source: &ApplicationSource, field: &str, errors: &mut Vec<String>) {
    if source.repo_url.trim().is_empty() {
        errors.push(format!("{field}.repoURL is required"));
    } else if !is_set(&source.path) && !is_set(&source.chart) && !is_set(&source.reference) {
        errors.push(format!(
            "{field}.repoURL and either {field}.path or {field}.chart are required"
        ));
    }
    if is_set(&source.path) && is_set(&source.chart) {
        errors.push(format!("{field}.path and {field}.chart exclude each other"));
    }
    let types = source.explicit_types();
    if types.len() > 1 {
        errors.push(format!(
            "{field}: multiple application sources defined: {}",
            types.join(",")
        ));
    }
    if source.plugin.is_some() {
        errors.push(format!(
            "{field}.plugin is not supported: config management plugins are not run"
        ));
    }
}

fn destination(app: &Application, errors: &mut Vec<String>) {
    let destination = &app.spec.destination;
    match (is_set(&destination.server), is_set(&destination.name)) {
        (true, true) => errors.push(format!(
            "application destination can't have both name and server defined: {} {}",
            destination.name.as_deref().unwrap_or(""),
            destination.server.as_deref().unwrap_or("")
        )),
        (false, false) => {
            errors.push("spec.destination: server or name is required".to_owned());
        }
        _ if !destination.is_in_cluster() => errors.push(format!(
            "spec.destination: cluster {} is not configured, only the controller's own cluster \
             (https://kubernetes.default.svc, in-cluster) is",
            destination
                .server
                .as_deref()
                .or(destination.name.as_deref())
                .unwrap_or("")
        )),
        _ => {}
    }
}
