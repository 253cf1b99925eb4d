//! `spec.strategy.canary`, apart from its steps.

use serde_json::Value;
use sluice_crds::IntOrString;
use sluice_crds::rollout::canary::{PingPong, ReplicaProgressThreshold};
use sluice_crds::rollout::{CanaryStrategy, RolloutSpec, TrafficRouting};

use super::{Errors, blue_green, steps};

pub(super) const FIELD: &str = "spec.strategy.canary";

pub(super) fn check(spec: &RolloutSpec, canary: &CanaryStrategy, errors: &mut Errors) {
    surge(canary, errors);
    services(canary, errors);
    match &canary.traffic_routing {
        None => only_with_routing(canary, errors),
        Some(routing) => with_routing(canary, routing, errors),
    }
    for (name, seconds) in [
        ("scaleDownDelaySeconds", canary.scale_down_delay_seconds),
        (
            "scaleDownDelayRevisionLimit",
            canary.scale_down_delay_revision_limit,
        ),
        (
            "abortScaleDownDelaySeconds",
            canary.abort_scale_down_delay_seconds,
        ),
        ("minPodsPerReplicaSet", canary.min_pods_per_replica_set),
    ] {
        errors.not_negative(&format!("{FIELD}.{name}"), seconds);
    }
    if let Some(analysis) = &canary.analysis {
        errors.not_negative(
            &format!("{FIELD}.analysis.startingStep"),
            analysis.starting_step,
        );
        steps::arguments(
            analysis.analysis.args.as_deref().unwrap_or_default(),
            &format!("{FIELD}.analysis.args"),
            errors,
        );
    }
    for (name, metadata) in [
        ("canaryMetadata", canary.canary_metadata.as_ref()),
        ("stableMetadata", canary.stable_metadata.as_ref()),
    ] {
        blue_green::role_metadata(spec, metadata, &format!("{FIELD}.{name}"), errors);
    }
    if let Some(threshold) = &canary.replica_progress_threshold {
        progress_threshold(threshold, errors);
    }
    steps::check(canary, errors);
    blue_green::anti_affinity(
        canary.anti_affinity.as_ref(),
        &format!("{FIELD}.antiAffinity"),
        errors,
    );
}

fn progress_threshold(threshold: &ReplicaProgressThreshold, errors: &mut Errors) {
    let field = format!("{FIELD}.replicaProgressThreshold");
    let most = match threshold.kind.as_deref() {
        Some("Percent") => 100,
        Some("Pods") => i32::MAX,
        other => {
            let kind = other.unwrap_or_default();
            return errors.not_supported(format!("{field}.type"), kind, &["Percent", "Pods"]);
        }
    };
    let value = threshold.value.unwrap_or(0);
    if !(1..=most).contains(&value) {
        errors.invalid(
            format!("{field}.value"),
            value,
            "must be 1 or more, and for type Percent 100 or less",
        );
    }
}

fn surge(canary: &CanaryStrategy, errors: &mut Errors) {
    let mut amounts = [25, 25];
    for ((name, value), amount) in [
        ("maxSurge", &canary.max_surge),
        ("maxUnavailable", &canary.max_unavailable),
    ]
    .into_iter()
    .zip(&mut amounts)
    {
        if let Some(value) = value
            && let Some(number) = self::amount(value, &format!("{FIELD}.{name}"), errors)
        {
            *amount = number;
        }
    }
    if amounts == [0, 0] {
        errors.invalid(
            format!("{FIELD}.maxSurge"),
            &canary.max_surge,
            "MaxSurge and MaxUnavailable both can not be zero",
        );
    }
}

/// Checks a number of pods or a percentage; gives the number.
pub(super) fn amount(value: &IntOrString, field: &str, errors: &mut Errors) -> Option<i32> {
    let number = number(value).filter(|number| *number >= 0);
    if number.is_none() {
        errors.invalid(
            field,
            value,
            "must be a whole number (2) or a percentage (\"25%\"), and not negative",
        );
    }
    number
}

/// The number before the percent sign, if there is one.
fn number(value: &IntOrString) -> Option<i32> {
    match value {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => text.strip_suffix('%').unwrap_or(text).parse().ok(),
    }
}

