//! Waiting for the real world: poll until it is so, or say after a deadline what was still missing.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How long to sleep between two probes.
const INTERVAL: Duration = Duration::from_millis(50);

/// Probes until the probe succeeds. A probe says by an error why it is not so yet; the last such error is part of
/// the error at the deadline. One probe may not outlive the deadline either.
///
/// ```no_run
/// # async fn example() -> anyhow::Result<()> {
/// use std::time::Duration;
/// let answer = sluice_e2e::wait::eventually("the answer", Duration::from_secs(5), || async {
///     Ok(std::fs::read_to_string("answer")?)
/// }).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// After `limit`, naming `what` and the last reason.
pub async fn eventually<T, F, Fut>(what: &str, limit: Duration, mut probe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let start = Instant::now();
    let mut reason = anyhow!("the first look took too long");
    loop {
        let left = limit.saturating_sub(start.elapsed());
        match tokio::time::timeout(left, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(why)) => reason = why,
            Err(_) => {}
        }
        if start.elapsed() + INTERVAL >= limit {
            let seconds = limit.as_secs_f64();
            return Err(reason.context(format!("waited {seconds:.0} s in vain for {what}")));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_reason_is_in_the_error() {
        let wait = eventually("rain", Duration::from_millis(120), || async {
            anyhow::bail!("the sky is blue") as Result<()>
        });
        let text = format!("{:#}", wait.await.unwrap_err());
        assert_eq!(text, "waited 0 s in vain for rain: the sky is blue");
    }

    #[tokio::test]
    async fn a_probe_that_hangs_ends_with_the_deadline() {
        let wait = eventually(
            "rain",
            Duration::from_millis(80),
            std::future::pending::<Result<()>>,
        );
        assert!(wait.await.is_err());
    }

    #[tokio::test]
    async fn the_value_of_the_first_success_is_returned() {
        let mut count = 0;
        let wait = eventually("three", Duration::from_secs(5), || {
            count += 1;
            let seen = count;
            async move {
                if seen < 3 {
                    anyhow::bail!("only {seen}")
                } else {
                    Ok(seen)
                }
            }
        });
        assert_eq!(wait.await.unwrap(), 3);
    }
}
