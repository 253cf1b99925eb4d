//! Header and mirror routes: which of `trafficRouting.managedRoutes` must exist now.
//!
//! * The steps up to the present one say which: the last one that names a route makes it, or takes it away with an
//!   empty match. Their order is that of `managedRoutes`.
//! * None exists without an update, after an abort, in a full promotion, and while the canary Service does not select
//!   the new revision or that has no available pod. They come back by themselves when it has.
//! * They are written together with the weights, and a step is done when every router object shows them.

use sluice_crds::rollout::RolloutStatus;
use sluice_crds::split::{SplitRoute, routes_after};

use crate::draft::Draft;
use crate::reason::Reason;
use crate::replicas::{self, available};
use crate::seen::{Route, Seen};
use crate::steps::{self, Progress};
use crate::weight::{CanarySide, canary_side};

/// The routes that must exist now.
pub(crate) fn wanted(seen: &Seen<'_>, status: &RolloutStatus, route: &Route) -> Vec<SplitRoute> {
    let over = seen.update().is_none() || status.aborted() || status.promoting_fully();
    if over || !may_exist(seen) || route.routes_problem().is_some() || route.routes.is_empty() {
        return Vec::new();
    }
    if route.problem().is_some() {
        // Nothing is added, and nothing is taken away, while a router cannot be read.
        let known = route.routes.iter().find(|(_, shown)| shown.intact);
        return known.map_or_else(Vec::new, |(_, shown)| shown.routes.clone());
    }
    routes_after(seen.canary, steps::index(status, seen.steps()))
}

/// Whether requests may be sent to the canary side apart from its weight.
fn may_exist(seen: &Seen<'_>) -> bool {
    canary_side(seen) == CanarySide::New && seen.sets.new.is_some_and(|new| available(new) > 0)
}

/// A `setHeaderRoute` or `setMirrorRoute` step: done when every router object shows the routes. A canary without pods
/// has none, and is not waited for when the step gives it none.
pub(crate) fn step(seen: &Seen<'_>, draft: &mut Draft, at: usize) -> Progress {
    let Some(route) = &seen.route else {
        return Progress::Waits;
    };
    if let Some(problem) = route.routes_problem() {
        draft.hold.get_or_insert(format!("holding: {problem}"));
        draft.reason(Reason::HeldForSafety {
            invariant: "routes are made as the steps say, or not at all",
            detail: problem,
        });
        return Progress::Waits;
    }
    if !replicas::settled(seen, draft) {
        return Progress::Waits;
    }
    let empty = seen.sets.new.is_none_or(|new| available(new) == 0);
    let wanted = if empty {
        Vec::new()
    } else {
        routes_after(seen.canary, at)
    };
    if route.shows_routes(&wanted) {
        return Progress::Done;
    }
    for (object, shown) in &route.routes {
        if !shown.intact || shown.routes != wanted {
            draft.reason(Reason::RoutesNotShown {
                object: object.clone(),
                wanted: names(&wanted),
            });
        }
    }
    Progress::Waits
}

/// The names of routes, highest priority first.
pub(crate) fn names(routes: &[SplitRoute]) -> Vec<String> {
    routes.iter().map(|route| route.name.clone()).collect()
}