fn services(canary: &CanaryStrategy, errors: &mut Errors) {
    let stable = text(&canary.stable_service);
    if !stable.is_empty() && stable == text(&canary.canary_service) {
        errors.invalid(
            format!("{FIELD}.stableService"),
            stable,
            "This rollout uses the same service for the stable and canary services, but two different services are \
             required.",
        );
    }
    if let Some(pair) = &canary.ping_pong {
        ping_pong(pair, canary.traffic_routing.as_ref(), errors);
    }
    if canary
        .traffic_routing
        .as_ref()
        .is_some_and(|routing| needs_services(canary, routing))
    {
        for (name, service) in [
            ("stableService", stable),
            ("canaryService", text(&canary.canary_service)),
        ] {
            if service.is_empty() {
                errors.invalid(
                    format!("{FIELD}.{name}"),
                    service,
                    "Canary service and Stable service must to be set to use Traffic Routing",
                );
            }
        }
    }
}

/// Whether the routers split between `canaryService` and `stableService`.
fn needs_services(canary: &CanaryStrategy, routing: &TrafficRouting) -> bool {
    let by_subset = routing
        .istio
        .as_ref()
        .is_some_and(|istio| istio.destination_rule.is_some());
    let paired = canary.ping_pong.is_some();
    (routing.alb.is_some() && !paired)
        || (routing.istio.is_some() && !by_subset && !paired)
        || routing.smi.is_some()
        || routing.apisix.is_some()
        || routing.ambassador.is_some()
        || routing.nginx.is_some()
        || routing.app_mesh.is_some()
        || routing.traefik.is_some()
}

fn ping_pong(pair: &PingPong, routing: Option<&TrafficRouting>, errors: &mut Errors) {
    let has_plugins = |routing: &TrafficRouting| routing.plugins.iter().flatten().next().is_some();
    if routing.is_some_and(|routing| {
        routing.alb.is_none() && routing.istio.is_none() && !has_plugins(routing)
    }) {
        errors.invalid(
            format!("{FIELD}.trafficRouting.alb"),
            Value::Null,
            "Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only",
        );
    }
    let (ping, pong) = (text(&pair.ping_service), text(&pair.pong_service));
    for (name, service) in [("pingService", ping), ("pongService", pong)] {
        if service.is_empty() {
            errors.invalid(
                format!("{FIELD}.pingPong.{name}"),
                service,
                "Ping service and Pong service must to be set to use Ping-Pong feature",
            );
        }
    }
    if ping == pong {
        errors.invalid(
            format!("{FIELD}.pingPong.pingService"),
            ping,
            "This rollout uses the same service for the ping and pong services, but two different services are \
             required.",
        );
    }
    let alb = routing.and_then(|routing| routing.alb.as_ref());
    if alb.is_some_and(|alb| text(&alb.root_service).is_empty()) {
        errors.invalid(
            format!("{FIELD}.trafficRouting.alb.rootService"),
            "",
            "Root service field is required for the configuration with ALB and ping-pong feature enabled",
        );
    }
}

fn only_with_routing(canary: &CanaryStrategy, errors: &mut Errors) {
    if let Some(seconds) = canary.scale_down_delay_seconds {
        errors.invalid(
            format!("{FIELD}.scaleDownDelaySeconds"),
            seconds,
            "Canary scaleDownDelaySeconds can only be used with traffic routing",
        );
    }
    if canary.dynamic_stable_scale == Some(true) {
        errors.invalid(
            format!("{FIELD}.dynamicStableScale"),
            true,
            "Canary dynamicStableScale can only be used with traffic routing",
        );
    }
}

fn with_routing(canary: &CanaryStrategy, routing: &TrafficRouting, errors: &mut Errors) {
    if canary.scale_down_delay_seconds.is_some() && canary.dynamic_stable_scale == Some(true) {
        errors.invalid(
            format!("{FIELD}.dynamicStableScale"),
            true,
            "Canary dynamicStableScale cannot be used with scaleDownDelaySeconds",
        );
    }
    if let Some(max) = routing.max_traffic_weight
        && routing.nginx.is_none()
        && routing.plugins.iter().flatten().next().is_none()
    {
        errors.invalid(
            format!("{FIELD}.trafficRouting.maxTrafficWeight"),
            max,
            "Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins",
        );
    }
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}
