//! Safety, as checks on single effects against what was observed: the executor runs them before it writes, and the
//! simulation uses the same ones as oracles. An effect that violates one is refused, whatever the reason for it was.
//!
//! | invariant | effect |
//! |---|---|
//! | weights are parts of a whole | SetTraffic |
//! | no traffic for a set without available pods, while the other side has some | SetTraffic |
//! | header and mirror routes come only to a canary that its Service selects, with available pods and no abort | SetTraffic |
//! | experiments get traffic only while their pods are available | SetTraffic |
//! | the canary's share rises only if its Service selects it and no abort is ordered | SetTraffic |
//! | no pod goes that the traffic which is routed there (or the active Service) needs now | ScaleReplicaSet |
//! | available pods stay above `replicas - maxUnavailable` where pods are the traffic | ScaleReplicaSet |
//! | a Service leaves available pods only for available pods | SelectPods |
//! | the active Service goes to a new revision only when all of its pods are available and no abort is ordered | SelectPods |
//! | a Service that the strategy names keeps selecting one revision | SelectPods |
//! | no more pods are evicted than may be missing | EvictPod |
//! | the referenced workload shrinks only as the Rollout's pods become available | ScaleWorkload |
//! | labels by which pods are selected stay | PatchPod |
//! | what a Service selects, what is stable, and what has pods is not deleted | DeleteReplicaSet |
//!
//! The checks know nothing of how decisions are made: they derive everything from the world again.

use std::collections::BTreeMap;
use std::fmt;

use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;
use sluice_crds::split::Split;

use crate::plan::Effect;
use crate::replicas::{available, max_unavailable};
use crate::seen::{Route, Seen};
use crate::world::{ReplicaSet, Service, World};
use crate::{experiment_step, restart, workload};

/// An effect that must not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Violation {
    /// The invariant, as in the table of this module.
    pub invariant: &'static str,
    /// The values that violate it.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// Checks one effect against the world that it was decided on.
///
/// # Errors
/// The invariant that the effect would violate.
pub fn check(world: &World<'_>, effect: &Effect) -> Result<(), Violation> {
    if !may_harm(effect) {
        return Ok(());
    }
    let resolved = workload::resolved(world);
    let world = &World {
        rollout: &resolved,
        ..*world
    };
    // Without a strategy nothing is driven.
    let Some(seen) = Seen::of(world, jiff::Timestamp::UNIX_EPOCH) else {
        return Ok(());
    };
    match effect {
        Effect::SetTraffic(split) => traffic(&seen, split),
        Effect::ScaleReplicaSet { name, to, .. } => scale_down(&seen, name, *to),
        Effect::SelectPods { service, hash, .. } => select(&seen, service, hash.as_deref()),
        Effect::DeleteReplicaSet { name, .. } => delete(&seen, name),
        Effect::EvictPod { name, .. } => evict(&seen, name),
        Effect::ScaleWorkload { from, to, .. } => scale_workload(&seen, *from, *to),
        Effect::PatchPod { name, labels, .. } => patch_pod(&seen, name, labels),
        _ => Ok(()),
    }
}

/// Whether an effect is of a kind that could violate anything.
fn may_harm(effect: &Effect) -> bool {
    match effect {
        Effect::ScaleReplicaSet { from, to, .. } => to < from,
        Effect::SetTraffic(_)
        | Effect::SelectPods { .. }
        | Effect::DeleteReplicaSet { .. }
        | Effect::EvictPod { .. }
        | Effect::ScaleWorkload { .. }
        | Effect::PatchPod { .. } => true,
        _ => false,
    }
}

fn require(
    holds: bool,
    invariant: &'static str,
    detail: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        Ok(())
    } else {
        Err(Violation {
            invariant,
            detail: detail(),
        })
    }
}

fn with_hash<'a>(seen: &Seen<'a>, hash: Option<&str>) -> Option<&'a ReplicaSet> {
    seen.sets
        .all()
        .find(|set| set.hash() == hash && hash.is_some())
}

