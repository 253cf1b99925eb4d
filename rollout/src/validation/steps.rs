//! `spec.strategy.canary.steps`: which keys a step may have, and what each of them needs.

use sluice_crds::duration;
use sluice_crds::rollout::canary::AnalysisRunArgument;
use sluice_crds::rollout::steps::{
    ExperimentStep, Pause, SetHeaderRoute, SetMirrorRoute, StringMatch,
};
use sluice_crds::rollout::{CanaryStep, CanaryStrategy, TrafficRouting};

use super::canary::FIELD;
use super::{Errors, names};
use crate::plugin;

pub(super) fn check(canary: &CanaryStrategy, errors: &mut Errors) {
    super::experiment::check(canary, errors);
    let routing = canary.traffic_routing.as_ref();
    for (index, step) in canary.steps().iter().enumerate() {
        let field = format!("{FIELD}.steps[{index}]");
        keys(step, &field, errors);
        let max = canary.max_weight();
        if let Some(weight) = step.set_weight.filter(|weight| !(0..=max).contains(weight)) {
            errors.invalid(
                format!("{field}.setWeight"),
                weight,
                format!("SetWeight needs to be between 0 and {max}"),
            );
        }
        if let Some(step) = &step.pause {
            pause(step, &format!("{field}.pause.duration"), errors);
        }
        if step.set_canary_scale.is_some() && routing.is_none() {
            errors.required(
                format!("{FIELD}.trafficRouting"),
                "SetCanaryScale requires TrafficRouting to be set",
            );
        }
        if let Some(scale) = &step.set_canary_scale {
            let field = format!("{field}.setCanaryScale");
            errors.not_negative(&format!("{field}.weight"), scale.weight);
            errors.not_negative(&format!("{field}.replicas"), scale.replicas);
        }
        if let Some(step) = &step.set_header_route {
            header_route(step, routing, &format!("{field}.setHeaderRoute"), errors);
        }
        if let Some(step) = &step.set_mirror_route {
            mirror_route(step, routing, &format!("{field}.setMirrorRoute"), errors);
        }
        if let Some(step) = &step.plugin
            && let Err((key, message)) = plugin::check(step)
        {
            errors.invalid(format!("{field}.plugin.{key}"), &step.name, message);
        }
        if let Some(step) = &step.experiment {
            experiment(step, routing, &format!("{field}.experiment"), errors);
        }
        if let Some(step) = &step.analysis {
            let args = step.args.as_deref().unwrap_or_default();
            arguments(args, &format!("{field}.analysis.args"), errors);
        }
    }
}

/// A step does something, and only one of the things that take time or move traffic. What else stands beside it is
/// done as well.
fn keys(step: &CanaryStep, field: &str, errors: &mut Errors) {
    let keys: Vec<&str> = step.kinds().iter().map(|kind| kind.key()).collect();
    let exclusive = ["setWeight", "pause", "analysis", "experiment"];
    if keys.is_empty() || keys.iter().filter(|key| exclusive.contains(key)).count() > 1 {
        errors.invalid(
            field,
            keys.join(", "),
            "Step must have one of the following set: setWeight, pause, analysis, experiment, setCanaryScale, \
             setHeaderRoute, setMirrorRoute or plugin; and only one of the first four",
        );
    }
}

fn pause(pause: &Pause, field: &str, errors: &mut Errors) {
    let Some(duration) = &pause.duration else {
        return;
    };
    match duration::parse_int_or_string(duration) {
        Ok(parsed) if parsed.is_negative() => {
            errors.invalid(field, duration, "Duration needs to be greater than 0");
        }
        Ok(_) => {}
        Err(error) => errors.invalid(field, duration, error),
    }
}

fn header_route(
    step: &SetHeaderRoute,
    routing: Option<&TrafficRouting>,
    field: &str,
    errors: &mut Errors,
) {
    let able = routing.filter(|routing| {
        routing.istio.is_some()
            || routing.alb.is_some()
            || routing.apisix.is_some()
            || has_plugins(routing)
    });
    let Some(able) = able else {
        return errors.invalid(
            field,
            step,
            "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix",
        );
    };
    for (index, header) in step.matches.iter().flatten().enumerate() {
        let field = format!("{field}.match[{index}]");
        match &header.header_value {
            Some(value) if able.alb.is_some() && (kinds(value) != 1 || is_empty(&value.exact)) => {
                errors.invalid(
                    field,
                    value,
                    "SetHeaderRoute match value invalid. ALB supports 'exact' value only",
                );
            }
            value => string_match(value.as_ref(), &field, errors),
        }
    }
    managed(step.name.as_ref(), able, field, errors);
}

