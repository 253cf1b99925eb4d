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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sluice_crds::decode::decode;

    use super::{of, services};

    fn names(status: Value) -> (String, String) {
        let rollout = decode(&json!({
            "spec": {"strategy": {"canary": {
                "pingPong": {"pingService": "ping", "pongService": "pong"},
            }}},
            "metadata": {"name": "web"},
            "status": status,
        }));
        let sides = of(&rollout.expect("a Rollout")).expect("both Services");
        (sides.canary, sides.stable)
    }

    #[test]
    fn with_ping_pong_the_status_says_which_service_is_stable() {
        let pair = |canary: &str, stable: &str| (canary.to_owned(), stable.to_owned());
        let ping = json!({"canary": {"stablePingPong": "ping"}});
        let pong = json!({"canary": {"stablePingPong": "pong"}});
        assert_eq!(names(ping), pair("pong", "ping"));
        assert_eq!(names(pong), pair("ping", "pong"));
        assert_eq!(
            names(json!({})),
            pair("ping", "pong"),
            "before the first promotion"
        );
    }

    #[test]
    fn empty_names_do_not_count() {
        let rollout = decode(&json!({
            "metadata": {"name": "web"},
            "spec": {"strategy": {"canary": {"canaryService": "", "stableService": "a"}}},
        }))
        .expect("a Rollout");
        assert_eq!(of(&rollout), None);
        assert_eq!(services(&rollout), ["a"]);
    }
}
