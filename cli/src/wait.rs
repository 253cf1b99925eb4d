//! `status`: waits until an update has ended; the exit code says how.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::args::StatusArgs;
use crate::cluster::Cluster;
use crate::failure;
use crate::get::read::read_rollout;
use crate::get::status;
use crate::output;

/// How long an API server that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints each change of phase; ends well when Healthy, with an error when Degraded or out of time. A pause is not an
/// end.
pub(crate) async fn run(cluster: &Cluster, args: &StatusArgs) -> Result<()> {
    let began = Instant::now();
    let mut shown = String::new();
    let mut answered = Instant::now();
    loop {
        let rollout = match read_rollout(cluster, &args.name).await {
            Ok(rollout) => rollout,
            Err(error)
                if args.watch && failure::is_transient(&error) && answered.elapsed() < PATIENCE =>
            {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        answered = Instant::now();
        let (phase, message) = status::of(&rollout);
        let line = match (args.watch, phase.as_str()) {
            (false, "Healthy" | "Degraded") => phase.clone(),
            _ if message.is_empty() => phase.clone(),
            _ => format!("{phase} - {message}"),
        };
        if line != shown {
            output::print(&format!("{line}\n"))?;
            shown = line;
        }
        match phase.as_str() {
            "Degraded" => bail!("The rollout is in a degraded state with message: {message}"),
            "Healthy" => return Ok(()),
            _ if !args.watch => return Ok(()),
            _ => {}
        }
        if args.timeout > 0 && began.elapsed() >= Duration::from_secs(args.timeout) {
            bail!(
                "Rollout status watch exceeded timeout of {} s: {shown}",
                args.timeout
            );
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
