//! The arithmetic of two weights in a list of backends.
//!
//! What a pair of weights means: the canary's share is `canary / (canary + stable)`.
//!
//! How a wanted share is written:
//! * The pair says it already, in whatever numbers: nothing is written.
//! * No other backend of the list has a weight above 0: the two weights become the wanted weight and what is left of
//!   the maximum, as Argo Rollouts writes them.
//! * Other backends have weight: their share of the traffic is not the Rollout's, so the pair keeps the sum that it
//!   has now and splits it. Without a sum that is a multiple of the maximum the split would be rounded: then a canary
//!   does not begin. All and nothing are always possible, so that an abort always is.

use serde_json::Value;

use crate::edit::Operations;
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

/// The two backends in a list, with the weights that they have now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    canary: usize,
    stable: usize,
    canary_weight: Result<i64, String>,
    stable_weight: Result<i64, String>,
    others: Result<i64, String>,
}

impl Pair {
    /// Finds the two backends among `items`.
    pub(crate) fn find(items: &[Value], role: impl Fn(&Value) -> Role) -> Result<Self, NoPair> {
        let (mut canary, mut stable, mut others) = (None, None, Ok(0));
        for (index, item) in items.iter().enumerate() {
            match role(item) {
                Role::Canary if canary.is_some() => return Err(NoPair::CanaryTwice),
                Role::Stable if stable.is_some() => return Err(NoPair::StableTwice),
                Role::Canary => canary = Some((index, weight_of(item))),
                Role::Stable => stable = Some((index, weight_of(item))),
                Role::Other => {
                    others = others.and_then(|sum: i64| Ok(sum.saturating_add(weight_of(item)?)));
                }
            }
        }
        match (canary, stable) {
            (Some((canary, canary_weight)), Some((stable, stable_weight))) => Ok(Self {
                canary,
                stable,
                canary_weight,
                stable_weight,
                others,
            }),
            (None, Some(_)) => Err(NoPair::OnlyStable),
            (Some(_), None) => Err(NoPair::OnlyCanary),
            (None, None) => Err(NoPair::Neither),
        }
    }

    /// The canary's weight, as parts of `max`; `Err` says why it has none that can be driven.
    pub(crate) fn observed(&self, max: i32) -> Result<i32, String> {
        let (canary, stable) = (self.canary_weight.clone()?, self.stable_weight.clone()?);
        let sum = canary + stable;
        if sum == 0 {
            return Err(
                "the weights of the stable and the canary Service are both 0: give the \
                        stable one a weight"
                    .to_owned(),
            );
        }
        // Said before a canary begins. One that has traffic already is shown as it is, so that an abort sees it.
        if canary == 0 && self.others.clone()? > 0 && sum % i64::from(max.max(1)) != 0 {
            return Err(format!(
                "other backends have weight beside the stable and the canary Service, whose weights \
                 sum to {sum}: that cannot be split in {max} parts; make their sum {max} or a \
                 multiple of it (and scale the other backends with it), or set maxTrafficWeight to \
                 {sum}"
            ));
        }
        Ok(scaled(canary, sum, max))
    }

    /// Whether the list can give the canary `wanted` parts of `max`.
    pub(crate) fn can_express(&self, wanted: i32, max: i32) -> bool {
        self.weights(wanted, max).is_some()
    }

    /// The two weights (canary, stable) that give the canary `wanted` parts of `max`; `None` when the list cannot
    /// express it.
    pub(crate) fn weights(&self, wanted: i32, max: i32) -> Option<(i64, i64)> {
        let (wanted, max) = (i64::from(wanted.clamp(0, max.max(0))), i64::from(max));
        let now = self
            .canary_weight
            .as_ref()
            .ok()
            .zip(self.stable_weight.as_ref().ok());
        if let Some((&canary, &stable)) = now {
            let sum = canary + stable;
            if sum > 0 && canary * max == wanted * sum {
                return Some((canary, stable));
            }
            if self.has_others() {
                let whole = sum > 0 && (wanted == 0 || wanted == max || sum % max == 0);
                let canary = whole.then(|| wanted * sum / max)?;
                return Some((canary, sum - canary));
            }
        } else if self.has_others() {
            return None;
        }
        Some((wanted, max - wanted))
    }

    /// Whether `wanted` parts of `max` are more for the canary than it has now. An unreadable weight counts as 0.
    pub(crate) fn raises(&self, wanted: i32, max: i32) -> bool {
        match (&self.canary_weight, &self.stable_weight) {
            (Ok(canary), Ok(stable)) => {
                i64::from(wanted) * (canary + stable) > *canary * i64::from(max)
            }
            _ => wanted > 0,
        }
    }

    /// Adds the operations that give the canary `wanted` parts of `max`, for the list at the pointer `list`. Returns
    /// the change in words, or nothing when there is none.
    pub(crate) fn set(
        &self,
        operations: &mut Operations,
        list: &str,
        items: &[Value],
        wanted: i32,
        max: i32,
    ) -> Option<String> {
        let (canary, stable) = self.weights(wanted, max)?;
        let mut words = Vec::new();
        for (index, weight) in [(self.canary, canary), (self.stable, stable)] {
            let item = items.get(index)?;
            let current = item.get("weight");
            if weight_of(item) == Ok(weight) {
                continue;
            }
            let name = text(item, &["name"]).unwrap_or_default();
            operations.test(&format!("{list}/{index}/name"), &Value::from(name));
            operations.set(
                &format!("{list}/{index}/weight"),
                current,
                Value::from(weight),
            );
            let from = match weight_of(item) {
                Ok(weight) => weight.to_string(),
                Err(_) => "?".to_owned(),
            };
            words.push(format!("{name} {from} → {weight}"));
        }
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// Index of the canary's item.
    pub(crate) fn canary_index(&self) -> usize {
        self.canary
    }

    /// Index of the stable side's item.
    pub(crate) fn stable_index(&self) -> usize {
        self.stable
    }

    /// The weights (canary, stable), when both are readable.
    pub(crate) fn now(&self) -> Option<(i64, i64)> {
        self.canary_weight
            .clone()
            .ok()
            .zip(self.stable_weight.clone().ok())
    }

    /// Whether other backends have weight; unreadable ones count.
    pub(crate) fn has_others(&self) -> bool {
        self.others != Ok(0)
    }
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
