//! `spec`: what does not belong to a strategy, and that there is exactly one strategy.

use sluice_crds::rollout::{RolloutSpec, WorkloadRef};

use super::{Errors, NO_TEMPLATE, blue_green, canary, selector, template};
use crate::workload::{KINDS, SCALE_DOWN};

pub(super) fn check(spec: &RolloutSpec, errors: &mut Errors) {
    errors.not_negative("spec.replicas", spec.replicas);
    let pods = spec.template.as_ref().unwrap_or(&NO_TEMPLATE);
    if let Some(reference) = &spec.workload_ref {
        workload(reference, errors);
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
        template::check(pods, spec.selector.as_ref(), errors);
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
        (None, Some(strategy)) => canary::check(spec, strategy, errors),
    }
}

/// What a reference to a workload must say. Whether the workload is there, and what its template holds, is looked at with
/// everything else that the Rollout refers to.
fn workload(reference: &WorkloadRef, errors: &mut Errors) {
    let kind = reference.kind.as_deref().unwrap_or_default();
    if !KINDS.contains(&kind) {
        errors.not_supported("spec.workloadRef.kind", kind, &KINDS);
    }
    if reference.name.as_deref().is_none_or(str::is_empty) {
        errors.required("spec.workloadRef.name", "the name of the workload");
    }
    if let Some(mode) = reference
        .scale_down
        .as_deref()
        .filter(|mode| !mode.is_empty())
    {
        if !SCALE_DOWN.contains(&mode) {
            errors.not_supported("spec.workloadRef.scaleDown", mode, &SCALE_DOWN);
        } else if mode != "never" && kind != "Deployment" {
            errors.invalid(
                "spec.workloadRef.scaleDown",
                mode,
                "only a Deployment can be scaled down",
            );
        }
    }
}
