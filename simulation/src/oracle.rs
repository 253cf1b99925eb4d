//! Judges: what must hold after every write, and what must hold once faults have stopped.

use serde_json::Value;
use sluice_crds::names;
use sluice_crds::rollout::{BlueGreenStrategy, Rollout, RolloutStatus};
use sluice_rollout::{Effect, Pod};

use crate::controller::Write;
use crate::store::{Key, Store, text};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Name of the promise.
    pub promise: &'static str,
    /// What was seen.
    pub seen: String,
}

/// Remembers what it needs of the state before a write.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    weights: std::collections::BTreeMap<Key, i64>,
}

impl Oracle {
    /// Judges the state after one write of the controller.
    pub fn after(&mut self, store: &Store, write: &Write) -> Option<Broken> {
        for object in store.list("Rollout") {
            let Ok(rollout) = serde_json::from_value::<Rollout>(object.clone()) else {
                continue;
            };
            if let Some(broken) = self.rollout(store, &Key::of(object), &rollout, write) {
                return Some(broken);
            }
        }
        None
    }

    fn rollout(
        &mut self,
        store: &Store,
        key: &Key,
        rollout: &Rollout,
        write: &Write,
    ) -> Option<Broken> {
        if let Some(broken) = workload(store, key, rollout, write) {
            return Some(broken);
        }
        if let Some(strategy) = rollout.spec.blue_green() {
            return blue_green(store, key, rollout, strategy, write);
        }
        let canary = rollout.spec.canary()?;
        let status = rollout.status.clone().unwrap_or_default();
        let broken = |promise, seen: String| Some(Broken { promise, seen });
        let (canary_service, stable_service) = sides(rollout)?;
        let (canary_weight, stable_weight) =
            weights(store, rollout, canary_service, stable_service)?;
        let max = i64::from(canary.max_weight());
        if canary_weight + stable_weight != max {
            return broken(
                "weights sum to the maximum",
                format!("{canary_weight} + {stable_weight} ≠ {max}"),
            );
        }
        // By Service, since a pair may swap roles.
        let side = Key::new("Service", &key.namespace, canary_service);
        let before = self.weights.insert(side, canary_weight).unwrap_or(0);
        let raised = canary_weight > before;
        // An abort that was ordered before the present template was looked at belongs to the one before.
        let moves = matches!(
            write,
            Write::Effect {
                effect: Effect::SetTraffic(split),
                aborted: true,
                ..
            } if split.canary_hash == status.current_pod_hash
        );
        if raised && moves && status.aborted() {
            return broken(
                "an abort never raises the canary",
                format!("weight {before} → {canary_weight} while status.abort is true"),
            );
        }
        // Only the write that takes pods away is judged: the traffic may still be on its way to a set that a person has
        // just asked for again.
        let scaled_away = matches!(
            write,
            Write::Effect {
                effect: Effect::ScaleReplicaSet { to: 0, .. },
                replicas: 1..,
                ..
            }
        );
        if !scaled_away || rollout.spec.replicas() == 0 {
            return None;
        }
        for (weight, service) in [
            (canary_weight, canary_service),
            (stable_weight, stable_service),
        ] {
            if weight == 0 {
                continue;
            }
            let Some(set) = selected(store, key, service) else {
                continue;
            };
            if set.pointer("/spec/replicas").and_then(Value::as_i64) == Some(0) {
                return broken(
                    "nothing that gets traffic is scaled away",
                    format!(
                        "{service} has weight {weight} and selects {}, which is scaled to 0, after {write:?}",
                        text(set, "/metadata/name")
                    ),
                );
            }
        }
        None
    }

    /// Judges the state in which nothing happens any more.
    #[must_use]
    pub fn at_rest(&self, store: &Store, pods: &[Pod]) -> Option<Broken> {
        for object in store.list("Rollout") {
            let Ok(rollout) = serde_json::from_value::<Rollout>(object.clone()) else {
                continue;
            };
            let status = rollout.status.clone().unwrap_or_default();
            let phase = status.phase.clone().unwrap_or_default();
            let broken = |promise, seen| Some(Broken { promise, seen });
            let message = status.message.clone().unwrap_or_default();
            if !matches!(phase.as_str(), "Healthy" | "Paused" | "Degraded") {
                return broken(
                    "a run comes to rest in a final phase",
                    format!("{phase}: {message}"),
                );
            }
            let generation = rollout.metadata.generation.unwrap_or(0).to_string();
            if status.observed_generation.as_deref() != Some(generation.as_str()) {
                let seen = format!("{:?}, generation {generation}", status.observed_generation);
                return broken("the last spec was observed", seen);
            }
            if phase == "Degraded"
                && !status.aborted()
                && !message.contains("ProgressDeadlineExceeded")
            {
                return broken("a Rollout is Degraded only for a reason", message);
            }
            let restart_at = rollout.spec.restart_at.clone();
            let stable = rollout
                .spec
                .canary()
                .and_then(|it| it.stable_metadata.as_ref());
            let active = rollout.spec.blue_green();
            let role = stable.or_else(|| active?.active_metadata.as_ref());
            let wanted = role.and_then(|role| role.labels.as_ref()?.get("role"));
            let other = pods.iter().find(|pod| pod.labels.get("role") != wanted);
            if let Some(pod) = other.filter(|_| phase == "Healthy") {
                return broken(
                    "at rest every pod has the metadata of its role",
                    format!("{}: {:?}, not {wanted:?}", pod.name, pod.labels),
                );
            }
            if phase == "Healthy" && restart_at != status.restarted_at {
                return broken(
                    "at rest every restart is done",
                    format!("{restart_at:?} ≠ {:?}", status.restarted_at),
                );
            }
            if phase == "Healthy" {
                let pods: i64 = store
                    .list("ReplicaSet")
                    .filter(|set| owned(set, &rollout))
                    .filter_map(|set| set.pointer("/spec/replicas")?.as_i64())
                    .sum();
                if pods != i64::from(rollout.spec.replicas()) {
                    let wanted = rollout.spec.replicas();
                    return broken(
                        "a healthy Rollout has the pods that it wants",
                        format!("{pods} ≠ {wanted}"),
                    );
                }
            }
            if let Some(strategy) = rollout.spec.blue_green() {
                let key = Key::of(object);
                let active = strategy.active_service.as_deref().unwrap_or_default();
                let set = selected(store, &key, active);
                let hash = set.map(|set| hash_of(set).to_owned());
                let settled = phase == "Healthy" || status.aborted();
                if settled && hash != status.stable_rs {
                    return broken(
                        "at rest the active Service selects the stable revision",
                        format!("{hash:?} ≠ {:?}", status.stable_rs),
                    );
                }
            }
            if let Some((canary_service, stable_service)) = sides(&rollout) {
                let now = weights(store, &rollout, canary_service, stable_service);
                let settled = phase == "Healthy" || status.aborted();
                if let Some((weight, _)) = now.filter(|(weight, _)| settled && *weight != 0) {
                    return broken(
                        "at rest all traffic is on the stable side",
                        format!("canary {weight}"),
                    );
                }
            }
        }
        None
    }
}

