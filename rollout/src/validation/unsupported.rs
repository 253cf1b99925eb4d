//! Fields of the API that this build does not carry out. None is ignored: each is refused by name, with what to do.
//!
//! Routers are refused by `sluice-traffic`, which knows which ones it drives; its errors arrive in `World::traffic`.

use sluice_crds::rollout::{CanaryStrategy, RolloutSpec};

use super::Errors;
use super::canary::FIELD;

pub(super) fn check(spec: &RolloutSpec, errors: &mut Errors) {
    let mut refuse = |field: &str, set: bool, instead: &str| {
        if set {
            errors.forbidden(
                field,
                &format!("this build of Sluice does not carry it out: {instead}"),
            );
        }
    };
    refuse(
        "spec.workloadRef",
        spec.workload_ref.is_some(),
        "copy the workload's selector and template into the Rollout",
    );
    refuse(
        "spec.restartAt",
        spec.restart_at.is_some(),
        "change an annotation of spec.template to replace the pods, as a canary",
    );
    refuse(
        "spec.strategy.blueGreen",
        spec.blue_green().is_some(),
        "use spec.strategy.canary; with trafficRouting, the steps [setWeight: 0, pause: {}, setWeight: 100] come close",
    );
    if let Some(canary) = spec.canary() {
        strategy(canary, &mut refuse);
        steps(canary, &mut refuse);
    }
}

fn strategy(canary: &CanaryStrategy, refuse: &mut impl FnMut(&str, bool, &str)) {
    for (name, set, instead) in [
        (
            "canaryMetadata",
            canary.canary_metadata.is_some(),
            "put the metadata into spec.template",
        ),
        (
            "stableMetadata",
            canary.stable_metadata.is_some(),
            "put the metadata into spec.template",
        ),
        (
            "antiAffinity",
            canary.anti_affinity.is_some(),
            "put a podAntiAffinity or a topologySpreadConstraint into spec.template",
        ),
        (
            "pingPong",
            canary.ping_pong.is_some(),
            "use canaryService and stableService",
        ),
        (
            "replicaProgressThreshold",
            canary.replica_progress_threshold.is_some(),
            "remove it; a step then waits for all pods of its size",
        ),
    ] {
        refuse(&format!("{FIELD}.{name}"), set, instead);
    }
}

fn steps(canary: &CanaryStrategy, refuse: &mut impl FnMut(&str, bool, &str)) {
    for (index, step) in canary.steps().iter().enumerate() {
        for (key, set, instead) in [
            (
                "setCanaryScale",
                step.set_canary_scale.is_some(),
                "remove the step; the canary has the size of its weight",
            ),
            (
                "setHeaderRoute",
                step.set_header_route.is_some(),
                "remove the step",
            ),
            (
                "setMirrorRoute",
                step.set_mirror_route.is_some(),
                "remove the step",
            ),
            (
                "plugin",
                step.plugin.is_some(),
                "use an analysis step, with a job or web metric",
            ),
        ] {
            refuse(&format!("{FIELD}.steps[{index}].{key}"), set, instead);
        }
    }
}
