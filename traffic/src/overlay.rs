//! The agreement between the two loops: what a Rollout drives is never drift.
//!
//! The sync loop compares and applies what Git says. Before it does, [`overlay_controlled`] copies into the desired
//! object exactly those values of the live one that a Rollout drives. Everything else still comes from Git, so a
//! change of a filter or of another backend is applied in the middle of a canary too.
//!
//! In lists where other backends have weight, the Rollout drives how the pair of backends splits their sum; the sum
//! itself, which is their share against the others, is Git's.

use serde_json::{Map, Value};
use sluice_crds::names::{
    EXPERIMENT_BACKENDS, MANAGED_BY_ROLLOUTS, MANAGED_ROUTES, POD_TEMPLATE_HASH,
};
use sluice_crds::rollout::Rollout;

use crate::gateway_api::Route;
use crate::object::{at, list, text};
use crate::service;
use crate::sides::{self, Sides};
use crate::spec::{self, Router, namespace};
use crate::traefik::{self, WeightedService};
use crate::weights::Pair;

/// Copies from `live` into `target`, the desired state of the same object, the values that one of `rollouts` drives:
/// weights of its two backends, its mark on routes and TraefikServices, its header and mirror rules, its backends for
/// experiments; the pod-template hash in the selector and
/// the managed-by annotation of its Services. Nothing else. Values that the live object does not have are not copied.
pub fn overlay_controlled(target: &mut Value, live: &Value, rollouts: &[&Rollout]) {
    for rollout in rollouts {
        if drives_service(rollout, live) {
            copy(target, live, &["spec", "selector"], POD_TEMPLATE_HASH);
            copy(
                target,
                live,
                &["metadata", "annotations"],
                MANAGED_BY_ROLLOUTS,
            );
        }
        let Some(sides) = sides::of(rollout) else {
            continue;
        };
        for router in spec::read(rollout).routers {
            match router {
                Router::Gateway(route) if route.object.names(live) => {
                    overlay_route(target, live, &route, &sides, &namespace(rollout));
                }
                Router::Traefik(service) if service.object.names(live) => {
                    overlay_traefik(target, live, &service, &sides);
                }
                _ => {}
            }
        }
    }
}

/// The first of `rollouts` that drives values of `object`: a Service whose selector it narrows, a route or
/// TraefikService whose weights it sets, or a canary Ingress that it makes. A stable Ingress is only read.
#[must_use]
pub fn controlled_by<'a>(object: &Value, rollouts: &[&'a Rollout]) -> Option<&'a Rollout> {
    rollouts.iter().copied().find(|rollout| {
        drives_service(rollout, object)
            || spec::read(rollout)
                .routers
                .iter()
                .any(|router| match router {
                    Router::Gateway(route) => route.object.names(object),
                    Router::Traefik(service) => service.object.names(object),
                    Router::Nginx(ingress) => ingress.canary().names(object),
                })
    })
}

fn drives_service(rollout: &Rollout, object: &Value) -> bool {
    let namespace = namespace(rollout);
    sides::services(rollout)
        .iter()
        .any(|name| service::reference(&namespace, name).names(object))
}

fn overlay_route(
    target: &mut Value,
    live: &Value,
    route: &Route,
    sides: &Sides,
    services_in: &str,
) {
    if let Some(mark) = &route.mark {
        copy(target, live, &["metadata", "labels"], &mark.label);
        copy(target, live, &["metadata", "annotations"], &mark.annotation);
    }
    let own = route.owner.rules(live);
    overlay_weights(target, &without(live, &own), route, sides, services_in);
    // The Rollout's own rules stand before all others.
    let live_rules = list(live, &["spec", "rules"]);
    let added: Vec<&Value> = own
        .iter()
        .filter_map(|index| live_rules.get(*index))
        .collect();
    if added.is_empty() {
        return;
    }
    copy(target, live, &["metadata", "annotations"], MANAGED_ROUTES);
    if let Some(rules) = target
        .pointer_mut("/spec/rules")
        .and_then(Value::as_array_mut)
    {
        rules.splice(0..0, added.into_iter().cloned());
    }
}

/// A route without these rules.
fn without(route: &Value, indices: &[usize]) -> Value {
    let mut route = route.clone();
    let rules = route
        .pointer_mut("/spec/rules")
        .and_then(Value::as_array_mut);
    if let Some(rules) = rules {
        let mut index = 0;
        rules.retain(|_| {
            index += 1;
            !indices.contains(&(index - 1))
        });
    }
    route
}

