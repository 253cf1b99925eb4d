//! How long a controller is away when it is restarted with a fleet there.
//!
//! It ends by SIGTERM, as in an upgrade, and is started again. It is ready when it says so, and has observed everything
//! when each Rollout has been reconciled once, by its own metrics.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::figures::{Figure, Unit};
use super::fleet::Fleet;
use super::rest::megabytes;

/// Promised: seconds until it is ready.
const TARGET: f64 = 15.0;
/// How long it may take.
const LIMIT: Duration = Duration::from_secs(300);
/// A series for each Rollout that was reconciled; Argo Rollouts has it too.
const RECONCILED: &str = "rollout_reconcile_count";

/// Measures it.
///
/// # Errors
/// When it does not come back.
pub async fn measure(fleet: &mut Fleet) -> Result<Vec<Figure>> {
    let stage = &fleet.stage;
    let step = stage.reporter.step("restart");
    if let Some(controller) = fleet.controller.take() {
        controller.stop().await?;
    }
    let began = Instant::now();
    let controller = stage.subject.launch(&stage.cluster)?;
    controller.ready(LIMIT).await?;
    let ready = began.elapsed().as_secs_f64();
    let count = fleet.names.len();
    let all = |page: &super::scrape::Scrape| page.count(RECONCILED) >= count;
    controller
        .until("all Rollouts to be reconciled", LIMIT, all)
        .await?;
    let observed = began.elapsed().as_secs_f64();
    let usage = controller.usage()?;
    fleet.controller = Some(controller);
    step.done(format!(
        "ready {}, everything observed {}",
        Unit::Seconds.show(ready),
        Unit::Seconds.show(observed)
    ));
    Ok(vec![
        Figure::new("ready in", ready, Unit::Seconds).under(TARGET),
        Figure::new("all Rollouts observed in", observed, Unit::Seconds),
        Figure::new("processor time for it", usage.cpu_seconds, Unit::Seconds),
        Figure::new(
            "resident memory then",
            megabytes(usage.resident),
            Unit::Megabytes,
        ),
    ])
}
