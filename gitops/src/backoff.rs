//! Waiting times: between the attempts of self-heal, and between the retries of a failed sync.

use jiff::SignedDuration;
use sluice_crds::application::policy::{Backoff, RetryStrategy};

/// Self-heal: 2 s, then three times as long each time, at most 300 s. The first attempt does not wait.
pub const SELF_HEAL: Growth = Growth {
    base: SignedDuration::from_secs(2),
    factor: 3,
    cap: SignedDuration::from_secs(300),
};

/// A waiting time that grows by a factor up to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// First wait.
    pub base: SignedDuration,
    /// Factor; at least 1.
    pub factor: i64,
    /// Longest wait.
    pub cap: SignedDuration,
}

impl Growth {
    /// The wait before attempt `n`, counted from 0: `base · factorⁿ`, at most `cap`.
    #[must_use]
    pub fn wait(&self, n: i64) -> SignedDuration {
        let mut wait = self.base;
        for _ in 0..n.clamp(0, 1_000) {
            if wait >= self.cap {
                break;
            }
            let factor = i32::try_from(self.factor.max(1)).unwrap_or(i32::MAX);
            wait = wait.checked_mul(factor).unwrap_or(self.cap);
        }
        wait.min(self.cap)
    }
}

/// The retries of automated syncs whose Application says nothing about retries.
#[must_use]
pub fn automated_default() -> RetryStrategy {
    RetryStrategy {
        limit: Some(5),
        ..RetryStrategy::default()
    }
}

/// The wait before retry `n`, counted from 0. A duration that is not understood counts as its default, and a
/// condition says so elsewhere ([`problem`]).
#[must_use]
pub fn retry_wait(strategy: &RetryStrategy, n: i64) -> SignedDuration {
    let fallback = Backoff::default();
    let backoff = strategy.backoff.as_ref().unwrap_or(&fallback);
    Growth {
        base: backoff.duration().unwrap_or(SignedDuration::from_secs(5)),
        factor: backoff.factor(),
        cap: backoff
            .max_duration()
            .unwrap_or(SignedDuration::from_secs(180)),
    }
    .wait(n)
}

/// Whether another retry is allowed after `n` retries.
#[must_use]
pub fn may_retry(strategy: &RetryStrategy, n: i64) -> bool {
    match strategy.limit {
        None => false,
        Some(limit) => limit < 0 || n < limit,
    }
}

/// What is wrong with a retry strategy: one sentence that names the field.
#[must_use]
pub fn problem(strategy: &RetryStrategy) -> Option<String> {
    let backoff = strategy.backoff.as_ref()?;
    let field = "spec.syncPolicy.retry.backoff";
    if let Err(error) = backoff.duration() {
        return Some(format!("{field}.duration: {error}"));
    }
    backoff
        .max_duration()
        .err()
        .map(|error| format!("{field}.maxDuration: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(growth: Growth) -> Vec<i64> {
        (0..7).map(|n| growth.wait(n).as_secs()).collect()
    }

    #[test]
    fn self_heal_waits_longer_each_time_up_to_five_minutes() {
        assert_eq!(seconds(SELF_HEAL), [2, 6, 18, 54, 162, 300, 300]);
    }

    #[test]
    fn retries_wait_as_written_or_by_default() {
        let waits = |strategy: &RetryStrategy| -> Vec<i64> {
            (0..7).map(|n| retry_wait(strategy, n).as_secs()).collect()
        };
        assert_eq!(waits(&automated_default()), [5, 10, 20, 40, 80, 160, 180]);
        let strategy = RetryStrategy {
            backoff: Some(Backoff {
                duration: Some("10".to_owned()),
                factor: Some(1),
                max_duration: Some("1m".to_owned()),
            }),
            ..RetryStrategy::default()
        };
        assert_eq!(waits(&strategy), [10; 7]);
    }

    #[test]
    fn the_number_of_retries_is_bounded_unless_negative() {
        let limited = automated_default();
        assert!(may_retry(&limited, 4) && !may_retry(&limited, 5));
        let endless = RetryStrategy {
            limit: Some(-1),
            ..RetryStrategy::default()
        };
        assert!(may_retry(&endless, 1_000_000));
        assert!(!may_retry(&RetryStrategy::default(), 0));
    }

    #[test]
    fn a_duration_that_is_not_understood_is_named() {
        let strategy = RetryStrategy {
            backoff: Some(Backoff {
                duration: Some("soon".to_owned()),
                ..Backoff::default()
            }),
            ..RetryStrategy::default()
        };
        assert!(
            problem(&strategy)
                .unwrap()
                .starts_with("spec.syncPolicy.retry.backoff.duration")
        );
    }

    #[test]
    fn no_factor_can_overflow() {
        let growth = Growth {
            base: SignedDuration::from_secs(i64::MAX / 2),
            factor: i64::MAX,
            cap: SignedDuration::MAX,
        };
        assert_eq!(growth.wait(1_000), SignedDuration::MAX);
    }
}
