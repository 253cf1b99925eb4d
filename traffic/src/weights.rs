//! The arithmetic of the weights of a Rollout's backends in a list: the canary's, the stable side's, and those of
//! experiments.
//!
//! What they mean: the share of each is its weight of the sum of them all.
//!
//! How a wanted share is written:
//! * The list says it already, in whatever numbers: nothing is written.
//! * No other backend of the list has a weight above 0: the weights become the wanted ones and what is left of the
//!   maximum, as Argo Rollouts writes them.
//! * Other backends have weight: their share of the traffic is not the Rollout's, so its own keep the sum that they
//!   have now and split it. Without a sum that is a multiple of the maximum the split would be rounded: then a canary
//!   does not begin. All and nothing are always possible, so that an abort always is.

use serde_json::Value;
use sluice_crds::split::{Split, WeightedService};

use crate::edit::Operations;
use crate::experiments;
use crate::object::text;

/// The largest weight that the API accepts (Gateway API).
pub(crate) const LARGEST: i64 = 1_000_000;

/// What a backend is to the Rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The canary Service.
    Canary,
    /// The stable Service.
    Stable,
    /// The Service of an experiment, which the Rollout has added.
    Experiment,
    /// Somebody else's.
    Other,
}

/// Why a list of backends has no pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPair {
    /// Neither Service is there.
    Neither,
    /// The canary Service is missing.
    OnlyStable,
    /// The stable Service is missing.
    OnlyCanary,
    /// The canary Service is there twice.
    CanaryTwice,
    /// The stable Service is there twice.
    StableTwice,
}

/// The shares that a list is to express.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    /// Parts of the canary.
    pub(crate) canary: i32,
    /// What all parts sum to.
    pub(crate) max: i32,
    /// Parts of experiments, in the order of their Services' names.
    pub(crate) experiments: Vec<WeightedService>,
}

impl Share {
    /// The shares of a split. A destination that is one of the two sides is left out: it has its share already.
    pub(crate) fn of(split: &Split) -> Self {
        let sides = [&split.canary_service, &split.stable_service];
        let mut experiments: Vec<WeightedService> = split
            .additional
            .iter()
            .filter(|it| it.weight > 0 && !sides.contains(&&it.service))
            .cloned()
            .collect();
        experiments.sort_by(|a, b| a.service.cmp(&b.service));
        experiments.dedup_by(|a, b| a.service == b.service);
        Self {
            canary: split.canary.clamp(0, split.max.max(0)),
            max: split.max,
            experiments,
        }
    }
}

/// Weights that express a [`Share`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weights {
    pub(crate) canary: i64,
    pub(crate) stable: i64,
    /// In the order of the share.
    experiments: Vec<i64>,
}

/// The weights that a list has now, when all can be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) canary: i64,
    pub(crate) stable: i64,
    pub(crate) experiments: i64,
}

impl Now {
    pub(crate) fn sum(self) -> i64 {
        self.canary
            .saturating_add(self.stable)
            .saturating_add(self.experiments)
    }
}

/// The Rollout's backends in a list, with the weights that they have now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    canary: usize,
    stable: usize,
    canary_weight: Result<i64, String>,
    stable_weight: Result<i64, String>,
    /// Index, Service and weight of each backend of an experiment, in the order of the Services' names.
    experiments: Vec<(usize, String, Result<i64, String>)>,
    others: Result<i64, String>,
}

