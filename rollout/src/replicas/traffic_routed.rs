//! Sizes with traffic routing: the canary has the pods that its weight needs, beside a whole stable set — or, with
//! `dynamicStableScale`, beside one that shrinks behind the traffic that left it.
//!
//! ```text
//! canary = ceil(weight · N / max), at least minPodsPerReplicaSet when not 0, and at least what setCanaryScale says
//! stable = N; dynamic: max(ceil((max - weight) · N / max), ceil((max - shown weight) · N / max))
//! ```

use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;

use super::older::Begin;
use super::{Sizes, available, older, scale};
use crate::draft::Draft;
use crate::reason::Reason;
use crate::seen::{MOST_PODS, Route, Seen, share_of};
use crate::world::ReplicaSet;
use crate::{steps, weight};

/// Seconds that a canary stays after an abort unless the spec says otherwise.
const ABORT_DELAY: i32 = 30;

/// The sizes that the present step of an update asks for.
pub(super) fn wanted(seen: &Seen<'_>, status: &RolloutStatus, route: &Route) -> Sizes {
    let inputs = Inputs {
        replicas: seen.replicas,
        weight: weight::of_status(seen, status),
        // A router that cannot be read may still send everything to stable.
        shown: if route.unreadable.is_empty() {
            route.lowest
        } else {
            0
        },
        max: seen.max_weight,
        dynamic: seen.canary.dynamic_stable_scale == Some(true),
        min_pods: seen.canary.min_pods_per_replica_set.unwrap_or(0),
    };
    let sizes = sizes(inputs);
    match scale_of_step(seen, status) {
        Some(pods) => Sizes {
            new: pods.max(sizes.new),
            ..sizes
        },
        None => sizes,
    }
}

/// The size that `setCanaryScale` gives the canary. Its traffic may need more.
fn scale_of_step(seen: &Seen<'_>, status: &RolloutStatus) -> Option<i32> {
    if status.aborted() || status.promoting_fully() {
        return None;
    }
    let steps = seen.steps();
    let scale = steps::scale_at(steps, steps::index(status, steps))?;
    match (scale.replicas, scale.weight) {
        (Some(pods), _) => Some(pods.clamp(0, MOST_PODS)),
        (None, weight) => {
            let pods = share_of(seen.replicas, weight?.min(seen.max_weight), seen.max_weight);
            let least = seen.canary.min_pods_per_replica_set.unwrap_or(0);
            Some(if pods > 0 {
                pods.max(least.min(seen.replicas))
            } else {
                0
            })
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Inputs {
    replicas: i32,
    weight: i32,
    shown: i32,
    max: i32,
    dynamic: bool,
    min_pods: i32,
}

fn sizes(inputs: Inputs) -> Sizes {
    let Inputs {
        replicas,
        weight,
        shown,
        max,
        dynamic,
        min_pods,
    } = inputs;
    let at_least = |pods: i32| {
        if pods > 0 {
            pods.max(min_pods.min(replicas))
        } else {
            pods
        }
    };
    let share = |weight| share_of(replicas, weight, max);
    let stable = if dynamic {
        at_least(share(max - weight).max(share(max - shown)))
    } else {
        replicas
    };
    Sizes {
        new: at_least(share(weight)),
        stable,
    }
}

/// Scales the new and the stable set.
pub(super) fn reconcile(seen: &Seen<'_>, draft: &mut Draft, route: &Route) {
    let Some((new, stable)) = seen.update() else {
        let alone = seen.sets.new.or(seen.sets.stable);
        if let Some(set) = alone {
            scale(seen, draft, set, seen.replicas);
        }
        return;
    };
    let wanted = wanted(seen, &draft.status, route);
    scale(seen, draft, stable, wanted.stable);
    if draft.status.aborted() {
        after_abort(seen, draft, new, stable, route);
    } else {
        scale(seen, draft, new, wanted.new);
    }
}

/// The canary of an aborted update goes when its traffic is gone, stable is whole, and the delay is over.
fn after_abort(
    seen: &Seen<'_>,
    draft: &mut Draft,
    new: &ReplicaSet,
    stable: &ReplicaSet,
    route: &Route,
) {
    let dynamic = seen.canary.dynamic_stable_scale == Some(true);
    let delay = match seen.canary.abort_scale_down_delay_seconds {
        Some(0) => return,
        Some(seconds) => Some(seconds),
        None if dynamic => None,
        None => Some(ABORT_DELAY),
    };
    if new.replicas == 0 || !route.is_quiet() {
        return;
    }
    let has_deadline = new.annotations.contains_key(names::SCALE_DOWN_DEADLINE);
    if !has_deadline && available(stable) < seen.replicas {
        draft.reason(Reason::PodsNotAvailable {
            replica_set: stable.name.clone(),
            available: available(stable),
            needed: seen.replicas,
        });
        return;
    }
    older::go(seen, draft, new, delay, Begin::Once);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(replicas: i32, weight: i32) -> Inputs {
        Inputs {
            replicas,
            weight,
            shown: 0,
            max: 100,
            dynamic: false,
            min_pods: 0,
        }
    }

    #[test]
    fn the_canary_has_its_share_rounded_up_and_stable_stays_whole() {
        for (replicas, weight, new) in [
            (10, 0, 0),
            (10, 1, 1),
            (10, 10, 1),
            (10, 11, 2),
            (10, 50, 5),
            (10, 100, 10),
            (1, 1, 1),
            (1, 0, 0),
            (3, 33, 1),
            (3, 34, 2),
            (0, 50, 0),
        ] {
            let expected = Sizes {
                new,
                stable: replicas,
            };
            assert_eq!(
                sizes(inputs(replicas, weight)),
                expected,
                "{replicas} at {weight}"
            );
        }
    }

    #[test]
    fn another_maximum_scales_the_share() {
        assert_eq!(
            sizes(Inputs {
                max: 1000,
                ..inputs(10, 250)
            })
            .new,
            3
        );
        assert_eq!(
            sizes(Inputs {
                max: 1000,
                ..inputs(30, 1)
            })
            .new,
            1
        );
    }

    #[test]
    fn the_lower_bound_holds_for_sets_with_pods_and_is_capped() {
        let at = |replicas, weight| Inputs {
            min_pods: 2,
            ..inputs(replicas, weight)
        };
        assert_eq!(sizes(at(10, 10)).new, 2);
        assert_eq!(sizes(at(10, 0)).new, 0);
        assert_eq!(sizes(at(10, 50)).new, 5);
        assert_eq!(sizes(at(1, 10)).new, 1);
        assert_eq!(
            sizes(Inputs {
                dynamic: true,
                shown: 95,
                ..at(10, 95)
            })
            .stable,
            2
        );
    }

    #[test]
    fn a_dynamic_stable_set_shrinks_behind_the_traffic_that_is_seen_to_leave() {
        let at = |weight, shown| {
            sizes(Inputs {
                dynamic: true,
                shown,
                ..inputs(10, weight)
            })
            .stable
        };
        assert_eq!(at(30, 0), 10);
        assert_eq!(at(30, 30), 7);
        assert_eq!(at(100, 30), 7);
        assert_eq!(at(100, 100), 0);
        // On the way back stable grows before traffic comes.
        assert_eq!(at(0, 80), 10);
    }
}
