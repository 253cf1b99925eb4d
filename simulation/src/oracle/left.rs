//! What must hold for what is left of a Rollout: of one that was deleted, and of one whose status was lost.

use sluice_crds::names::{MANAGED_BY_ROLLOUTS, WAS_STABLE};

use super::canary::{route, sides};
use super::rest::require;
use super::{Broken, hash_of, replicas_of, selected};
use crate::store::{Key, Object, Store};

/// Hashes of the revisions that may count as stable when the status is lost; none where nothing could tell: without
/// routers, and before the stable Service selects a revision. Where the spec has a `rollbackWindow` an older revision may
/// follow at once, as it may with a status.
pub fn was_stable(store: &Store, main: &Key) -> Vec<String> {
    let rollout = store.object(main).and_then(|it| it.rollout());
    let Some(rollout) = rollout.filter(|it| sides(it).is_some() && route(it).is_some()) else {
        return Vec::new();
    };
    let status = rollout.status.as_ref();
    let stable = status.and_then(|status| status.stable_rs.clone());
    let selected = sides(rollout).and_then(|(_, stable)| selected(store, main, stable));
    let Some((stable, selected)) = stable.zip(selected) else {
        return Vec::new();
    };
    let marked = |set: &Object| {
        let set = set.replica_set();
        set.is_some_and(|set| set.annotations.contains_key(WAS_STABLE))
    };
    let made = |set: &Object| set.replica_set().map(|set| set.created);
    let window = rollout.spec.rollback_window.is_some();
    let in_window = |set: &Object| window && made(set) < made(selected);
    let sets = store.objects("ReplicaSet");
    let sets = sets.filter(|set| marked(set) || in_window(set));
    let sets = sets.map(|set| hash_of(set).to_owned());
    sets.chain([stable, hash_of(selected).to_owned()]).collect()
}

/// Judges which revision counts as stable after the status was lost.
///
/// # Errors
/// When it is one that nobody has judged.
pub fn judge_found(store: &Store, main: &Key, judged: &[String]) -> Result<(), Broken> {
    let status = store
        .object(main)
        .and_then(|it| it.rollout()?.status.as_ref());
    let stable = status.and_then(|status| status.stable_rs.as_ref());
    require(
        stable.is_none_or(|stable| judged.contains(stable)),
        "a lost status makes no revision stable that was not",
        || format!("{stable:?}, not one of {judged:?}"),
    )
}

/// The hash that each Service selects.
pub fn selections(store: &Store) -> Vec<(String, Option<String>)> {
    let services = store.objects("Service").filter_map(|it| it.service());
    services
        .map(|it| (it.name.clone(), it.hash().map(str::to_owned)))
        .collect()
}

/// Judges what a Rollout has left behind that was deleted without its pods, given what Services selected before.
///
/// # Errors
/// When a Service leaves pods that are still wanted.
pub fn judge_left(store: &Store, before: &[(String, Option<String>)]) -> Result<(), Broken> {
    let after = selections(store);
    let wanted = |hash: &str| {
        let mut sets = store.objects("ReplicaSet");
        sets.any(|set| hash_of(set) == hash && set.owner().is_empty() && replicas_of(set) > 0)
    };
    let left = before
        .iter()
        .find(|service| service.1.as_deref().is_some_and(wanted) && !after.contains(service));
    require(
        left.is_none(),
        "pods that were left on purpose keep their Services",
        || format!("{left:?}"),
    )
}

/// Judges what a Rollout has left behind that is gone with all of its pods.
///
/// # Errors
/// When a Service still selects one of its revisions, or names it.
pub fn judge_gone(store: &Store, main: &Key) -> Result<(), Broken> {
    let mut services = store.objects("Service").filter_map(|it| it.service());
    let held = services.find(|service| {
        service.annotations.get(MANAGED_BY_ROLLOUTS) == Some(&main.name)
            || (service.hash().is_some() && main.kind == "Rollout")
    });
    require(
        held.is_none(),
        "no Service waits for the pods of a Rollout that is gone",
        || format!("{held:?}"),
    )
}
