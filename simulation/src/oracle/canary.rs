//! The promises of a canary, on the cluster as it truly is: the router's weights, and who answers behind them.

use serde_json::Value;
use sluice_crds::pointer::text;
use sluice_crds::rollout::Rollout;
use sluice_rollout::Effect;

use super::{Broken, Written, broken, hash_of, replicas_of};
use crate::store::{Key, Object};

pub(super) fn judge(written: &Written<'_>) -> Option<Broken> {
    match written.effect {
        Effect::SetTraffic(split) => traffic(written, split.canary_hash.as_deref()),
        Effect::ScaleReplicaSet { to: 0, .. } if written.replicas > 0 => scaled_away(written),
        Effect::SelectPods { .. } => selected(written),
        _ => None,
    }
}

/// Weights of both backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weights {
    pub(super) canary: i64,
    pub(super) stable: i64,
    /// Of all other backends: those of experiments, as nobody else has any in a fixture.
    others: i64,
}

impl Weights {
    /// The weights in the first rule of a route that has both; `None` without one.
    pub(super) fn of(route: &Object, canary: &str, stable: &str) -> Option<Self> {
        let rules = route.at("/spec/rules")?.as_array()?;
        rules.iter().find_map(|rule| {
            let backends = rule.get("backendRefs")?.as_array()?;
            let weight =
                |backend: &Value| backend.get("weight").and_then(Value::as_i64).unwrap_or(1);
            let of = |service: &str| {
                let backend = backends.iter().find(|it| text(it, "/name") == service)?;
                Some(weight(backend))
            };
            let (canary, stable) = (of(canary)?, of(stable)?);
            let all: i64 = backends.iter().map(weight).sum();
            Some(Self {
                canary,
                stable,
                others: all - canary - stable,
            })
        })
    }
}

/// The Services of the canary and the stable side, as the status says.
pub(super) fn sides(rollout: &Rollout) -> Option<(&str, &str)> {
    let canary = rollout.spec.canary()?;
    let status = rollout.status.as_ref();
    let (canary, stable) = match &canary.ping_pong {
        None => (&canary.canary_service, &canary.stable_service),
        Some(pair) => {
            let state = status.and_then(|status| status.canary.as_ref());
            let stable = state.and_then(|state| state.stable_ping_pong.as_deref());
            if stable == Some("ping") {
                (&pair.pong_service, &pair.ping_service)
            } else {
                (&pair.ping_service, &pair.pong_service)
            }
        }
    };
    canary.as_deref().zip(stable.as_deref())
}

/// The route that a Rollout names first.
pub(super) fn route(rollout: &Rollout) -> Option<Key> {
    let objects = sluice_traffic::referenced(rollout).ok()?;
    let object = objects.into_iter().next()?.object;
    Some(Key::new(&object.kind, &object.namespace, &object.name))
}

fn traffic(written: &Written<'_>, canary_hash: Option<&str>) -> Option<Broken> {
    let (canary, stable) = sides(written.rollout)?;
    let route = route(written.rollout)?;
    let change = written.changes.iter().find(|it| *it.key == route)?;
    let after = Weights::of(change.after.as_ref()?, canary, stable)?;
    let max = i64::from(written.rollout.spec.canary()?.max_weight());
    if after.canary + after.stable + after.others != max {
        let seen = format!(
            "{} + {} + {} ≠ {max}",
            after.canary, after.stable, after.others
        );
        return broken("weights sum to the maximum", seen);
    }
    let before = Weights::of(change.before.as_ref()?, canary, stable)?;
    let status = written.rollout.status.as_ref()?;
    // An abort that was ordered before the present template was looked at belongs to the one before, and a full promotion
    // replaces it.
    let holds = status.aborted()
        && written.aborted
        && !status.promoting_fully()
        && canary_hash == status.current_pod_hash.as_deref();
    if holds && after.canary > before.canary {
        let seen = format!(
            "weight {} → {} while status.abort is true",
            before.canary, after.canary
        );
        return broken("an abort never raises the canary", seen);
    }
    None
}

/// Only the write that takes pods away is judged: the traffic may still be on its way to a set that a person has just
/// asked for again.
fn scaled_away(written: &Written<'_>) -> Option<Broken> {
    let change = written
        .changes
        .iter()
        .find(|it| it.key.kind == "ReplicaSet")?;
    let had_pods = change
        .before
        .as_ref()
        .is_some_and(|set| replicas_of(set) > 0);
    if !had_pods || written.rollout.spec.replicas() == 0 {
        return None;
    }
    let (canary, stable) = sides(written.rollout)?;
    let route = written.store.object(&route(written.rollout)?)?;
    let weights = Weights::of(route, canary, stable)?;
    for (weight, service) in [(weights.canary, canary), (weights.stable, stable)] {
        let Some(set) = written.selected(service).filter(|_| weight > 0) else {
            continue;
        };
        if set.key == change.key && replicas_of(set) == 0 {
            return broken(
                "nothing that gets traffic is scaled away",
                format!("{service} has weight {weight} and selects {}", set.key.name),
            );
        }
    }
    None
}

/// A Service that carries all traffic is not pointed at a revision without pods.
fn selected(written: &Written<'_>) -> Option<Broken> {
    let Effect::SelectPods { service, hash, .. } = written.effect else {
        return None;
    };
    let (canary, stable) = sides(written.rollout)?;
    let route = written.store.object(&route(written.rollout)?)?;
    let weights = Weights::of(route, canary, stable)?;
    let weight = if service == stable {
        weights.stable
    } else if service == canary {
        weights.canary
    } else {
        return None;
    };
    let set = written.selected(service)?;
    let is = hash.as_deref() == Some(hash_of(set));
    if is && weight > 0 && replicas_of(set) == 0 && written.rollout.spec.replicas() > 0 {
        let change = written.changes.iter().find(|it| it.key.name == *service)?;
        let before = change.before.as_ref()?.service()?.hash()?.to_owned();
        let key = Key::new(
            "ReplicaSet",
            &written.key.namespace,
            &format!("{}-{before}", written.key.name),
        );
        // From nothing to nothing is no loss.
        let lost = written
            .store
            .object(&key)
            .is_some_and(|set| replicas_of(set) > 0);
        if lost {
            return broken(
                "traffic is not sent to a revision without pods",
                format!(
                    "{service} has weight {weight} and now selects {}",
                    set.key.name
                ),
            );
        }
    }
    None
}
