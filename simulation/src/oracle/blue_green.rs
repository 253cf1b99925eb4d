//! The promises of a blue-green, on the cluster as it truly is: what the active Service selects has pods, and a revision
//! that is not stable yet has all of them when it is switched to.

use sluice_crds::rollout::{BlueGreenStrategy, RolloutStatus};
use sluice_rollout::Effect;

use super::{Broken, Written, broken, hash_of, replicas_of};

pub(super) fn judge(written: &Written<'_>, strategy: &BlueGreenStrategy) -> Option<Broken> {
    let active = strategy.active_service.as_deref()?;
    let switches =
        matches!(written.effect, Effect::SelectPods { service, .. } if service == active);
    let takes_away = matches!(written.effect, Effect::ScaleReplicaSet { to: 0, .. });
    if written.replicas < 1 || !(switches || takes_away) {
        return None;
    }
    let set = written.selected(active)?;
    let pods = replicas_of(set);
    let replicas = written.replicas;
    let seen = || {
        let name = &set.key.name;
        format!("{active} selects {name} with {pods} of {replicas} pods")
    };
    let concerned = switches || written.changes.iter().any(|it| it.key == set.key);
    if concerned && pods == 0 && written.rollout.spec.replicas() > 0 {
        return broken(
            "the active Service never selects what is scaled away",
            seen(),
        );
    }
    let status = written.rollout.status.as_ref();
    let stable = status.and_then(|status| status.stable_rs.as_deref());
    if switches && stable.is_some_and(|stable| stable != hash_of(set)) {
        if written.aborted && status.is_some_and(RolloutStatus::aborted) {
            return broken("an update that is given up is not switched to", seen());
        }
        if pods < i64::from(replicas) {
            return broken("a new revision is whole when it is switched to", seen());
        }
    }
    None
}
