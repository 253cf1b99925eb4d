//! What the Rollout refers to: Services, analysis templates, routers. All of it may change at any time, so these errors
//! come and go without a change of the Rollout.

use sluice_analysis::template::build_run_spec;
use sluice_analysis::{FieldError as AnalysisError, validate as analysis};
use sluice_crds::analysis::{AnalysisTemplateRef, Argument, SecretKeyRef, ValueFrom};
use sluice_crds::names;
use sluice_crds::rollout::canary::{AnalysisRunArgument, RolloutAnalysis};
use sluice_crds::rollout::steps::ExperimentStep;
use sluice_crds::rollout::{BlueGreenStrategy, CanaryStrategy, WorkloadRef};

use super::canary::FIELD;
use super::{Errors, NO_TEMPLATE, blue_green, selector, template};
use crate::workload::KINDS;
use crate::world::{Service, World};

pub(super) fn check(world: &World<'_>, errors: &mut Errors) {
    if let Some(reference) = &world.rollout.spec.workload_ref {
        workload(reference, world, errors);
    }
    match (world.rollout.spec.canary(), world.rollout.spec.blue_green()) {
        (Some(strategy), _) => canary(strategy, world, errors),
        (None, Some(strategy)) => blue_green(strategy, world, errors),
        (None, None) => {}
    }
}

/// The workload must be there, and its template be one that a ReplicaSet can have.
fn workload(reference: &WorkloadRef, world: &World<'_>, errors: &mut Errors) {
    let kind = reference.kind.as_deref().unwrap_or_default();
    let name = reference.name.as_deref().unwrap_or_default();
    if !KINDS.contains(&kind) || name.is_empty() {
        return;
    }
    if world.workload.is_none() {
        return errors.invalid(
            "spec.workloadRef.name",
            name,
            format!("{kind} \"{name}\" not found"),
        );
    }
    let spec = &world.rollout.spec;
    let pods = spec.template.as_ref().unwrap_or(&NO_TEMPLATE);
    match &spec.selector {
        None => errors.invalid(
            "spec.workloadRef.name",
            name,
            format!("{kind} \"{name}\" has no selector"),
        ),
        Some(selector) if selector::is_empty(selector) => errors.invalid(
            "spec.workloadRef.name",
            name,
            format!("the selector of {kind} \"{name}\" is empty"),
        ),
        selector => template::check(pods, selector.as_ref(), errors),
    }
}

fn blue_green(strategy: &BlueGreenStrategy, world: &World<'_>, errors: &mut Errors) {
    services(
        blue_green::FIELD,
        &[
            ("activeService", strategy.active_service.as_deref()),
            ("previewService", strategy.preview_service.as_deref()),
        ],
        world,
        errors,
    );
    for (name, analysis) in blue_green::analyses(strategy) {
        let field = format!("{}.{name}", blue_green::FIELD);
        analysis_run(analysis, Ends::ByItself, &field, world, errors);
    }
}

/// Every Service that is named must be there and fit.
fn services(
    strategy: &str,
    named: &[(&str, Option<&str>)],
    world: &World<'_>,
    errors: &mut Errors,
) {
    for (key, name) in named {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let field = format!("{strategy}.{key}");
            match world.services.get(name) {
                None => errors.invalid(field, name, format!("service \"{name}\" not found")),
                Some(service) => fits(service, world, &field, errors),
            }
        }
    }
}

fn canary(canary: &CanaryStrategy, world: &World<'_>, errors: &mut Errors) {
    let pair = canary.ping_pong.as_ref();
    services(
        FIELD,
        &[
            ("stableService", canary.stable_service.as_deref()),
            ("canaryService", canary.canary_service.as_deref()),
            (
                "pingPong.pingService",
                pair.and_then(|pair| pair.ping_service.as_deref()),
            ),
            (
                "pingPong.pongService",
                pair.and_then(|pair| pair.pong_service.as_deref()),
            ),
        ],
        world,
        errors,
    );
    for (index, step) in canary.steps().iter().enumerate() {
        if let Some(step) = &step.experiment {
            let field = format!("{FIELD}.steps[{index}].experiment");
            experiment(step, &field, world, errors);
        }
        if let Some(step) = &step.analysis {
            analysis_run(
                step,
                Ends::ByItself,
                &format!("{FIELD}.steps[{index}].analysis"),
                world,
                errors,
            );
        }
    }
    if let Some(background) = &canary.analysis {
        analysis_run(
            &background.analysis,
            Ends::WithTheSteps,
            &format!("{FIELD}.analysis"),
            world,
            errors,
        );
    }
    if let Err(routers) = world.traffic {
        for (field, message) in routers {
            // One sentence for a field is enough.
            if !errors.0.iter().any(|error| error.field == *field) {
                errors.add(field, message);
            }
        }
    }
}

