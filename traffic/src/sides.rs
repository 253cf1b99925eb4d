//! The names of the two Services that a Rollout's routers split between.

use sluice_crds::rollout::Rollout;

/// The two Services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sides {
    /// Service of the canary side.
    pub(crate) canary: String,
    /// Service of the stable side.
    pub(crate) stable: String,
}

/// The Services of a canary Rollout; with `pingPong` the role of each follows `status.canary.stablePingPong`.
/// `None` when the Rollout does not name both.
pub(crate) fn of(rollout: &Rollout) -> Option<Sides> {
    let canary = rollout.spec.canary()?;
    let name = |service: &Option<String>| service.clone().filter(|name| !name.is_empty());
    match &canary.ping_pong {
        None => Some(Sides {
            canary: name(&canary.canary_service)?,
            stable: name(&canary.stable_service)?,
        }),
        Some(pair) => {
            let (ping, pong) = (name(&pair.ping_service)?, name(&pair.pong_service)?);
            let ping_is_stable = rollout
                .status
                .as_ref()
                .and_then(|status| status.canary.as_ref())
                .and_then(|canary| canary.stable_ping_pong.as_deref())
                == Some("ping");
            Some(if ping_is_stable {
                Sides {
                    canary: pong,
                    stable: ping,
                }
            } else {
                Sides {
                    canary: ping,
                    stable: pong,
                }
            })
        }
    }
}

/// Every Service whose selector the Rollout drives, whatever its strategy and role.
pub(crate) fn services(rollout: &Rollout) -> Vec<&str> {
    let mut names: Vec<&Option<String>> = Vec::new();
    if let Some(canary) = rollout.spec.canary() {
        names.extend([&canary.canary_service, &canary.stable_service]);
        if let Some(pair) = &canary.ping_pong {
            names.extend([&pair.ping_service, &pair.pong_service]);
        }
    }
    if let Some(blue_green) = rollout.spec.blue_green() {
        names.extend([&blue_green.active_service, &blue_green.preview_service]);
    }
    names
        .into_iter()
        .filter_map(Option::as_deref)
        .filter(|name| !name.is_empty())
        .collect()
}
