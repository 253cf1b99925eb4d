//! The weight of the canary side: what it should be, and when it may move. Header and mirror routes are written with it.
//!
//! * It rises only when every router object can be read and is accepted, the canary Service selects the new revision,
//!   and that has the pods for it.
//! * It falls at once on an abort, for a revision that is no longer wanted, and for a canary without available pods;
//!   but never onto a stable side that has none, nor, with `dynamicStableScale`, faster than stable grows back.
//! * After a promotion it goes to 0 once the stable Service selects the promoted revision.

use sluice_crds::rollout::RolloutStatus;
use sluice_crds::rollout::status::TrafficWeights;
use sluice_crds::split::Split;

use crate::draft::{Draft, EventSlot, Slot};
use crate::plan::{Effect, EventType};
use crate::reason::Reason;
use crate::replicas::{self, available};
use crate::seen::{Route, Seen};
use crate::world::ReplicaSet;
use crate::{experiment_step, managed_routes, steps};

/// The weight of an update that the sizes of the sets follow: that of the step, 0 after an abort, everything in a full
/// promotion.
pub(crate) fn of_status(seen: &Seen<'_>, status: &RolloutStatus) -> i32 {
    if status.aborted() {
        0
    } else if status.promoting_fully() {
        seen.max_weight
    } else {
        let steps = seen.steps();
        steps::weight_at(steps, steps::index(status, steps), seen.max_weight)
    }
}

/// Whether every router shows the weight of the present step. Without routers there is nothing to see.
pub(crate) fn settled(seen: &Seen<'_>, draft: &mut Draft) -> bool {
    let Some(route) = &seen.route else {
        return true;
    };
    let wanted = routable(seen, of_status(seen, &draft.status));
    if route.shows(wanted) && route.refused.is_empty() {
        return true;
    }
    if let Ok(observed) = seen.world.traffic {
        for split in observed {
            if let Ok(shown) = split.canary
                && (shown != wanted || split.accepted == Some(false))
            {
                draft.reason(Reason::TrafficNotMoved {
                    object: split.object.clone(),
                    shown,
                    wanted,
                });
            }
        }
    }
    false
}

/// Without pods there is nobody to route to, whatever the step says.
fn routable(seen: &Seen<'_>, weight: i32) -> i32 {
    if seen.replicas == 0 { 0 } else { weight }
}

/// A weight and why.
struct Wanted {
    weight: i32,
    because: String,
    /// Whether staying above it sends requests to where they must not go.
    urgent: bool,
    /// Whether what is shown is to stay, rather than a weight to be reached.
    stays: bool,
}

/// Tells the routers what they do not show yet.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft) {
    let Some(route) = &seen.route else {
        if let Some(canary) = &mut draft.status.canary {
            canary.weights = None;
        }
        return;
    };
    let problem = route.problem();
    if let Some(problem) = &problem {
        draft.reason(Reason::HeldForSafety {
            invariant: "routes are read before they move",
            detail: problem.clone(),
        });
        draft.hold.get_or_insert_with(|| problem.clone());
    }
    let mut wanted = wanted(seen, &draft.status, route);
    wanted.weight = routable(seen, wanted.weight);
    if wanted.weight > 0 && seen.reachable(seen.canary_service()) == 0 {
        wanted = Wanted {
            weight: 0,
            because: "the canary Service reaches no available pods".to_owned(),
            urgent: true,
            stays: false,
        };
    }
    if !wanted.stays {
        hold_back_rise(seen, route, &mut wanted, draft);
        wanted.stays = hold_back_fall(seen, route, &mut wanted, draft);
    }
    if wanted.stays && route.lowest != route.highest {
        // That some routers may not fall yet is no reason for others to rise.
        return;
    }
    let mut split = split(seen, wanted.weight);
    split.additional = experiment_step::destinations(seen, &draft.status);
    split.routes = managed_routes::wanted(seen, &draft.status, route);
    let others = !route.shows_experiments(&split.additional);
    let sum: i64 = split.additional.iter().map(|it| i64::from(it.weight)).sum();
    let more = sum > route.least_experiments();
    let differs = others || route.lowest != wanted.weight || route.highest != wanted.weight;
    if differs || route.unreadable.is_empty() {
        let verified = if route.refused.is_empty() {
            route.confirmed.then_some(true)
        } else {
            Some(false)
        };
        let weights = TrafficWeights {
            verified,
            ..TrafficWeights::of(&split)
        };
        draft.status.canary.get_or_insert_default().weights = Some(weights);
    }
    let routes_differ = !route.shows_routes(&split.routes);
    if routes_differ {
        draft.reason(Reason::RoutesChange {
            to: managed_routes::names(&split.routes),
        });
    }
    if !differs && routes_differ {
        let slot = if split.routes.is_empty() {
            Slot::LowerTraffic
        } else {
            Slot::RaiseTraffic
        };
        draft.effect(slot, Effect::SetTraffic(split));
        return;
    }
    if differs {
        let falls = wanted.weight < route.highest || (wanted.weight == route.lowest && !more);
        let (from, to) = (
            if falls { route.highest } else { route.lowest },
            wanted.weight,
        );
        draft.reason(Reason::WeightChanges {
            from,
            to,
            because: wanted.because,
        });
        let message = format!("Traffic weight updated from {from} to {to}");
        draft.event(
            EventSlot::Traffic,
            EventType::Normal,
            "TrafficWeightUpdated",
            message,
        );
        let slot = if falls {
            Slot::LowerTraffic
        } else {
            Slot::RaiseTraffic
        };
        draft.effect(slot, Effect::SetTraffic(split));
    }
}

