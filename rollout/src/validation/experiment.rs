//! The `experiment` step: what an Experiment made of it would be refused for.

use std::collections::BTreeSet;

use sluice_crds::duration;
use sluice_crds::rollout::CanaryStrategy;
use sluice_crds::rollout::steps::ExperimentStep;

use super::Errors;
use super::canary::FIELD;

pub(super) fn check(canary: &CanaryStrategy, errors: &mut Errors) {
    let max = canary.max_weight();
    let mut weight = 0;
    for (index, step) in canary.steps().iter().enumerate() {
        weight = step.set_weight.unwrap_or(weight);
        if let Some(step) = &step.experiment {
            let field = format!("{FIELD}.steps[{index}].experiment");
            self::step(step, (weight, max), &field, errors);
        }
    }
}

fn step(step: &ExperimentStep, (weight, max): (i32, i32), field: &str, errors: &mut Errors) {
    if let Some(text) = step.duration.as_deref().filter(|text| !text.is_empty())
        && let Err(error) = duration::parse(text)
    {
        errors.invalid(format!("{field}.duration"), text, error);
    }
    let templates = step.templates.as_deref().unwrap_or_default();
    if templates.is_empty() {
        errors.required(
            format!("{field}.templates"),
            "name at least one template: without pods there is nothing to measure",
        );
    }
    let mut names = BTreeSet::new();
    let mut sum = weight;
    for (index, template) in templates.iter().enumerate() {
        let field = format!("{field}.templates[{index}]");
        if template.name.is_empty() {
            errors.required(format!("{field}.name"), "");
        } else if !names.insert(template.name.as_str()) {
            errors.duplicate(format!("{field}.name"), &template.name);
        }
        if !["canary", "stable"].contains(&template.spec_ref.as_str()) {
            errors.not_supported(
                format!("{field}.specRef"),
                &template.spec_ref,
                &["canary", "stable"],
            );
        }
        errors.not_negative(&format!("{field}.replicas"), template.replicas);
        errors.not_negative(&format!("{field}.weight"), template.weight);
        sum = sum.saturating_add(template.weight.unwrap_or(0).max(0));
        if sum > max {
            let why = format!(
                "the weights of this step and of the canary sum to {sum}, which is more than {max}"
            );
            errors.invalid(format!("{field}.weight"), template.weight, why);
        }
    }
    let mut names = BTreeSet::new();
    for (index, analysis) in step.analyses.iter().flatten().enumerate() {
        let field = format!("{field}.analyses[{index}].name");
        if analysis.name.is_empty() {
            errors.required(field, "");
        } else if !names.insert(analysis.name.as_str()) {
            errors.duplicate(field, &analysis.name);
        }
    }
    errors.not_negative(
        &format!("{field}.scaleDownDelaySeconds"),
        step.scale_down_delay_seconds,
    );
}
