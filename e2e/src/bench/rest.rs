//! What a controller costs while nothing happens: memory, processor time and requests over a while.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::figures::{Figure, Unit};
use super::stage::Stage;
use super::subject::Running;

/// A controller rests when it sends fewer requests a second than this: what came before has been worked off.
const CALM: f64 = 2.0;
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How long a controller is waited for that never rests.
const LIMIT: Duration = Duration::from_secs(240);

/// What it may cost at most.
#[derive(Debug, Clone, Copy)]
pub struct Targets {
    /// Resident memory in millions of bytes.
    pub megabytes: f64,
    /// Processor time in percent of a core.
    pub percent: f64,
}

/// Watches a controller rest.
///
/// # Errors
/// When it ends.
pub async fn observe(stage: &Stage, controller: &Running, targets: Targets) -> Result<Vec<Figure>> {
    let period = stage.settings.period;
    let requests = async || anyhow::Ok(controller.requests().await?.values().sum::<f64>());
    let step = stage.reporter.step("coming to rest");
    let began = Instant::now();
    let mut sent = requests().await?;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = requests().await?;
        let rate = (now - std::mem::replace(&mut sent, now)) / LOOK.as_secs_f64();
        if rate < CALM || began.elapsed() > LIMIT {
            break;
        }
        step.detail(format!("{rate:.0} requests a second"));
    }
    step.done("");
    let step = stage.reporter.step("at rest");
    let before = controller.usage()?;
    tokio::time::sleep(period).await;
    let after = controller.usage()?;
    let sent = requests().await? - sent;
    let seconds = period.as_secs_f64();
    let resident = megabytes(after.resident);
    let percent = 100.0 * (after.cpu_seconds - before.cpu_seconds) / seconds;
    step.done(format!(
        "{}, {}",
        Unit::Megabytes.show(resident),
        Unit::PercentOfACore.show(percent)
    ));
    Ok(vec![
        Figure::new("resident memory", resident, Unit::Megabytes).under(targets.megabytes),
        Figure::new("processor time", percent, Unit::PercentOfACore).under(targets.percent),
        Figure::new("API requests", sent / seconds, Unit::PerSecond),
    ])
}

/// Millions of bytes.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "memory in bytes is far below 2^52"
)]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
