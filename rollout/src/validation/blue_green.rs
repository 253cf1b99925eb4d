//! `spec.strategy.blueGreen`.

use sluice_crds::rollout::canary::RolloutAnalysis;
use sluice_crds::rollout::{AntiAffinity, BlueGreenStrategy, PodTemplateMetadata, RolloutSpec};

use super::{Errors, canary, steps};

pub(super) const FIELD: &str = "spec.strategy.blueGreen";

pub(super) fn check(spec: &RolloutSpec, strategy: &BlueGreenStrategy, errors: &mut Errors) {
    let active = strategy.active_service.as_deref().unwrap_or_default();
    let preview = strategy.preview_service.as_deref().unwrap_or_default();
    if active == preview {
        errors.invalid(
            format!("{FIELD}.activeService"),
            active,
            "This rollout uses the same service for the active and preview services, but two different services \
             are required.",
        );
    } else if active.is_empty() {
        errors.required(
            format!("{FIELD}.activeService"),
            "the Service that carries production traffic",
        );
    }
    for (name, number) in [
        ("previewReplicaCount", strategy.preview_replica_count),
        ("autoPromotionSeconds", strategy.auto_promotion_seconds),
        ("scaleDownDelaySeconds", strategy.scale_down_delay_seconds),
        (
            "scaleDownDelayRevisionLimit",
            strategy.scale_down_delay_revision_limit,
        ),
        (
            "abortScaleDownDelaySeconds",
            strategy.abort_scale_down_delay_seconds,
        ),
    ] {
        errors.not_negative(&format!("{FIELD}.{name}"), number);
    }
    if let Some(amount) = &strategy.max_unavailable {
        canary::amount(amount, &format!("{FIELD}.maxUnavailable"), errors);
    }
    for (name, analysis) in analyses(strategy) {
        steps::arguments(
            analysis.args.as_deref().unwrap_or_default(),
            &format!("{FIELD}.{name}.args"),
            errors,
        );
    }
    if let Some(limit) = strategy.scale_down_delay_revision_limit
        && spec.revision_history_limit() < limit
    {
        errors.invalid(
            format!("{FIELD}.scaleDownDelayRevisionLimit"),
            limit,
            "This rollout's revision history limit can not be smaller than the rollout's scale down limit",
        );
    }
    for (name, metadata) in [
        ("activeMetadata", strategy.active_metadata.as_ref()),
        ("previewMetadata", strategy.preview_metadata.as_ref()),
    ] {
        role_metadata(spec, metadata, &format!("{FIELD}.{name}"), errors);
    }
    anti_affinity(
        strategy.anti_affinity.as_ref(),
        &format!("{FIELD}.antiAffinity"),
        errors,
    );
}

/// The analyses of a blue-green, by field.
pub(super) fn analyses(
    strategy: &BlueGreenStrategy,
) -> impl Iterator<Item = (&'static str, &RolloutAnalysis)> {
    let both = [
        (
            "prePromotionAnalysis",
            strategy.pre_promotion_analysis.as_ref(),
        ),
        (
            "postPromotionAnalysis",
            strategy.post_promotion_analysis.as_ref(),
        ),
    ];
    both.into_iter()
        .filter_map(|(name, analysis)| Some((name, analysis?)))
}

/// Metadata of a role: a label by which pods are selected cannot change with the role.
pub(super) fn role_metadata(
    spec: &RolloutSpec,
    metadata: Option<&PodTemplateMetadata>,
    field: &str,
    errors: &mut Errors,
) {
    let selector = spec.selector.as_ref();
    let mut selected = selector
        .and_then(|selector| selector.match_labels.clone())
        .unwrap_or_default();
    let expressions = selector.and_then(|selector| selector.match_expressions.as_ref());
    selected.extend(
        expressions
            .into_iter()
            .flatten()
            .map(|expression| (expression.key.clone(), String::new())),
    );
    let key = metadata.and_then(|metadata| crate::metadata::selected(metadata, &selected));
    if let Some(key) = key {
        errors.invalid(
            format!("{field}.labels"),
            key,
            "is a label of spec.selector, by which the pods are found: it cannot change with the role",
        );
    }
}

/// `antiAffinity` of either strategy.
pub(super) fn anti_affinity(
    anti_affinity: Option<&AntiAffinity>,
    field: &str,
    errors: &mut Errors,
) {
    let Some(anti_affinity) = anti_affinity else {
        return;
    };
    let preferred = &anti_affinity.preferred_during_scheduling_ignored_during_execution;
    let required = &anti_affinity.required_during_scheduling_ignored_during_execution;
    if preferred.is_some() == required.is_some() {
        let value = format!(
            "antiAffinity.PreferredDuringSchedulingIgnoredDuringExecution: {} \
             antiAffinity.RequiredDuringSchedulingIgnoredDuringExecution: {}",
            preferred.is_some(),
            required.is_some()
        );
        errors.invalid(
            field,
            value,
            "AntiAffinity must have exactly one strategy listed",
        );
    }
    if let Some(preferred) = preferred
        && !(1..=100).contains(&preferred.weight)
    {
        errors.invalid(
            format!("{field}.weight"),
            preferred.weight,
            "AntiAffinity weight must be between 1-100",
        );
    }
}
