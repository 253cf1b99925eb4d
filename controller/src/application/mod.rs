//! The sync loop: Applications.

use sluice_runtime::Context;

/// Settings of the sync loop, as command line arguments.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Settings {}

/// Runs the sync loop until `ctx.stop` is cancelled. Called while this process is the leader.
///
/// # Errors
/// When something that the loop cannot work without is missing.
pub async fn run(ctx: Context, _settings: Settings) -> anyhow::Result<()> {
    ctx.stop.cancelled().await;
    Ok(())
}
