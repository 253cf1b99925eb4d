//! What is wrong in manifests, by file and field: decoding, unknown fields, and the engine's own validation. Pure.
//!
//! What the files do not hold is assumed to be right, and listed as missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_analysis::template::build_run_spec;
use sluice_analysis::validate;
use sluice_crds::analysis::{
    AnalysisRun, AnalysisRunSpec, AnalysisTemplate, AnalysisTemplateRef, AnalysisTemplateSpec,
    Argument, ClusterAnalysisTemplate,
};
use sluice_crds::app_project::AppProject;
use sluice_crds::application::Application;
use sluice_crds::decode;
use sluice_crds::experiment::Experiment;
use sluice_crds::names::GROUP;
use sluice_crds::rollout::Rollout;
use sluice_gitops::application::{AppReason, AppWorld, Head, Settings as AppSettings};
use sluice_gitops::compare::LiveState;
use sluice_gitops::manifest::Placement;
use sluice_rollout::validation;
use sluice_rollout::{Service, Settings, World};

use super::manifest::Manifest;
use super::stand_in::{self, Templates};
use super::unknown;
use crate::get::owned::text;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// File and object.
    pub place: String,
    /// Path of the field; empty for the whole object.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            field,
            message,
        } = self;
        if field.is_empty() {
            write!(f, "{place}: {message}")
        } else {
            write!(f, "{place}: {field}: {message}")
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is named and not among the files, as in `Service web-canary`, each with who names it.
    pub missing: BTreeMap<String, String>,
    /// What has no effect, or was not looked into.
    pub notes: Vec<String>,
    /// Objects of Sluice's kinds.
    pub checked: usize,
}

impl Report {
    fn problem(
        &mut self,
        manifest: &Manifest,
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        let problem = Problem {
            place: manifest.to_string(),
            field: field.into(),
            message: message.into(),
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Decodes an object, and says which of its fields the API does not have.
    fn decoded<T: DeserializeOwned + Serialize>(&mut self, manifest: &Manifest) -> Option<T> {
        self.checked += 1;
        let decoded: T = match decode::decode(&manifest.value) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.problem(manifest, error.field.trim_start_matches('.'), error.reason);
                return None;
            }
        };
        let understood = serde_json::to_value(&decoded).unwrap_or_default();
        for field in unknown::fields(&manifest.value, &understood) {
            self.problem(manifest, field, "the API has no such field");
        }
        if manifest.name().is_empty() && text(&manifest.value, "/metadata/generateName").is_empty()
        {
            self.problem(manifest, "metadata.name", "it is missing");
        }
        Some(decoded)
    }
}

/// Checks all manifests, each with the others.
pub(crate) fn all(manifests: &[Manifest]) -> Report {
    let mut report = Report::default();
    for manifest in manifests {
        for field in ["apiVersion", "kind"] {
            if text(&manifest.value, &format!("/{field}")).is_empty() {
                report.problem(
                    manifest,
                    field,
                    "it is missing: this is no Kubernetes object",
                );
            }
        }
    }
    let of = |kind: &'static str| manifests.iter().filter(move |one| one.is(GROUP, kind));
    let mut templates = Templates::default();
    let mut read: Vec<(&Manifest, AnalysisTemplateSpec)> = Vec::new();
    for manifest in of("AnalysisTemplate") {
        if let Some(template) = report.decoded::<AnalysisTemplate>(manifest) {
            templates.insert(false, manifest.name(), template.spec.clone());
            read.push((manifest, template.spec));
        }
    }
    for manifest in of("ClusterAnalysisTemplate") {
        if let Some(template) = report.decoded::<ClusterAnalysisTemplate>(manifest) {
            let spec: AnalysisTemplateSpec = template.spec.into();
            templates.insert(true, manifest.name(), spec.clone());
            read.push((manifest, spec));
        }
    }
    for (manifest, spec) in &read {
        let nested = spec.templates.as_deref().unwrap_or_default();
        assume(nested, &mut templates, &mut report, manifest);
    }
    for (manifest, spec) in &read {
        template(manifest, spec, &templates, &mut report);
    }
    for manifest in of("AnalysisRun") {
        if let Some(run) = report.decoded::<AnalysisRun>(manifest)
            && let Err(error) = validate::run_spec(&run.spec)
        {
            report.problem(manifest, format!("spec.{}", error.field), error.message);
        }
    }
    for manifest in of("Rollout") {
        if let Some(decoded) = report.decoded::<Rollout>(manifest) {
            rollout(manifest, &decoded, manifests, &mut templates, &mut report);
        }
    }
    applications(manifests, &mut report);
    for manifest in of("Experiment") {
        if let Some(experiment) = report.decoded::<Experiment>(manifest)
            && let Some(error) = sluice_rollout::experiment::validate(&experiment)
        {
            report.problem(manifest, error.field, error.message);
        }
    }
    report
}

