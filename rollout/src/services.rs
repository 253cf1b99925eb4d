//! Selectors of the stable and the canary Service; and of Services that the strategy names no more.
//!
//! A Service is pointed at a revision only when that has available pods — all of them when the Service did not select by
//! revision before, since then it serves from every pod. The canary Service leaves a revision that still gets traffic
//! only for the stable one.

use crate::draft::{Draft, EventSlot, Slot};
use crate::plan::{Effect, EventType, Precondition};
use crate::reason::Reason;
use crate::replicas::available;
use crate::seen::{Seen, share_of};
use crate::weight::{self, CanarySide};
use crate::world::{ReplicaSet, Service};

use sluice_crds::names;

/// Points both Services where they belong.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft) {
    if let (Some(service), Some(stable)) = (seen.stable_service(), seen.sets.stable) {
        point(draft, service, stable, needed(service, stable));
    }
    let target = if draft.status.aborted() && seen.update().is_some() {
        seen.sets.stable
    } else {
        seen.sets.new
    };
    if let (Some(service), Some(target)) = (seen.canary_service(), target)
        && seen.canary_service_name() != seen.stable_service_name()
        && may_leave(seen, target)
    {
        point(draft, service, target, needed(service, target));
    }
}

/// Whether the canary Service may go over to `target`, given the traffic that comes through it now.
fn may_leave(seen: &Seen<'_>, target: &ReplicaSet) -> bool {
    let Some(route) = &seen.route else {
        return true;
    };
    if route.unreadable.is_empty() && route.highest == 0 && !route.has_routes() {
        return true;
    }
    let stable_is_whole = available(target) >= seen.replicas;
    if seen
        .sets
        .stable
        .is_some_and(|stable| stable.name == target.name)
    {
        return stable_is_whole;
    }
    let can_take_it = available(target) >= share_of(seen.replicas, route.highest, seen.max_weight);
    !matches!(weight::canary_side(seen), CanarySide::Other(_))
        && route.unreadable.is_empty()
        && can_take_it
}

/// Services that the strategy names no more serve from every pod again: whoever still uses them is not cut off when the
/// revision goes that they selected.
pub(crate) fn let_go(seen: &Seen<'_>, draft: &mut Draft) {
    for service in seen.left_services() {
        write(draft, service, None);
    }
}

/// Pods that a Service needs in the set that it is pointed at: one if it selected by revision before, otherwise all.
fn needed(service: &Service, set: &ReplicaSet) -> i32 {
    if service.annotations.contains_key(names::MANAGED_BY_ROLLOUTS) {
        1
    } else {
        set.replicas.max(1)
    }
}

/// Points a Service at a set that has the available pods that are needed.
pub(crate) fn point(draft: &mut Draft, service: &Service, set: &ReplicaSet, needed: i32) {
    if service.hash() == set.hash() {
        return;
    }
    if available(set) < needed {
        draft.reason(Reason::PodsNotAvailable {
            replica_set: set.name.clone(),
            available: available(set),
            needed,
        });
        return;
    }
    select(draft, service, set);
}

/// Points a Service at a set, whatever pods that has.
pub(crate) fn select(draft: &mut Draft, service: &Service, set: &ReplicaSet) {
    let Some(hash) = set.hash().filter(|hash| service.hash() != Some(hash)) else {
        return;
    };
    write(draft, service, Some(hash));
}

/// Reason of the Event about a Service that selects other pods from now on.
pub(crate) const SWITCHED: &str = "SwitchService";

/// What that Event says; no hash stands for every pod.
pub(crate) fn switched(service: &str, from: &str, to: &str) -> String {
    format!("Switched selector for service '{service}' from '{from}' to '{to}'")
}

fn write(draft: &mut Draft, service: &Service, hash: Option<&str>) {
    let from = service.hash().unwrap_or_default();
    let message = switched(&service.name, from, hash.unwrap_or_default());
    draft.event(EventSlot::Service, EventType::Normal, SWITCHED, message);
    draft.effect(
        Slot::Services,
        Effect::SelectPods {
            service: service.name.clone(),
            precondition: Precondition {
                uid: service.uid.clone(),
                resource_version: service.resource_version.clone(),
            },
            hash: hash.map(str::to_owned),
        },
    );
}