impl Pair {
    /// Finds the backends among `items`.
    pub(crate) fn find(items: &[Value], role: impl Fn(&Value) -> Role) -> Result<Self, NoPair> {
        let (mut canary, mut stable, mut others) = (None, None, Ok(0));
        let mut experiments = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match role(item) {
                Role::Canary if canary.is_some() => return Err(NoPair::CanaryTwice),
                Role::Stable if stable.is_some() => return Err(NoPair::StableTwice),
                Role::Canary => canary = Some((index, weight_of(item))),
                Role::Stable => stable = Some((index, weight_of(item))),
                Role::Experiment => {
                    let name = text(item, &["name"]).unwrap_or_default().to_owned();
                    experiments.push((index, name, weight_of(item)));
                }
                Role::Other => {
                    others = others.and_then(|sum: i64| Ok(sum.saturating_add(weight_of(item)?)));
                }
            }
        }
        experiments.sort_by(|a, b| a.1.cmp(&b.1));
        match (canary, stable) {
            (Some((canary, canary_weight)), Some((stable, stable_weight))) => Ok(Self {
                canary,
                stable,
                canary_weight,
                stable_weight,
                experiments,
                others,
            }),
            (None, Some(_)) => Err(NoPair::OnlyStable),
            (Some(_), None) => Err(NoPair::OnlyCanary),
            (None, None) => Err(NoPair::Neither),
        }
    }

    /// The weights now; `Err` names one that cannot be read.
    pub(crate) fn now(&self) -> Result<Now, String> {
        let mut experiments: i64 = 0;
        for (_, _, weight) in &self.experiments {
            experiments = experiments.saturating_add(weight.clone()?);
        }
        Ok(Now {
            canary: self.canary_weight.clone()?,
            stable: self.stable_weight.clone()?,
            experiments,
        })
    }

    /// The canary's weight, as parts of `max`; `Err` says why it has none that can be driven.
    pub(crate) fn observed(&self, max: i32) -> Result<i32, String> {
        let now = self.now()?;
        let sum = now.sum();
        if sum == 0 {
            return Err(
                "the weights of the stable and the canary Service are both 0: give the \
                        stable one a weight"
                    .to_owned(),
            );
        }
        // Said before a canary begins. One that has traffic already is shown as it is, so that an abort sees it.
        if now.canary == 0 && self.others.clone()? > 0 && sum % i64::from(max.max(1)) != 0 {
            return Err(format!(
                "other backends have weight beside the stable and the canary Service, whose weights \
                 sum to {sum}: that cannot be split in {max} parts; make their sum {max} or a \
                 multiple of it (and scale the other backends with it), or set maxTrafficWeight to \
                 {sum}"
            ));
        }
        Ok(scaled(now.canary, sum, max))
    }

    /// The weights of experiments' Services, as parts of `max`.
    pub(crate) fn observed_experiments(&self, max: i32) -> Vec<(String, i32)> {
        let sum = self.now().map_or(0, Now::sum);
        self.experiments
            .iter()
            .map(|(_, name, weight)| {
                let weight = weight.clone().unwrap_or_default();
                (name.clone(), scaled(weight, sum, max))
            })
            .collect()
    }

    /// Whether the list can express the share.
    pub(crate) fn can_express(&self, wanted: &Share) -> bool {
        self.weights(wanted).is_some()
    }

    /// The weights that give each its part; `None` when the list cannot express it.
    pub(crate) fn weights(&self, wanted: &Share) -> Option<Weights> {
        let max = i64::from(wanted.max);
        let canary = i64::from(wanted.canary.clamp(0, wanted.max.max(0)));
        let parts = || wanted.experiments.iter().map(|it| i64::from(it.weight));
        if let Ok(now) = self.now() {
            let sum = now.sum();
            let same = |has: i64, part: i64| has * max == part * sum;
            let experiments_same = self.experiments.len() == wanted.experiments.len()
                && self.experiments.iter().zip(&wanted.experiments).all(
                    |((_, name, has), wanted)| {
                        *name == wanted.service
                            && has
                                .as_ref()
                                .is_ok_and(|has| same(*has, wanted.weight.into()))
                    },
                );
            if sum > 0 && same(now.canary, canary) && experiments_same {
                let weights = self.experiments.iter();
                return Some(Weights {
                    canary: now.canary,
                    stable: now.stable,
                    experiments: weights.filter_map(|it| it.2.clone().ok()).collect(),
                });
            }
            if self.has_others() {
                let alone = wanted.experiments.is_empty() && (canary == 0 || canary == max);
                let whole = sum > 0 && (alone || sum % max == 0);
                return whole.then(|| {
                    Weights::dividing(
                        sum,
                        canary * sum / max,
                        parts().map(|part| part * sum / max),
                    )
                });
            }
        } else if self.has_others() {
            return None;
        }
        Some(Weights::dividing(max, canary, parts()))
    }

    /// Whether `wanted` parts of `max` are more for the canary than it has now. An unreadable weight counts as 0.
    pub(crate) fn raises(&self, wanted: i32, max: i32) -> bool {
        match self.now() {
            Ok(now) => i64::from(wanted) * now.sum() > now.canary * i64::from(max),
            Err(_) => wanted > 0,
        }
    }

    /// The list as it must be to express the share; `None` when it cannot.
    pub(crate) fn listed(&self, items: &[Value], wanted: &Share) -> Option<Vec<Value>> {
        let weights = self.weights(wanted)?;
        let canary = items.get(self.canary)?;
        let mut list = items.to_vec();
        let known = [(self.canary, weights.canary), (self.stable, weights.stable)];
        for (index, weight) in known {
            set_weight(&mut list, index, weight);
        }
        let mut added = Vec::new();
        for (destination, weight) in wanted.experiments.iter().zip(&weights.experiments) {
            let mut there = self.experiments.iter();
            match there.find(|(_, name, _)| *name == destination.service) {
                Some((index, _, _)) => set_weight(&mut list, *index, *weight),
                None => added.push(experiments::backend(canary, destination, *weight)),
            }
        }
        let mut gone: Vec<usize> = self
            .experiments
            .iter()
            .filter(|(_, name, _)| !wanted.experiments.iter().any(|it| it.service == *name))
            .map(|(index, _, _)| *index)
            .collect();
        gone.sort_unstable();
        for index in gone.iter().rev() {
            list.remove(*index);
        }
        list.extend(added);
        Some(list)
    }

    /// Adds the operations that express the share, for the list at the pointer `list`. Returns the change in words, or
    /// nothing when there is none.
    pub(crate) fn set(
        &self,
        operations: &mut Operations,
        list: &str,
        items: &[Value],
        wanted: &Share,
    ) -> Option<String> {
        let new = self.listed(items, wanted)?;
        if new == items {
            return None;
        }
        let name = |item: &Value| text(item, &["name"]).unwrap_or_default().to_owned();
        let same_members = new.len() == items.len()
            && new
                .iter()
                .zip(items)
                .all(|(new, old)| name(new) == name(old));
        let mut words = Vec::new();
        if same_members {
            let known = [self.canary, self.stable];
            for index in known.into_iter().chain(self.experiment_indices()) {
                let (new, old) = (new.get(index)?, items.get(index)?);
                if weight_of(new) == weight_of(old) {
                    continue;
                }
                let weight = new.get("weight").cloned().unwrap_or(Value::Null);
                words.push(format!("{} {} → {weight}", name(old), told(old)));
                operations.test(&format!("{list}/{index}/name"), &Value::from(name(old)));
                operations.set(&format!("{list}/{index}/weight"), old.get("weight"), weight);
            }
            return (!words.is_empty()).then(|| words.join(", "));
        }
        for old in items {
            match new.iter().find(|new| name(new) == name(old)) {
                None => words.push(format!("{} {} → 0", name(old), told(old))),
                Some(new) if weight_of(new) != weight_of(old) => {
                    words.push(format!("{} {} → {}", name(old), told(old), told(new)));
                }
                Some(_) => {}
            }
        }
        for new in new
            .iter()
            .filter(|new| !items.iter().any(|old| name(old) == name(new)))
        {
            words.push(format!("{} 0 → {}", name(new), told(new)));
        }
        operations.set(list, Some(&Value::from(items)), Value::from(new));
        Some(words.join(", "))
    }

    /// Index of the canary's item.
    pub(crate) fn canary_index(&self) -> usize {
        self.canary
    }

    /// Index of the stable side's item.
    pub(crate) fn stable_index(&self) -> usize {
        self.stable
    }

    /// Indices of the items of experiments, in the order of the list.
    pub(crate) fn experiment_indices(&self) -> Vec<usize> {
        let mut indices: Vec<usize> = self.experiments.iter().map(|it| it.0).collect();
        indices.sort_unstable();
        indices
    }

    /// Whether other backends have weight; unreadable ones count.
    pub(crate) fn has_others(&self) -> bool {
        self.others != Ok(0)
    }
}