/// What a Deployment has left, and the pods that the Rollout asks for, are as many as are wanted.
fn workload(store: &Store, key: &Key, rollout: &Rollout, write: &Write) -> Option<Broken> {
    let Write::Effect {
        effect: Effect::ScaleWorkload { name, to, .. },
        replicas,
        ..
    } = write
    else {
        return None;
    };
    let wanted = i64::from((*replicas).min(rollout.spec.replicas()));
    let pods: i64 = store
        .list("ReplicaSet")
        .filter(|set| owned(set, rollout))
        .filter_map(|set| set.pointer("/spec/replicas")?.as_i64())
        .sum();
    let seen = format!("{key}: {name} has {to} pods left beside {pods} of {wanted}");
    (pods + i64::from(*to) < wanted).then_some(Broken {
        promise: "a workload that is taken over makes no more room than is taken",
        seen,
    })
}

/// The Services of the canary and the stable side, as the status says.
fn sides(rollout: &Rollout) -> Option<(&str, &str)> {
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

/// The promises of a blue-green: what the active Service selects has pods, and a revision that is not stable yet has all
/// of them when it is switched to.
fn blue_green(
    store: &Store,
    key: &Key,
    rollout: &Rollout,
    strategy: &BlueGreenStrategy,
    write: &Write,
) -> Option<Broken> {
    let Write::Effect {
        effect,
        aborted,
        replicas: replicas @ 1..,
    } = write
    else {
        return None;
    };
    let active = strategy.active_service.as_deref()?;
    let set = selected(store, key, active)?;
    let pods = set.pointer("/spec/replicas").and_then(Value::as_i64)?;
    let broken = |promise| {
        let name = text(set, "/metadata/name");
        let seen =
            format!("{active} selects {name} with {pods} of {replicas} pods after {write:?}");
        Some(Broken { promise, seen })
    };
    let switches = matches!(effect, Effect::SelectPods { service, .. } if service == active);
    let takes_away = matches!(effect, Effect::ScaleReplicaSet { to: 0, .. });
    if (switches || takes_away) && pods == 0 && rollout.spec.replicas() > 0 {
        return broken("the active Service never selects what is scaled away");
    }
    let status = rollout.status.as_ref();
    let stable = status.and_then(|status| status.stable_rs.as_deref());
    if switches && stable.is_some_and(|stable| stable != hash_of(set)) {
        if *aborted && status.is_some_and(RolloutStatus::aborted) {
            return broken("an update that is given up is not switched to");
        }
        if pods < i64::from(*replicas) {
            return broken("a new revision is whole when it is switched to");
        }
    }
    None
}

fn hash_of(set: &Value) -> &str {
    let labels = set.pointer("/metadata/labels");
    labels
        .and_then(|labels| labels.get(names::POD_TEMPLATE_HASH))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn owned(object: &Value, rollout: &Rollout) -> bool {
    Some(text(object, "/metadata/ownerReferences/0/uid")) == rollout.metadata.uid.as_deref()
}

/// Weights of both backends in the HTTPRoute that the Rollout drives; `None` without one.
fn weights(store: &Store, rollout: &Rollout, canary: &str, stable: &str) -> Option<(i64, i64)> {
    let object = sluice_traffic::referenced(rollout)
        .ok()?
        .into_iter()
        .next()?
        .object;
    let route = store.get(&Key::new(&object.kind, &object.namespace, &object.name))?;
    let backends = route.pointer("/spec/rules/0/backendRefs")?.as_array()?;
    let weight = |service: &str| {
        backends
            .iter()
            .find(|backend| text(backend, "/name") == service)
            .map(|backend| backend.get("weight").and_then(Value::as_i64).unwrap_or(1))
    };
    Some((weight(canary)?, weight(stable)?))
}

/// The ReplicaSet that a Service selects by its hash.
fn selected<'a>(store: &'a Store, rollout: &Key, service: &str) -> Option<&'a Value> {
    let service = store.get(&Key::new("Service", &rollout.namespace, service))?;
    let hash = service
        .pointer("/spec/selector")?
        .get(names::POD_TEMPLATE_HASH)?
        .as_str()?;
    store.get(&Key::new(
        "ReplicaSet",
        &rollout.namespace,
        &format!("{}-{hash}", rollout.name),
    ))
}
