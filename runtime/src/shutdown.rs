//! The graceful end, in stages.
//!
//! 1. `stop`: no new work is taken, watches end, requests of people are answered with the rest of the work under way.
//! 2. When the workers are idle, or after [`LIMIT`], the Lease is released and the process ends.
//!
//! Nothing depends on a graceful end; it only makes the next process start sooner.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long work that is under way may take to finish.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Cancels `stop` at the first SIGTERM or SIGINT.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn on_signal(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to end; finishing what is under way");
        stop.cancel();
    });
    Ok(())
}