impl Weights {
    /// What is left of `sum` is the stable side's.
    fn dividing(sum: i64, canary: i64, experiments: impl Iterator<Item = i64>) -> Self {
        let experiments: Vec<i64> = experiments.collect();
        let taken: i64 = experiments.iter().sum();
        Self {
            canary,
            stable: (sum - canary - taken).max(0),
            experiments,
        }
    }
}

/// Sets the weight of an item, unless it has it.
fn set_weight(list: &mut [Value], index: usize, weight: i64) {
    if let Some(item) = list.get_mut(index)
        && weight_of(item) != Ok(weight)
        && let Some(fields) = item.as_object_mut()
    {
        fields.insert("weight".to_owned(), Value::from(weight));
    }
}

/// The weight of an item for a sentence.
fn told(item: &Value) -> String {
    weight_of(item).map_or_else(|_| "?".to_owned(), |weight| weight.to_string())
}

/// The weight of a backend; 1 when it has none, as the API says.
fn weight_of(item: &Value) -> Result<i64, String> {
    match item.get("weight") {
        None | Some(Value::Null) => Ok(1),
        Some(value) => value
            .as_i64()
            .filter(|weight| (0..=LARGEST).contains(weight))
            .ok_or_else(|| {
                let name = text(item, &["name"]).unwrap_or("a backend");
                format!(
                    "the weight of {name} must be a whole number of 0 to {LARGEST}, not {value}"
                )
            }),
    }
}

/// `part` of `sum` as parts of `max`, rounded; nothing and everything are never the result of rounding.
pub(crate) fn scaled(part: i64, sum: i64, max: i32) -> i32 {
    if part <= 0 || sum <= 0 {
        return 0;
    }
    if part >= sum {
        return max;
    }
    let rounded = (part.saturating_mul(i64::from(max)).saturating_add(sum / 2)) / sum;
    i32::try_from(rounded).unwrap_or(max).min(max - 1).max(1)
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn nothing_and_everything_are_never_the_result_of_rounding() {
        for (part, sum, max, expected) in [
            (0, 100, 100, 0),
            (10, 100, 100, 10),
            (100, 100, 100, 100),
            (1, 1_000_000, 100, 1),
            (999_999, 1_000_000, 100, 99),
            (1, 3, 100, 33),
            (2, 3, 100, 67),
            (5, 1000, 100, 1),
            (1, 2, 1, 1),
            (5, 0, 100, 0),
            (500, 100, 100, 100),
        ] {
            assert_eq!(scaled(part, sum, max), expected, "{part} of {sum} in {max}");
        }
    }
}