/// A Service must select the Rollout's pods, and follow no other Rollout.
fn fits(service: &Service, world: &World<'_>, field: &str, errors: &mut Errors) {
    let labels = world
        .rollout
        .spec
        .template
        .as_ref()
        .map(|template| template.labels());
    let labels = labels.unwrap_or_default();
    for (key, value) in &service.selector {
        if key != names::POD_TEMPLATE_HASH && labels.get(key) != Some(value) {
            errors.invalid(
                field,
                &service.name,
                format!(
                    "Service \"{}\" has unmatch label \"{key}\" in rollout",
                    service.name
                ),
            );
        }
    }
    let manager = service.annotations.get(names::MANAGED_BY_ROLLOUTS);
    if manager.is_some_and(|manager| world.rollout.metadata.name.as_ref() != Some(manager)) {
        errors.invalid(
            field,
            &service.name,
            format!("Service \"{}\" is managed by another Rollout", service.name),
        );
    }
}

/// When the metrics of an analysis end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// The step waits for them.
    ByItself,
    /// They may run until the last step is done.
    WithTheSteps,
}

fn analysis_run(
    wanted: &RolloutAnalysis,
    ends: Ends,
    field: &str,
    world: &World<'_>,
    errors: &mut Errors,
) {
    let refs = wanted.templates.as_deref().unwrap_or_default();
    let args: Vec<Argument> = wanted.args.iter().flatten().filter_map(stand_in).collect();
    let built = build_run_spec(
        refs,
        world.templates,
        &args,
        wanted.dry_run.as_deref().unwrap_or_default(),
        wanted.measurement_retention.as_deref().unwrap_or_default(),
    );
    let checked = built.and_then(|spec| match ends {
        Ends::ByItself => {
            analysis::finite(&spec).map_err(|error| AnalysisError::new("templates", error.message))
        }
        Ends::WithTheSteps => Ok(()),
    });
    if let Err(error) = checked {
        let named = template_of(&error.field, refs);
        let error = error.under(field);
        match named {
            Some(name) => errors.invalid(error.field, name, error.message),
            None => errors.add(error.field, error.message),
        }
    }
}

/// The analyses of an `experiment` step. Their values may hold what only the running Experiment knows.
fn experiment(step: &ExperimentStep, field: &str, world: &World<'_>, errors: &mut Errors) {
    for (index, analysis) in step.analyses.iter().flatten().enumerate() {
        let later = |argument: &AnalysisRunArgument| {
            let tagged = argument
                .value
                .as_deref()
                .is_some_and(|value| value.contains("{{"));
            AnalysisRunArgument {
                name: argument.name.clone(),
                value: argument
                    .value
                    .clone()
                    .map(|value| if tagged { "1".to_owned() } else { value }),
                value_from: argument.value_from.clone(),
            }
        };
        let wanted = RolloutAnalysis {
            templates: Some(vec![AnalysisTemplateRef {
                template_name: Some(analysis.template_name.clone()),
                cluster_scope: analysis.cluster_scope,
            }]),
            args: analysis
                .args
                .as_ref()
                .map(|args| args.iter().map(later).collect()),
            dry_run: step.dry_run.clone(),
            ..RolloutAnalysis::default()
        };
        let ends = if analysis.required_for_completion == Some(true) {
            Ends::ByItself
        } else {
            Ends::WithTheSteps
        };
        let field = format!("{field}.analyses[{index}]");
        analysis_run(&wanted, ends, &field, world, errors);
    }
}

/// The template that an error's field `templates[1]…` names.
fn template_of<'a>(field: &str, refs: &'a [AnalysisTemplateRef]) -> Option<&'a str> {
    let index = field
        .strip_prefix("templates[")?
        .split_once(']')?
        .0
        .parse::<usize>()
        .ok()?;
    refs.get(index)?.template_name.as_deref()
}

/// The argument that a run would get; none for one that names no source, which is left to the templates. A value that is
/// known only then is stood in for by a secret: the analysis takes both for text that it cannot look into yet.
fn stand_in(argument: &AnalysisRunArgument) -> Option<Argument> {
    let from = argument.value_from.as_ref();
    let later =
        from.is_some_and(|from| from.pod_template_hash_value.is_some() || from.field_ref.is_some());
    let value = argument.value.clone();
    (value.is_some() || later).then(|| Argument {
        name: argument.name.clone(),
        value_from: value.is_none().then(|| ValueFrom {
            secret_key_ref: Some(SecretKeyRef {
                name: "later".to_owned(),
                key: "later".to_owned(),
            }),
            field_ref: None,
        }),
        value,
    })
}
