//! `pingPong` without its status: which Service of the pair is the stable one, and which revision.
//!
//! The weights alone do not tell, since a canary may have most of the traffic. So the set of the stable revision carries a
//! mark, which it loses when it is given up as an update. A revision without it counts as stable only when both Services
//! select it, or one does and the other none: then no other one could get the traffic. What cannot be told is left to a
//! person, and nothing moves.

use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;
use sluice_crds::rollout::canary::PingPong;

use crate::draft::Draft;
use crate::seen::{PING, PONG, Seen};
use crate::validation::FieldError;
use crate::world::ReplicaSet;

/// What is known of the roles of the pair.
pub(crate) enum Roles {
    /// What the status says, or nothing since nothing was promoted yet; or there is no pair.
    AsTheStatusSays,
    /// Found again: what `status.stableRS` and `status.canary.stablePingPong` have to be.
    Found(String, &'static str),
    /// Lost; why they cannot be told.
    Lost(FieldError),
}

/// Marks the set of the stable revision; one that was stable and is given up as an update loses its mark.
pub(crate) fn mark(seen: &Seen<'_>, draft: &mut Draft) {
    if seen.canary.ping_pong.is_none() {
        return;
    }
    if let Some(stable) = seen.sets.stable {
        let edit = draft.set(stable);
        edit.annotate(names::WAS_STABLE, "true".to_owned());
    }
    if let Some((new, _)) = seen.update().filter(|_| draft.status.aborted()) {
        draft.set(new).remove_annotation(names::WAS_STABLE);
    }
}

/// Looks for the roles where the status says nothing.
pub(crate) fn roles(seen: &Seen<'_>) -> Roles {
    let status = seen.world.rollout.status.as_ref();
    let canary = status.and_then(|status| status.canary.as_ref());
    let role = canary.and_then(|canary| canary.stable_ping_pong.as_deref());
    let Some(pair) = &seen.canary.ping_pong else {
        return Roles::AsTheStatusSays;
    };
    if role.is_some_and(|role| !role.is_empty()) {
        return Roles::AsTheStatusSays;
    }
    let ping = managed(seen, pair.ping_service.as_ref());
    let pong = managed(seen, pair.pong_service.as_ref());
    let found = |set: &ReplicaSet, role| {
        let hash = set.hash().unwrap_or_default();
        Roles::Found(hash.to_owned(), role)
    };
    if let Some(stable) = seen.sets.stable {
        let is_stable = |set: Option<&ReplicaSet>| set.is_some_and(|it| it.name == stable.name);
        return match (is_stable(ping), is_stable(pong)) {
            (true, false) => found(stable, PING),
            (false, true) => found(stable, PONG),
            _ => Roles::AsTheStatusSays,
        };
    }
    let forgotten = status.is_none_or(|status| status.current_pod_hash.is_none());
    let new = Some(seen.sets.hash.as_str());
    let is_marked = |set: &&ReplicaSet| set.annotations.contains_key(names::WAS_STABLE);
    match (ping, pong) {
        (Some(ping), Some(pong))
            if ping.name == pong.name || (is_marked(&ping) && is_marked(&pong)) =>
        {
            // Either is right; nothing moves when it is the one with the traffic.
            match heavier(seen) {
                Some(PING) => found(ping, PING),
                Some(_) => found(pong, PONG),
                None => {
                    lost("the routes do not tell which of its Services has most of the traffic")
                }
            }
        }
        (Some(ping), _) if is_marked(&ping) => found(ping, PING),
        (_, Some(pong)) if is_marked(&pong) => found(pong, PONG),
        (Some(_), Some(_)) => {
            lost("its Services select two revisions of which neither is known to have been stable")
        }
        // Nothing at all is known, and the one Service that selects a revision selects another than the template's.
        (Some(only), None) if forgotten && only.hash() != new => found(only, PING),
        (None, Some(only)) if forgotten && only.hash() != new => found(only, PONG),
        // The first deployment is under way.
        _ => Roles::AsTheStatusSays,
    }
}

/// The Service of the pair that the status calls stable.
pub(crate) fn stable_service<'a>(
    status: Option<&RolloutStatus>,
    pair: &'a PingPong,
) -> Option<&'a String> {
    match status?.canary.as_ref()?.stable_ping_pong.as_deref()? {
        PING => pair.ping_service.as_ref(),
        PONG => pair.pong_service.as_ref(),
        _ => None,
    }
}

/// The set that a Service selects which this Rollout manages.
fn managed<'a>(seen: &Seen<'a>, service: Option<&String>) -> Option<&'a ReplicaSet> {
    let service = seen.service(service);
    seen.behind(service.filter(|service| seen.manages(service)))
}

/// Which Service has most of the traffic on every router; none when one cannot be read, or they differ.
fn heavier(seen: &Seen<'_>) -> Option<&'static str> {
    let route = seen.route.as_ref().filter(|it| it.unreadable.is_empty())?;
    // Without a status the routes are read as if ping were the canary.
    let half = seen.max_weight / 2;
    if route.lowest > half {
        Some(PING)
    } else {
        (route.highest <= half).then_some(PONG)
    }
}

fn lost(why: &str) -> Roles {
    Roles::Lost(FieldError {
        field: "spec.strategy.canary.pingPong".to_owned(),
        message: format!(
            "the status is lost, and {why}: set status.stableRS to the pod-template hash of the stable revision, and \
             status.canary.stablePingPong to the Service that selects it, \"ping\" or \"pong\""
        ),
    })
}
