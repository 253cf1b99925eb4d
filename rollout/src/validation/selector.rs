//! The label selector of the pods.

use std::collections::BTreeMap;

use sluice_crds::LabelSelector;

use super::{Errors, names};

/// Checks the syntax of a selector.
pub(super) fn check(selector: &LabelSelector, field: &str, errors: &mut Errors) {
    for (key, value) in selector.match_labels.iter().flatten() {
        let field = format!("{field}.matchLabels");
        check_label(key, value, &field, errors);
    }
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        let values = requirement.values.as_deref().unwrap_or_default();
        match requirement.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => errors.required(
                format!("{field}.values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
                format!("{field}.values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.invalid(
                    format!("{field}.operator"),
                    other,
                    "not a valid selector operator",
                );
            }
        }
        for why in names::qualified_name(&requirement.key) {
            errors.invalid(format!("{field}.key"), &requirement.key, why);
        }
        for (position, value) in values.iter().enumerate() {
            for why in names::label_value(value) {
                errors.invalid(format!("{field}.values[{position}]"), value, why);
            }
        }
    }
}

/// Checks one label.
pub(super) fn check_label(key: &str, value: &str, field: &str, errors: &mut Errors) {
    for why in names::qualified_name(key) {
        errors.invalid(field, key, why);
    }
    for why in names::label_value(value) {
        errors.invalid(field, value, why);
    }
}

/// Whether the selector selects nothing in particular.
pub(super) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.iter().flatten().next().is_none()
        && selector.match_expressions.iter().flatten().next().is_none()
}

/// Whether a set of labels is selected. An operator that does not exist selects nothing.
pub(super) fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let by_labels = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    let by_expressions = selector
        .match_expressions
        .iter()
        .flatten()
        .all(|requirement| {
            let value = labels.get(&requirement.key);
            let listed = value
                .is_some_and(|value| requirement.values.iter().flatten().any(|one| one == value));
            match requirement.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        });
    by_labels && by_expressions
}
