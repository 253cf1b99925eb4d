//! Sizes without traffic routing: the share of pods stands in for the share of traffic.
//!
//! [`approximate`] turns a weight into two whole numbers; [`next`] moves towards them without going above
//! `N + maxSurge` pods or below `N - maxUnavailable` available ones. Pure arithmetic, in the exact steps that people know.

use sluice_crds::IntOrString;
use sluice_crds::rollout::{CanaryStrategy, RolloutStatus};

use super::Sizes;
use crate::draft::Draft;
use crate::seen::{MOST_PODS, Seen};
use crate::weight;
use crate::world::ReplicaSet;

/// Weights are percentages here.
const WHOLE: i32 = 100;
/// Default of maxSurge and maxUnavailable, in percent.
const DEFAULT_PERCENT: i32 = 25;

/// The sizes that the present step asks for in the end.
pub(super) fn wanted(seen: &Seen<'_>, status: &RolloutStatus) -> Sizes {
    if seen.update().is_none() {
        return Sizes {
            new: seen.replicas,
            stable: 0,
        };
    }
    let weight = weight::of_status(seen, status);
    approximate(seen.replicas, weight, max_surge(seen.canary, seen.replicas))
}

/// Scales the new and the stable set one stretch further.
pub(super) fn reconcile(seen: &Seen<'_>, draft: &mut Draft) {
    // While the new set is being made the others rest.
    let Some(new) = seen.sets.new else { return };
    let stable = seen.update().map(|(_, stable)| stable);
    let size = |set: &ReplicaSet| Size {
        pods: set.replicas.clamp(0, MOST_PODS),
        available: set.available.clamp(0, MOST_PODS),
    };
    let next = next(Inputs {
        replicas: seen.replicas,
        surge: max_surge(seen.canary, seen.replicas),
        unavailable: max_unavailable(seen.canary, seen.replicas),
        wanted: wanted(seen, &draft.status),
        new: size(new),
        stable: stable.map(size),
        older: seen
            .sets
            .older
            .iter()
            .map(|set| set.replicas)
            .fold(0, i32::saturating_add)
            .clamp(0, MOST_PODS),
    });
    draft.set(new).to = Some(next.new);
    if let Some(stable) = stable {
        draft.set(stable).to = Some(next.stable);
    }
}

/// maxSurge in pods, rounded up.
pub(crate) fn max_surge(canary: &CanaryStrategy, replicas: i32) -> i32 {
    resolve(canary.max_surge.as_ref(), replicas, true)
}

/// maxUnavailable in pods, rounded down; 1 when nothing could move otherwise.
pub(crate) fn max_unavailable(canary: &CanaryStrategy, replicas: i32) -> i32 {
    let unavailable = resolve(canary.max_unavailable.as_ref(), replicas, false);
    let unavailable = if unavailable == 0 && max_surge(canary, replicas) == 0 {
        1
    } else {
        unavailable
    };
    unavailable.min(replicas)
}

/// An amount in pods, rounded down.
pub(super) fn rounded_down(amount: Option<&IntOrString>, replicas: i32) -> i32 {
    resolve(amount, replicas, false).min(replicas)
}

/// A number of pods. Text is a percentage, with the sign or without it; what is neither counts as the default.
fn resolve(amount: Option<&IntOrString>, replicas: i32, up: bool) -> i32 {
    let percent = match amount {
        Some(IntOrString::Int(pods)) => return (*pods).clamp(0, MOST_PODS),
        Some(IntOrString::String(text)) => text
            .trim()
            .trim_end_matches('%')
            .parse()
            .unwrap_or(DEFAULT_PERCENT),
        None => DEFAULT_PERCENT,
    };
    let product = i64::from(percent.max(0)) * i64::from(replicas.max(0));
    let pods = if up {
        (product + 99) / 100
    } else {
        product / 100
    };
    i32::try_from(pods).unwrap_or(MOST_PODS).min(MOST_PODS)
}