/// Who is behind the canary side of the routes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum CanarySide<'a> {
    /// The new revision.
    New,
    /// A set of another revision.
    Other(&'a ReplicaSet),
    /// A revision that has no set any more.
    Nobody,
    /// Every pod of the Rollout: the Service does not select by revision yet.
    Everybody,
}

pub(crate) fn canary_side<'a>(seen: &Seen<'a>) -> CanarySide<'a> {
    match seen.canary_service().and_then(|service| service.hash()) {
        None => CanarySide::Everybody,
        Some(hash) if hash == seen.sets.hash => CanarySide::New,
        Some(_) => match seen.behind(seen.canary_service()) {
            Some(set) => CanarySide::Other(set),
            None => CanarySide::Nobody,
        },
    }
}

/// What the weight should be, before safety has its say.
fn wanted(seen: &Seen<'_>, status: &RolloutStatus, route: &Route) -> Wanted {
    let wanted = |weight, because: &str| Wanted {
        weight,
        because: because.to_owned(),
        urgent: false,
        stays: false,
    };
    let stays = |because: &str| Wanted {
        stays: true,
        ..wanted(route.highest, because)
    };
    let urgent = |because: &str| Wanted {
        urgent: true,
        ..wanted(0, because)
    };
    let Some(stable) = seen.sets.stable else {
        return wanted(0, "there is no other revision");
    };
    if seen.is_stable() {
        let selected = seen.stable_service().and_then(|service| service.hash());
        return if selected == stable.hash() {
            wanted(0, "all traffic goes to the stable revision")
        } else {
            stays("the stable Service does not select the stable revision yet")
        };
    }
    if status.aborted() {
        return urgent("the update is aborted");
    }
    let Some(new) = seen.sets.new else {
        return urgent("the new revision has no pods yet");
    };
    let side = canary_side(seen);
    if matches!(side, CanarySide::Other(_) | CanarySide::Nobody) && route.highest > 0 {
        return urgent("the canary Service selects another revision");
    }
    if available(new) == 0 {
        return urgent("the new revision has no available pods");
    }
    if status.promoting_fully() {
        return stays("full promotion moves all traffic at once");
    }
    let (steps, index) = (seen.steps(), steps::index(status, seen.steps()));
    let at = steps::weight_at(steps, index, seen.max_weight);
    let ready = available(new) >= replicas::enough(seen, replicas::wanted(seen, status).new);
    if ready {
        return match index.min(steps.len()) {
            index if index == steps.len() => wanted(at, "all steps are done"),
            index => wanted(at, &format!("step {}/{}", index + 1, steps.len())),
        };
    }
    // Too few pods for the weight of this step: whatever is routed already stays, within what the steps allow.
    // One that is to fall does not wait for pods.
    let before = steps::weight_before(steps, index, seen.max_weight);
    let weight = route.highest.clamp(before.min(at), at);
    wanted(
        weight,
        "the new revision has too few available pods for more",
    )
}

/// Whether any router may be told more than it shows.
fn may_rise(seen: &Seen<'_>, status: &RolloutStatus, route: &Route) -> bool {
    route.problem().is_none()
        && !(status.aborted() && seen.update().is_some())
        && canary_side(seen) == CanarySide::New
        && seen.sets.new.is_some_and(|new| available(new) > 0)
}

fn hold_back_rise(seen: &Seen<'_>, route: &Route, wanted: &mut Wanted, draft: &mut Draft) {
    if wanted.weight <= route.lowest || may_rise(seen, &draft.status, route) {
        return;
    }
    if route.problem().is_none() {
        let detail = format!("{} wanted, {} shown", wanted.weight, route.lowest);
        let invariant =
            "traffic goes only to a canary that its Service selects and that has available pods";
        draft.reason(Reason::HeldForSafety { invariant, detail });
    }
    wanted.weight = route.lowest;
}

/// Keeps on the canary side what the stable side cannot serve; true when that is so.
fn hold_back_fall(seen: &Seen<'_>, route: &Route, wanted: &mut Wanted, draft: &mut Draft) -> bool {
    if wanted.weight >= route.highest || seen.replicas == 0 {
        return false;
    }
    // Where it is served now, and where it would go.
    let canary = seen.reachable(seen.canary_service());
    let stable = seen.reachable(seen.stable_service());
    if canary == 0 {
        return false;
    }
    let dynamic = seen.canary.dynamic_stable_scale == Some(true);
    let least = if stable == 0 {
        route.highest
    } else if dynamic || !wanted.urgent {
        // What stable cannot carry yet stays on the canary side.
        let carried = i64::from(stable) * i64::from(seen.max_weight) / i64::from(seen.replicas);
        let left = i64::from(seen.max_weight) - carried;
        i32::try_from(left).unwrap_or(0).min(route.highest).max(0)
    } else {
        0
    };
    if wanted.weight >= least {
        return false;
    }
    let detail = format!("{stable} of {} stable pods are available", seen.replicas);
    let invariant = "traffic goes back only to stable pods that can take it";
    draft.reason(Reason::HeldForSafety { invariant, detail });
    wanted.weight = least;
    true
}

fn split(seen: &Seen<'_>, canary: i32) -> Split {
    let canary_hash = match canary_side(seen) {
        CanarySide::Other(set) if canary > 0 => set.hash().map(str::to_owned),
        _ => seen.sets.new.is_some().then(|| seen.sets.hash.clone()),
    };
    Split {
        max: seen.max_weight,
        canary,
        canary_service: seen.canary_service_name().cloned().unwrap_or_default(),
        stable_service: seen.stable_service_name().cloned().unwrap_or_default(),
        canary_hash,
        stable_hash: seen
            .sets
            .stable
            .and_then(ReplicaSet::hash)
            .map(str::to_owned),
        additional: Vec::new(),
        routes: Vec::new(),
    }
}
