//! What is wrong with an Experiment, before anything is done about it: the rules of Argo Rollouts, and those without
//! which ReplicaSets or Services of two templates could not be told apart.

use std::collections::BTreeSet;

use sluice_crds::LabelSelector;
use sluice_crds::duration;
use sluice_crds::experiment::{ExperimentSpec, ExperimentTemplate};

use crate::validation::FieldError;

/// The first thing that is wrong.
pub(super) fn problem(name: &str, spec: &ExperimentSpec) -> Option<FieldError> {
    let templates = spec.templates.as_deref().unwrap_or_default();
    if templates.is_empty() {
        return error(
            "spec.templates",
            "Experiment has missing field '.spec.templates'".to_owned(),
        );
    }
    let mut names = BTreeSet::new();
    for (index, template) in templates.iter().enumerate() {
        if let Some(problem) = self::template((name, spec), index, template) {
            return Some(problem);
        }
        if !names.insert(template.name.as_str()) {
            return error(
                &format!("spec.templates[{index}].name"),
                format!(
                    "Experiment {} has repeated template name '{}' in templates",
                    name, template.name
                ),
            );
        }
    }
    if let Some(text) = spec.duration.as_deref().filter(|text| !text.is_empty())
        && let Err(problem) = duration::parse(text)
    {
        return error("spec.duration", format!("invalid duration: {problem}"));
    }
    let mut names = BTreeSet::new();
    for (index, analysis) in spec.analyses.iter().flatten().enumerate() {
        let field = format!("spec.analyses[{index}].name");
        if analysis.name.is_empty() {
            let message = format!(
                "Experiment {} has empty analysis name at index {index}",
                name
            );
            return error(&field, message);
        }
        if !names.insert(analysis.name.as_str()) {
            let message = format!(
                "Experiment {} has repeated analysis name '{}' in analyses",
                name, analysis.name
            );
            return error(&field, message);
        }
    }
    None
}

fn template(
    (name, spec): (&str, &ExperimentSpec),
    index: usize,
    template: &ExperimentTemplate,
) -> Option<FieldError> {
    let field = |name: &str| format!("spec.templates[{index}].{name}");
    let Some(selector) = &template.selector else {
        // The words of upstream, which speak of a Rollout here too.
        let message = format!("Rollout has missing field '.Spec.Templates[{index}].Selector'");
        return error(&field("selector"), message);
    };
    if is_empty(selector) {
        let message = format!(
            "This experiment is selecting all pods at index {index}. A non-empty selector is required."
        );
        return error(&field("selector"), message);
    }
    if template.min_ready_seconds.unwrap_or(0) > spec.progress_deadline_seconds() {
        let message = format!(
            "MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index {index}"
        );
        return error(&field("minReadySeconds"), message);
    }
    if template.name.is_empty() {
        let message = format!(
            "Experiment {} has empty template name at index {index}",
            name
        );
        return error(&field("name"), message);
    }
    if template.replicas.is_some_and(|replicas| replicas < 0) {
        return error(
            &field("replicas"),
            "must be greater than or equal to 0".to_owned(),
        );
    }
    let labels = template
        .template
        .as_ref()
        .map(|template| template.labels())
        .unwrap_or_default();
    let unmatched = selector.match_labels.iter().flatten().find(|(key, value)| {
        key.as_str() != sluice_crds::names::POD_TEMPLATE_HASH && labels.get(*key) != Some(value)
    });
    if let Some((key, value)) = unmatched {
        let message = format!(
            "`selector` does not match template `labels`: the template has no label {key}={value}"
        );
        return error(&field("template.metadata.labels"), message);
    }
    None
}

fn is_empty(selector: &LabelSelector) -> bool {
    selector
        .match_labels
        .as_ref()
        .is_none_or(|labels| labels.is_empty())
        && selector
            .match_expressions
            .as_ref()
            .is_none_or(|expressions| expressions.is_empty())
}

fn error(field: &str, message: String) -> Option<FieldError> {
    Some(FieldError {
        field: field.to_owned(),
        message,
    })
}
