//! The header and mirror routes that the routers of a Rollout have.

use serde_json::Value;
use sluice_crds::decode;
use sluice_crds::rollout::Rollout;
use sluice_crds::split::SplitRoute;

use crate::cluster::Cluster;
use crate::store::Key;

/// The routes, highest priority first; those of the first router object that carries any.
pub(super) fn of(cluster: &Cluster) -> Vec<SplitRoute> {
    let object = cluster.rollout().cloned().unwrap_or_default();
    let Ok(rollout) = decode::decode::<Rollout>(&object) else {
        return Vec::new();
    };
    let find = |wanted: &sluice_traffic::ObjectRef| -> Option<&Value> {
        let key = Key::new(&wanted.kind, &wanted.namespace, &wanted.name);
        cluster.store.get(&key)
    };
    let canary = rollout.spec.canary();
    let max = canary.map_or(100, |canary| canary.max_weight());
    sluice_traffic::observe(&rollout, &find, max)
        .into_iter()
        .find_map(|router| router.routes)
        .map_or_else(Vec::new, |shown| shown.routes)
}

/// What there is after a change.
pub(super) fn sentence(routes: &[SplitRoute]) -> String {
    let words: Vec<String> = routes.iter().map(ToString::to_string).collect();
    match words.as_slice() {
        [] => "Header and mirror routes: none".to_owned(),
        words => format!("Header and mirror routes: {}", words.join(", ")),
    }
}
