//! `status`: waits until a Rollout is settled; the exit code says how.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use kube::Client;

use crate::args::StatusArgs;
use crate::get::snapshot::read_rollout;
use crate::get::status;
use crate::output;

/// Prints each change of phase; ends well when Healthy or Paused, with an error when Degraded or out of time.
pub(crate) async fn run(client: &Client, namespace: &str, args: &StatusArgs) -> Result<()> {
    let began = Instant::now();
    let mut shown = String::new();
    loop {
        let rollout = read_rollout(client, namespace, &args.name).await?;
        let (phase, message) = status::of(&rollout);
        let line = if message.is_empty() { phase.clone() } else { format!("{phase} - {message}") };
        if line != shown {
            output::print(&format!("{line}\n"))?;
            shown = line;
        }
        match phase.as_str() {
            "Degraded" => bail!("The rollout is in a degraded state with message: {message}"),
            "Healthy" | "Paused" => return Ok(()),
            _ if !args.watch => return Ok(()),
            _ => {}
        }
        if args.timeout > 0 && began.elapsed() >= Duration::from_secs(args.timeout) {
            bail!("Rollout status watch exceeded timeout of {} s", args.timeout);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