/// Why the engine refuses a field of a Rollout, if it does; everything that the Rollout names is assumed to be right.
pub(crate) fn refusal(rollout: &Rollout, field: &str) -> Option<String> {
    let mut templates = Templates::default();
    let mut report = Report::default();
    let manifest = Manifest::assumed();
    for reference in rollout.spec.analysis_templates() {
        assume(
            std::slice::from_ref(&reference),
            &mut templates,
            &mut report,
            &manifest,
        );
    }
    let names = rollout.spec.service_names().into_iter();
    let services = names
        .map(|name| (name.to_owned(), stand_in::service(name)))
        .collect();
    let found = validated(rollout, &services, &templates, Ok(()));
    found
        .into_iter()
        .find(|error| error.field == field)
        .map(|error| error.message)
}

fn assume(
    references: &[AnalysisTemplateRef],
    templates: &mut Templates,
    report: &mut Report,
    by: &Manifest,
) {
    for reference in references {
        let cluster = reference.cluster_scope == Some(true);
        let name = reference.template_name.as_deref().unwrap_or_default();
        if !name.is_empty() && templates.assume(cluster, name) {
            let kind = if cluster {
                "ClusterAnalysisTemplate"
            } else {
                "AnalysisTemplate"
            };
            report
                .missing
                .insert(format!("{kind} {name}"), by.to_string());
        }
    }
}

fn template(
    manifest: &Manifest,
    spec: &AnalysisTemplateSpec,
    all: &Templates,
    report: &mut Report,
) {
    let args: Vec<Argument> = spec.args.iter().flatten().map(stand_in::argument).collect();
    let nested = spec
        .templates
        .as_ref()
        .is_some_and(|nested| !nested.is_empty());
    let outcome = if nested {
        let reference = AnalysisTemplateRef {
            template_name: Some(manifest.name().to_owned()),
            cluster_scope: manifest
                .is(GROUP, "ClusterAnalysisTemplate")
                .then_some(true),
        };
        // An argument may be declared by a nested template alone.
        let mut args = args;
        for other in spec.templates.iter().flatten() {
            let cluster = other.cluster_scope == Some(true);
            let name = other.template_name.as_deref().unwrap_or_default();
            let declared = all.get(cluster, name).and_then(|spec| spec.args.as_ref());
            args.extend(declared.into_iter().flatten().map(stand_in::argument));
        }
        build_run_spec(&[reference], all, &args, &[], &[]).map(|_| ())
    } else {
        validate::run_spec(&AnalysisRunSpec {
            metrics: spec.metrics.clone(),
            args: Some(args),
            dry_run: spec.dry_run.clone(),
            measurement_retention: spec.measurement_retention.clone(),
            ..AnalysisRunSpec::default()
        })
    };
    if let Err(error) = outcome {
        report.problem(manifest, format!("spec.{}", error.field), error.message);
    }
}

fn rollout(
    manifest: &Manifest,
    rollout: &Rollout,
    all: &[Manifest],
    templates: &mut Templates,
    report: &mut Report,
) {
    let rollout = &at_home(rollout.clone());
    let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
    for analysis in rollout.spec.analyses() {
        let references = analysis.templates.as_deref().unwrap_or_default();
        assume(references, templates, report, manifest);
    }
    let mut services = BTreeMap::new();
    for name in rollout.spec.service_names() {
        let found = all
            .iter()
            .find(|one| one.is("", "Service") && one.name() == name && one.is_in(namespace));
        let service = match found {
            Some(found) => Service::from_object(&found.value),
            None => {
                report
                    .missing
                    .insert(format!("Service {name}"), manifest.to_string());
                stand_in::service(name)
            }
        };
        services.insert(name.to_owned(), service);
    }
    let routers = match sluice_traffic::referenced(rollout) {
        Ok(objects) => {
            routes(manifest, rollout, &objects, all, report);
            Ok(())
        }
        Err(errors) => Err(errors),
    };
    for error in validated(rollout, &services, templates, routers) {
        report.problem(manifest, error.field, error.message);
    }
}