fn overlay_weights(
    target: &mut Value,
    live: &Value,
    route: &Route,
    sides: &Sides,
    services_in: &str,
) {
    let Ok(live_rules) = route.rules(live, sides, services_in) else {
        return;
    };
    let wanted: Vec<(usize, Pair, Weights)> = route
        .rules(target, sides, services_in)
        .into_iter()
        .flatten()
        .filter_map(|rule| {
            // The same rule by name, else by position. A rule that is new in Git gets what the Rollout gives its
            // sisters.
            let name = text(rule.rule, &["name"]);
            let same = match name {
                Some(_) => live_rules
                    .iter()
                    .find(|known| text(known.rule, &["name"]) == name),
                None => live_rules.iter().find(|known| known.index == rule.index),
            };
            let from = same.or_else(|| live_rules.first())?;
            let weights = Weights::of(&from.pair, &rule.pair, from.backends);
            Some((rule.index, rule.pair, weights))
        })
        .collect();
    if wanted.iter().any(|(_, _, it)| !it.added.is_empty()) {
        let annotations = ["metadata", "annotations"];
        copy(target, live, &annotations, EXPERIMENT_BACKENDS);
    }
    for (index, pair, weights) in wanted {
        let list = target
            .pointer_mut(&format!("/spec/rules/{index}/backendRefs"))
            .and_then(Value::as_array_mut);
        weights.write(list, &pair);
    }
}

fn overlay_traefik(target: &mut Value, live: &Value, service: &WeightedService, sides: &Sides) {
    let (Ok(from), Ok(pair)) = (service.find(live, sides), service.find(target, sides)) else {
        return;
    };
    let weights = Weights::of(&from, &pair, traefik::services(live));
    if !weights.added.is_empty() {
        let annotations = ["metadata", "annotations"];
        copy(target, live, &annotations, EXPERIMENT_BACKENDS);
    }
    let list = target
        .pointer_mut("/spec/weighted/services")
        .and_then(Value::as_array_mut);
    weights.write(list, &pair);
}

/// The weights for a pair in the desired object, `None` leaving one as it is, and the items to be added to its list.
struct Weights {
    canary: Option<Value>,
    stable: Option<Value>,
    added: Vec<Value>,
}

impl Weights {
    /// What `live`, a pair in the list `items`, says for the pair `target`.
    fn of(live: &Pair, target: &Pair, items: &[Value]) -> Self {
        let weight = |index: usize| items.get(index)?.get("weight").cloned();
        let mut weights = Self {
            canary: weight(live.canary_index()),
            stable: weight(live.stable_index()),
            added: live
                .experiment_indices()
                .iter()
                .filter_map(|index| items.get(*index).cloned())
                .collect(),
        };
        // Beside others, the share that Git gives to the Rollout is split as the live one is.
        if let (true, Ok(now), Ok(wanted)) = (target.has_others(), live.now(), target.now()) {
            let (sum, wanted) = (now.sum(), wanted.sum());
            let of = |weight: i64| {
                let divisible = sum > 0 && (weight * wanted) % sum == 0;
                divisible.then(|| weight * wanted / sum)
            };
            let added = weights.added.iter();
            let experiments: Option<Vec<i64>> = added
                .map(|item| of(item.get("weight")?.as_i64()?))
                .collect();
            if let (Some(canary), Some(experiments)) = (of(now.canary), experiments) {
                let taken = canary + experiments.iter().sum::<i64>();
                weights.canary = Some(Value::from(canary));
                weights.stable = Some(Value::from(wanted - taken));
                for (item, weight) in weights.added.iter_mut().zip(experiments) {
                    set_weight(item, Value::from(weight));
                }
            }
        }
        weights
    }

    fn write(self, list: Option<&mut Vec<Value>>, pair: &Pair) {
        let Some(list) = list else {
            return;
        };
        for (index, weight) in [
            (pair.canary_index(), self.canary),
            (pair.stable_index(), self.stable),
        ] {
            if let (Some(item), Some(weight)) = (list.get_mut(index), weight) {
                set_weight(item, weight);
            }
        }
        list.extend(self.added);
    }
}

fn set_weight(item: &mut Value, weight: Value) {
    if let Some(item) = item.as_object_mut() {
        item.insert("weight".to_owned(), weight);
    }
}

/// Copies one key of a map. A map that is missing in the target is made; another type there is left alone.
fn copy(target: &mut Value, live: &Value, map: &[&str; 2], key: &str) {
    let Some(value) = at(live, &[map[0], map[1], key]) else {
        return;
    };
    let mut place = Some(target);
    for step in map {
        place = place.and_then(Value::as_object_mut).map(|object| {
            let slot = object.entry((*step).to_owned()).or_insert(Value::Null);
            if slot.is_null() {
                *slot = Value::Object(Map::new());
            }
            slot
        });
    }
    if let Some(object) = place.and_then(Value::as_object_mut) {
        object.insert(key.to_owned(), value.clone());
    }
}
