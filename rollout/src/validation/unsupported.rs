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
    if let Some(canary) = spec.canary() {
        steps(canary, &mut refuse);
    }
}

fn steps(canary: &CanaryStrategy, refuse: &mut impl FnMut(&str, bool, &str)) {
    for (index, step) in canary.steps().iter().enumerate() {
        for (key, set, instead) in [
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
        ] {
            refuse(&format!("{FIELD}.steps[{index}].{key}"), set, instead);
        }
    }
}
