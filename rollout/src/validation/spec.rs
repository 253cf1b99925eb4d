//! `spec`: what does not belong to a strategy, and that there is exactly one strategy.

use sluice_crds::rollout::RolloutSpec;

use super::{Errors, blue_green, canary, selector, template};

pub(super) fn check(spec: &RolloutSpec, errors: &mut Errors) {
    errors.not_negative("spec.replicas", spec.replicas);
    let pods = spec.template.clone().unwrap_or_default();
    if spec.workload_ref.is_some() {
        // A client that is written in Go sends an empty template with every object.
        if !pods.labels().is_empty() || !pods.annotations().is_empty() {
            errors.add(
                "spec.template",
                "Internal error: template must be empty for workload reference rollout",
            );
        }
    } else {
        match &spec.selector {
            None => {
                errors.required(
                    "spec.selector",
                    "Rollout has missing field '.spec.selector'",
                );
            }
            Some(labels) => {
                selector::check(labels, "spec.selector", errors);
                if selector::is_empty(labels) {
                    errors.invalid(
                        "spec.selector",
                        labels,
                        "empty selector is invalid for deployment",
                    );
                }
            }
        }
        template::check(&pods, spec.selector.as_ref(), errors);
    }
    errors.not_negative("spec.minReadySeconds", spec.min_ready_seconds);
    errors.not_negative("spec.revisionHistoryLimit", spec.revision_history_limit);
    let deadline = spec.progress_deadline_seconds();
    errors.not_negative("spec.progressDeadlineSeconds", Some(deadline));
    if deadline <= spec.min_ready_seconds() {
        errors.invalid(
            "spec.progressDeadlineSeconds",
            deadline,
            "must be greater than minReadySeconds",
        );
    }
    if let Some(limits) = &spec.analysis {
        errors.not_negative(
            "spec.analysis.successfulRunHistoryLimit",
            limits.successful_run_history_limit,
        );
        errors.not_negative(
            "spec.analysis.unsuccessfulRunHistoryLimit",
            limits.unsuccessful_run_history_limit,
        );
    }
    if let Some(window) = &spec.rollback_window {
        errors.not_negative("spec.rollbackWindow.revisions", window.revisions);
    }
    match (spec.blue_green(), spec.canary()) {
        (None, None) => errors.required(
            "spec.strategy",
            "Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'",
        ),
        (Some(_), Some(_)) => errors.invalid(
            "spec.strategy",
            "blueGreen: true canary: true",
            "Multiple Strategies can not be listed",
        ),
        (Some(strategy), None) => blue_green::check(spec, strategy, errors),
        (None, Some(strategy)) => canary::check(strategy, errors),
    }
}