/// Splits `replicas` pods, or one more where surging is allowed, as near to `weight` percent as whole pods can be.
///
/// Rounding down is not tried when it is exactly as far away as rounding up, nor where it leaves a side empty that the
/// weight does not want empty. Among equals the first wins: rounded up before rounded down, `N` pods before `N + 1`.
pub(crate) fn approximate(replicas: i32, weight: i32, surge: i32) -> Sizes {
    if replicas <= 0 {
        return Sizes { new: 0, stable: 0 };
    }
    let empty_allowed = weight <= 0 || weight >= WHOLE || (replicas == 1 && surge == 0);
    let totals = if surge > 0 {
        vec![replicas, replicas + 1]
    } else {
        vec![replicas]
    };
    let mut best: Option<(i64, i64, Sizes)> = None;
    for total in totals {
        let exact = i64::from(total) * i64::from(weight);
        let (down, rest) = (exact / 100, exact % 100);
        let up = if rest > 0 { down + 1 } else { down };
        let tie = rest == 50;
        let up = (up < i64::from(total) || empty_allowed).then_some(up);
        let down = (!tie && (down != 0 || empty_allowed)).then_some(down);
        for new in [up, down].into_iter().flatten() {
            // |new/total - weight/100|, as a fraction over 100 * total so that nothing is rounded.
            let (distance, over) = ((100 * new - exact).abs(), i64::from(total));
            let nearer = best.is_none_or(|(best, best_over, _)| distance * best_over < best * over);
            if nearer {
                let new = i32::try_from(new).unwrap_or(total);
                best = Some((
                    distance,
                    over,
                    Sizes {
                        new,
                        stable: total - new,
                    },
                ));
            }
        }
    }
    best.map_or(
        Sizes {
            new: 0,
            stable: replicas,
        },
        |(_, _, sizes)| sizes,
    )
}

/// One set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    /// `spec.replicas`.
    pods: i32,
    /// `status.availableReplicas`.
    available: i32,
}

impl Size {
    /// Pods that count towards availability; `all` takes even those that are not available.
    fn counted(self, all: bool) -> i32 {
        if all {
            self.pods
        } else {
            self.available.min(self.pods)
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Inputs {
    replicas: i32,
    surge: i32,
    unavailable: i32,
    wanted: Sizes,
    new: Size,
    /// Absent when the new revision is the only one.
    stable: Option<Size>,
    /// Pods of all other sets.
    older: i32,
}

/// The next sizes on the way to the wanted ones.
fn next(inputs: Inputs) -> Sizes {
    let Inputs {
        replicas,
        surge,
        unavailable,
        wanted,
        new,
        stable,
        older,
    } = inputs;
    let most = replicas + surge;
    let least_available = replicas - unavailable;
    let stable = stable.unwrap_or(Size {
        pods: 0,
        available: 0,
    });
    let mut next = Sizes {
        new: new.pods,
        stable: stable.pods,
    };

    // Up: stable first, then the new one, as far as the surge allows.
    let mut room = most - (new.pods + stable.pods + older);
    for (size, wanted) in [
        (&mut next.stable, wanted.stable),
        (&mut next.new, wanted.new),
    ] {
        let added = (wanted - *size).min(room).max(0);
        *size += added;
        room -= added;
    }
    if older > 0 {
        // Older sets are drained before these two shrink.
        return next;
    }

    // Down: the side that is meant to shrink gives up what availability does not need. Its own unavailable pods go
    // first, so they count like available ones; those of the other side do not.
    let increasing = wanted.new >= new.pods;
    let budget = new.counted(!increasing) + stable.counted(increasing) - least_available;
    if budget <= 0 {
        return next;
    }
    let limits = Limits {
        most,
        least_available,
    };
    if increasing {
        let drained = wanted.stable.max(stable.pods - budget).min(next.stable);
        (next.stable, next.new) = limits.adjust((drained, stable), (next.new, new));
    } else {
        let drained = wanted.new.max(new.pods - budget).min(next.new);
        (next.new, next.stable) = limits.adjust((drained, new), (next.stable, stable));
    }
    next
}

struct Limits {
    most: i32,
    least_available: i32,
}

impl Limits {
    /// Trims what is above the surge: from the other side as far as availability allows, the rest from the drained one.
    /// Takes the size so far and what was observed of each, gives the sizes `(drained, other)`.
    fn adjust(&self, (drained, seen): (i32, Size), (other, other_seen): (i32, Size)) -> (i32, i32) {
        let excess = (drained + other - self.most).max(0);
        let trimmed = (other - excess).max(0);
        let left = seen.counted(false).min(drained);
        let needed = (self.least_available - left)
            .clamp(0, other_seen.counted(false).max(0))
            .min(other);
        let other = trimmed.max(needed);
        let drained = drained - (drained + other - self.most).max(0);
        (drained.max(0), other)
    }
}

#[cfg(test)]
#[path = "basic_tests.rs"]
mod tests;