fn traffic(seen: &Seen<'_>, split: &Split) -> Result<(), Violation> {
    let further: Vec<i32> = split.additional.iter().map(|one| one.weight).collect();
    let sum = further
        .iter()
        .fold(split.canary, |sum, weight| sum.saturating_add(*weight));
    let parts = split.max == seen.max_weight && split.canary >= 0 && sum <= split.max;
    require(
        parts && further.iter().all(|weight| *weight >= 0),
        "weights are parts of a whole",
        || {
            format!(
                "canary {} + further {further:?} of {}",
                split.canary, split.max
            )
        },
    )?;
    let unready = split.additional.iter().find(|destination| {
        let experiments = seen.world.experiments.iter();
        let mut known = experiments.flat_map(experiment_step::templates);
        let ready = known.any(|template| {
            template.service_name.as_deref() == Some(&*destination.service)
                && template.available_replicas > 0
        });
        destination.weight > 0 && !ready
    });
    require(
        unready.is_none(),
        "experiments get traffic only while their pods are available",
        || unready.map_or_else(String::new, |it| format!("{}: {}", it.service, it.weight)),
    )?;
    let Some(route) = &seen.route else {
        return Ok(());
    };
    let canary = with_hash(seen, seen.canary_service().and_then(Service::hash));
    let (to_canary, to_stable) = (
        seen.reachable(seen.canary_service()),
        seen.reachable(seen.stable_service()),
    );
    if split.canary > route.lowest {
        rise(seen, route, split, canary)?;
    }
    let known = |name: &str| {
        let mut shown = route.routes.iter().flat_map(|(_, shown)| &shown.routes);
        shown.any(|route| route.name == name)
    };
    let added = split.routes.iter().find(|route| !known(&route.name));
    let selected = canary.is_some_and(|set| set.hash() == split.canary_hash.as_deref());
    require(
        added.is_none() || (selected && to_canary > 0 && !abort_holds(seen)),
        "header and mirror routes come only to a canary that its Service selects",
        || {
            let name = added.map_or("", |route| route.name.as_str());
            format!("{name}: {to_canary} pods available, selected: {selected}")
        },
    )?;
    require(
        split.canary == 0 || to_canary > 0 || to_stable == 0,
        "no traffic for a canary without available pods",
        || format!("weight {} for 0 available pods", split.canary),
    )?;
    let emptier = to_stable == 0 && to_canary > 0 && seen.replicas > 0;
    require(
        split.canary >= route.highest || !emptier,
        "no traffic for a stable side without available pods",
        || {
            let (from, to) = (route.highest, split.canary);
            format!("canary weight {from} -> {to} with 0 stable pods available")
        },
    )
}

/// Whether an abort of the present update is ordered. One that belongs to an earlier revision, or that a full promotion
/// replaces, does not count.
fn abort_holds(seen: &Seen<'_>) -> bool {
    let status = seen.world.rollout.status.as_ref();
    let present = |status: &RolloutStatus| {
        status.current_pod_hash.as_deref() == Some(seen.sets.hash.as_str())
    };
    status.is_some_and(|status| status.aborted() && !status.promoting_fully() && present(status))
}

fn rise(
    seen: &Seen<'_>,
    route: &Route,
    split: &Split,
    canary: Option<&ReplicaSet>,
) -> Result<(), Violation> {
    let change = || format!("canary weight {} -> {}", route.lowest, split.canary);
    require(
        !abort_holds(seen),
        "an abort never raises the canary's share",
        change,
    )?;
    require(
        route.problem().is_none(),
        "the canary's share rises only on routes that can be read",
        || format!("{}: {}", change(), route.problem().unwrap_or_default()),
    )?;
    let selected = canary.is_some_and(|set| Some(set.hash()) == Some(split.canary_hash.as_deref()));
    require(
        selected,
        "the canary's share rises only if its Service selects it",
        change,
    )
}