fn mirror_route(
    step: &SetMirrorRoute,
    routing: Option<&TrafficRouting>,
    field: &str,
    errors: &mut Errors,
) {
    let able = routing.filter(|routing| routing.istio.is_some() || has_plugins(routing));
    if able.is_none() {
        errors.invalid(
            field,
            step,
            "SetMirrorRoute requires TrafficRouting, supports Istio and Plugins",
        );
    }
    for (index, request) in step.matches.iter().flatten().enumerate() {
        let field = format!("{field}.match[{index}]");
        let headers = request.headers.iter().flatten().map(|(_, value)| value);
        for value in request.method.iter().chain(&request.path).chain(headers) {
            string_match(Some(value), &field, errors);
        }
    }
    if let Some(routing) = routing {
        managed(step.name.as_ref(), routing, field, errors);
    }
}

fn string_match(value: Option<&StringMatch>, field: &str, errors: &mut Errors) {
    match value.map_or(0, kinds) {
        1 => {}
        0 => errors.invalid(
            field,
            value,
            "StringMatch value missed, match value must have one of the following: exact, regex, prefix",
        ),
        _ => errors.invalid(
            field,
            value,
            "StringMatch match value must have exactly one of the following: exact, regex, prefix",
        ),
    }
}

fn kinds(value: &StringMatch) -> usize {
    [&value.exact, &value.prefix, &value.regex]
        .into_iter()
        .filter(|text| !is_empty(text))
        .count()
}

fn managed(name: Option<&String>, routing: &TrafficRouting, field: &str, errors: &mut Errors) {
    let Some(managed) = &routing.managed_routes else {
        return errors.required(
            format!("{FIELD}.trafficRouting.managedRoutes"),
            "Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'",
        );
    };
    if !managed.iter().any(|route| route.name.as_ref() == name) {
        errors.invalid(
            field,
            name.map_or("", String::as_str),
            "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes",
        );
    }
}

fn experiment(
    step: &ExperimentStep,
    routing: Option<&TrafficRouting>,
    field: &str,
    errors: &mut Errors,
) {
    for (index, template) in step.templates.iter().flatten().enumerate() {
        let field = format!("{field}.templates[{index}].weight");
        match (template.weight, routing) {
            (Some(weight), None) => errors.invalid(
                field,
                weight,
                "Experiment template weight cannot be set unless TrafficRouting is enabled",
            ),
            (Some(weight), Some(routing))
                if routing.alb.is_none()
                    && routing.smi.is_none()
                    && routing.istio.is_none()
                    && routing.traefik.is_none()
                    && !has_plugins(routing) =>
            {
                errors.invalid(
                    field,
                    weight,
                    "Experiment template weight is only available for TrafficRouting with SMI, ALB, Istio and Plugins \
                     at this time",
                );
            }
            _ => {}
        }
    }
    for (index, analysis) in step.analyses.iter().flatten().enumerate() {
        let args = analysis.args.as_deref().unwrap_or_default();
        arguments(args, &format!("{field}.analyses[{index}].args"), errors);
    }
}

/// Arguments of an analysis: a field of the Rollout's metadata must be one that pods could ask for too.
pub(super) fn arguments(args: &[AnalysisRunArgument], field: &str, errors: &mut Errors) {
    for (index, argument) in args.iter().enumerate() {
        let path = argument
            .value_from
            .as_ref()
            .and_then(|from| from.field_ref.as_ref())
            .map(|field| field.field_path.as_str());
        if let Some(path) = path.filter(|path| path.starts_with("metadata") && !is_downward(path)) {
            errors.invalid(
                format!("{field}[{index}].valueFrom.fieldRef.fieldPath"),
                path,
                "Analyses arguments must refer to valid object metadata supported by downwardAPI",
            );
        }
        let side = argument
            .value_from
            .as_ref()
            .and_then(|from| from.pod_template_hash_value.as_deref());
        if let Some(side) = side.filter(|side| !["Stable", "Latest"].contains(side)) {
            errors.not_supported(
                format!("{field}[{index}].valueFrom.podTemplateHashValue"),
                side,
                &["Stable", "Latest"],
            );
        }
    }
}

/// `metadata.labels['key']` and its like.
fn is_downward(path: &str) -> bool {
    let subscript = path
        .strip_suffix("']")
        .and_then(|path| path.split_once("['"));
    match subscript {
        Some(("metadata.annotations", key)) => {
            names::qualified_name(&key.to_lowercase()).is_empty()
        }
        Some(("metadata.labels", key)) => names::qualified_name(key).is_empty(),
        Some(_) => false,
        None => [
            "metadata.annotations",
            "metadata.labels",
            "metadata.name",
            "metadata.namespace",
            "metadata.uid",
        ]
        .contains(&path),
    }
}

fn has_plugins(routing: &TrafficRouting) -> bool {
    routing.plugins.iter().flatten().next().is_some()
}

fn is_empty(text: &Option<String>) -> bool {
    text.as_deref().is_none_or(str::is_empty)
}
