//! A token bucket on requests: the client-side limit that `--qps` and `--burst` set.
//!
//! Watches do not count. Fairness between clients is the API server's own work (priority and fairness); this limit only
//! keeps a runaway loop of ours from being noticed there first.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A token bucket; a rate of zero means no limit.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    burst: u32,
    /// When the bucket would be full: tokens are spent by moving this instant into the future.
    full_at: Mutex<Instant>,
}

impl Throttle {
    /// A bucket that refills `qps` tokens a second and holds at most `burst`.
    #[must_use]
    pub fn new(qps: f64, burst: u32) -> Self {
        let interval = if qps > 0.0 {
            Duration::from_secs_f64(1.0 / qps.max(0.001))
        } else {
            Duration::ZERO
        };
        Self {
            interval,
            burst: burst.max(1),
            full_at: Mutex::new(Instant::now()),
        }
    }

    /// Takes one token, and waits for it when the bucket is empty.
    pub async fn take(&self) {
        if self.interval.is_zero() {
            return;
        }
        let ready_at = {
            let now = Instant::now();
            let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
            *full_at = (*full_at).max(now) + self.interval;
            // With `burst` tokens in the bucket, the request may run that many intervals before its turn.
            full_at
                .checked_sub(self.interval * self.burst)
                .unwrap_or(now)
        };
        sleep_until(ready_at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_waits_for_its_turn() {
        let throttle = Throttle::new(10.0, 3);
        let start = Instant::now();
        for _ in 0..3 {
            throttle.take().await;
        }
        assert!(start.elapsed() < Duration::from_millis(2));
        throttle.take().await;
        let waited = start.elapsed();
        assert!(
            waited >= Duration::from_millis(99) && waited < Duration::from_millis(110),
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn zero_means_no_limit() {
        let throttle = Throttle::new(0.0, 1);
        let start = Instant::now();
        for _ in 0..1000 {
            throttle.take().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