fn scale_down(seen: &Seen<'_>, name: &str, to: i32) -> Result<(), Violation> {
    let Some(set) = seen.sets.all().find(|set| set.name == name) else {
        return Ok(());
    };
    if seen.route.is_some() || seen.blue_green.is_some() {
        let needed = seen.pods_needed(set).min(set.replicas);
        return require(
            to >= needed,
            "no pod goes that the routed traffic needs",
            || format!("{name}: {} -> {to}, {needed} needed", set.replicas),
        );
    }
    // Pods that are not available are deleted first.
    let before: i64 = seen.sets.all().map(|set| i64::from(available(set))).sum();
    let after = before - i64::from(available(set)) + i64::from(available(set).min(to));
    let least = i64::from(seen.replicas - max_unavailable(seen)).min(before);
    require(
        after >= least,
        "available pods stay above replicas - maxUnavailable",
        || {
            format!(
                "{name}: {} -> {to} leaves {after} available, {least} needed",
                set.replicas
            )
        },
    )
}

fn select(seen: &Seen<'_>, service: &str, hash: Option<&str>) -> Result<(), Violation> {
    let Some(hash) = hash else {
        return require(
            !seen.names_service(service),
            "a Service that the strategy names keeps selecting one revision",
            || service.to_owned(),
        );
    };
    let is = |other: Option<&Service>| other.is_some_and(|other| other.name == service);
    let (active, preview) = (seen.active_service(), seen.preview_service());
    if is(preview) && !is(active) {
        // It shows what is not ready yet.
        return Ok(());
    }
    if is(active) && seen.sets.hash == hash && seen.update().is_some() {
        let pods = with_hash(seen, Some(hash)).map_or(0, available);
        require(
            pods >= seen.replicas && !abort_holds(seen),
            "the active Service goes to a new revision only when that is whole and not given up",
            || format!("{service}: {pods} of {} pods available", seen.replicas),
        )?;
    }
    let now = seen.world.services.get(service).and_then(Service::hash);
    let loses = match now {
        Some(now) => with_hash(seen, Some(now)).map_or(0, available),
        None => seen.sets.all().map(available).fold(0, i32::saturating_add),
    };
    let gains = with_hash(seen, Some(hash)).map_or(0, available);
    require(
        gains > 0 || loses == 0,
        "a Service leaves available pods only for available pods",
        || format!("{service}: from {loses} available pods to {gains} of {hash}"),
    )
}

fn evict(seen: &Seen<'_>, name: &str) -> Result<(), Violation> {
    let budget = restart::budget(seen);
    require(
        budget > 0,
        "no more pods are evicted than may be missing",
        || format!("{name}: {budget} may go"),
    )
}

fn scale_workload(seen: &Seen<'_>, from: i32, to: i32) -> Result<(), Violation> {
    let pods = seen.sets.all().map(available).fold(0, i32::saturating_add);
    let least = seen.replicas.saturating_sub(pods).min(from);
    require(
        to >= least,
        "the referenced workload shrinks only as the Rollout's pods become available",
        || {
            format!(
                "{from} -> {to} with {pods} of {} pods available",
                seen.replicas
            )
        },
    )
}

fn patch_pod(
    seen: &Seen<'_>,
    name: &str,
    labels: &BTreeMap<String, Option<String>>,
) -> Result<(), Violation> {
    let selector = seen.world.rollout.spec.selector.as_ref();
    let expressions = selector.and_then(|selector| selector.match_expressions.as_ref());
    let mut selected = selector
        .and_then(|selector| selector.match_labels.as_ref())
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .chain(expressions.into_iter().flatten().map(|it| it.key.as_str()))
        .chain([names::POD_TEMPLATE_HASH]);
    let lost = selected.find(|key| labels.contains_key(*key));
    require(
        lost.is_none(),
        "labels by which pods are selected stay",
        || format!("{name}: {}", lost.unwrap_or_default()),
    )
}

fn delete(seen: &Seen<'_>, name: &str) -> Result<(), Violation> {
    let Some(set) = seen.sets.all().find(|set| set.name == name) else {
        return Ok(());
    };
    let mut services = seen.world.services.values();
    let selected = services.any(|service| service.hash() == set.hash());
    let has_role = |role: Option<&ReplicaSet>| role.is_some_and(|role| role.name == set.name);
    let idle = set.replicas == 0 && set.current == 0 && !selected;
    require(
        idle && !has_role(seen.sets.new) && !has_role(seen.sets.stable),
        "what is selected, stable, new, or has pods is not deleted",
        || {
            format!(
                "{name}: {} pods, selected: {selected}",
                set.current.max(set.replicas)
            )
        },
    )
}