/// What is wrong with the routes that are among the files.
fn routes(
    manifest: &Manifest,
    rollout: &Rollout,
    named: &[sluice_traffic::RouterObject],
    all: &[Manifest],
    report: &mut Report,
) {
    let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
    // Manifests without a namespace go where the Rollout goes.
    let placed: Vec<Value> = all
        .iter()
        .map(|one| in_namespace(&one.value, &namespace))
        .collect();
    let mut absent = BTreeSet::new();
    for router in named.iter().filter(|router| !router.managed) {
        if !placed.iter().any(|object| router.object.names(object)) {
            absent.insert(router.object.to_string());
            report
                .missing
                .insert(router.object.to_string(), manifest.to_string());
        }
    }
    let lookup =
        |wanted: &sluice_traffic::ObjectRef| placed.iter().find(|object| wanted.names(object));
    let max = rollout
        .spec
        .canary()
        .map_or(100, |canary| canary.max_weight());
    let managed: BTreeSet<String> = named
        .iter()
        .filter(|router| router.managed)
        .map(|router| router.object.to_string())
        .collect();
    for shown in sluice_traffic::observe(rollout, &lookup, max) {
        let assumed = absent
            .iter()
            .chain(&managed)
            .any(|name| shown.object.starts_with(name.as_str()));
        if let (Err(why), false) = (shown.canary, assumed) {
            report.problem(manifest, shown.field, format!("{}: {why}", shown.object));
        }
    }
}

/// The Rollout in a namespace: its own, else the one in which it says that its routes are, else `default`.
pub(super) fn at_home(mut rollout: Rollout) -> Rollout {
    if rollout
        .metadata
        .namespace
        .as_deref()
        .unwrap_or_default()
        .is_empty()
    {
        let routes = sluice_traffic::referenced(&rollout).unwrap_or_default();
        let named = routes.into_iter().map(|route| route.object.namespace);
        let home = named.into_iter().find(|namespace| !namespace.is_empty());
        rollout.metadata.namespace = Some(home.unwrap_or_else(|| "default".to_owned()));
    }
    rollout
}

/// The object as it would be applied to a namespace.
pub(super) fn in_namespace(object: &Value, namespace: &str) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata
            .entry("namespace")
            .or_insert_with(|| Value::String(namespace.to_owned()));
    }
    object
}

fn validated(
    rollout: &Rollout,
    services: &BTreeMap<String, Service>,
    templates: &Templates,
    routers: Result<(), Vec<sluice_traffic::FieldError>>,
) -> Vec<validation::FieldError> {
    let errors: Vec<(String, String)> = match routers {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .into_iter()
            .map(|error| (error.field, error.message))
            .collect(),
    };
    let settings = Settings {
        instance_id: String::new(),
    };
    validation::validate(&World {
        rollout,
        replica_sets: &[],
        services,
        pods: &[],
        analysis_runs: &[],
        experiments: &[],
        templates,
        traffic: if errors.is_empty() {
            Ok(&[])
        } else {
            Err(&errors)
        },
        workload: None,
        settings: &settings,
        basis: None,
    })
}

fn applications(manifests: &[Manifest], report: &mut Report) {
    let mut projects: BTreeMap<String, AppProject> = BTreeMap::new();
    for manifest in manifests.iter().filter(|one| one.is(GROUP, "AppProject")) {
        if let Some(project) = report.decoded::<AppProject>(manifest) {
            let without_effect = sluice_gitops::project::without_effect(&project);
            report.notes.extend(
                without_effect
                    .iter()
                    .map(|note| format!("{manifest}: {note}")),
            );
            projects.insert(manifest.name().to_owned(), project);
        }
    }
    for manifest in manifests.iter().filter(|one| one.is(GROUP, "Application")) {
        let Some(application) = report.decoded::<Application>(manifest) else {
            continue;
        };
        let name = application.spec.project().to_owned();
        let project = projects.get(&name).cloned().unwrap_or_else(|| {
            if name != "default" {
                report
                    .missing
                    .insert(format!("AppProject {name}"), manifest.to_string());
            }
            sluice_gitops::project::implicit_default()
        });
        for message in refused(&application, &project) {
            report.problem(manifest, "", message);
        }
    }
}

/// What the sync loop would refuse, in its own words.
fn refused(application: &Application, project: &AppProject) -> Vec<String> {
    let namespace = application.metadata.namespace.clone().unwrap_or_default();
    let world = AppWorld {
        app: application,
        project: Some(project),
        head: &Head::Pending,
        looked: false,
        renderings: &[],
        live: &LiveState::default(),
        placement: &Placement {
            app: application.metadata.name.clone().unwrap_or_default(),
            namespace: application.spec.destination.namespace().to_owned(),
        },
        settings: &AppSettings {
            control_namespace: namespace,
        },
    };
    let plan = sluice_gitops::application::decide(&world, jiff::Timestamp::UNIX_EPOCH);
    let conditions = plan.status.conditions.iter().flatten();
    let mut messages: Vec<String> = conditions
        .filter(|condition| condition.kind == "InvalidSpecError")
        .map(|condition| condition.message.clone())
        .collect();
    for reason in plan.reasons {
        if let AppReason::InvalidSpec { message } = reason
            && !messages.contains(&message)
        {
            messages.push(message);
        }
    }
    messages
}

#[cfg(test)]
mod tests;
