//! A steady load on the app, and what came back: requests and failures by version.
//!
//! Open loop: a request is sent at its time whether or not the earlier ones are answered, so slow answers cannot hide
//! themselves. Only loopback addresses are accepted as targets.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Requests and failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Requests that were answered, or not answered in time.
    pub requests: u64,
    /// Of those, the ones with a status of 500 or more, or without an answer.
    pub failed: u64,
}

impl Count {
    /// Failures in percent; 0 without requests.
    #[must_use]
    pub fn error_percent(&self) -> f64 {
        if self.requests == 0 {
            0.0
        } else {
            self.failed as f64 * 100.0 / self.requests as f64
        }
    }
}

/// Counts by version; a request without an answer belongs to the version `none`.
pub type Counts = BTreeMap<String, Count>;

#[derive(Default)]
struct Seen {
    total: Counts,
    recent: VecDeque<(Instant, String, bool)>,
}

/// A running load.
pub struct Load {
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Load {
    /// Starts `rate` requests a second to `target`, with a `Host` header, for at most `limit`.
    ///
    /// # Errors
    /// When the target is not on loopback or the rate is not in 1..=2000.
    pub fn start(target: SocketAddr, host: &str, rate: u32, limit: Duration) -> Result<Self> {
        ensure!(
            target.ip().is_loopback(),
            "load is sent to loopback addresses only, not to {target}"
        );
        ensure!(
            (1..=2000).contains(&rate),
            "a rate of {rate} requests/s is not in 1..=2000"
        );
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(32)
            .build()?;
        let load = Self {
            seen: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (seen, stop, tasks) = (load.seen.clone(), load.stop.clone(), load.tasks.clone());
        let (url, host) = (format!("http://{target}/"), host.to_owned());
        load.tasks.spawn(async move {
            let end = Instant::now() + limit;
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
            while Instant::now() < end {
                tokio::select! {
                    () = stop.cancelled() => break,
                    _ = ticks.tick() => {}
                }
                let request = client.get(&url).header("Host", &host);
                let seen = seen.clone();
                tasks.spawn(async move {
                    let (version, failed) = match request.send().await {
                        Ok(answer) => {
                            let version = answer.headers().get("x-version");
                            let version = version.and_then(|text| text.to_str().ok());
                            let failed = answer.status().is_server_error()
                                || answer.status() == reqwest::StatusCode::NOT_FOUND;
                            (version.unwrap_or("none").to_owned(), failed)
                        }
                        Err(_) => ("none".to_owned(), true),
                    };
                    record(&seen, version, failed);
                });
            }
        });
        load.tasks.close();
        Ok(load)
    }

    /// Everything since the start.
    #[must_use]
    pub fn total(&self) -> Counts {
        lock(&self.seen).total.clone()
    }

    /// The last `window`, at most 60 seconds.
    #[must_use]
    pub fn recent(&self, window: Duration) -> Counts {
        let seen = lock(&self.seen);
        let mut counts = Counts::new();
        for (at, version, failed) in seen.recent.iter().rev() {
            if at.elapsed() > window {
                break;
            }
            add(&mut counts, version, *failed);
        }
        counts
    }

    /// Stops sending and waits for what is under way.
    pub async fn stop(&self) -> Counts {
        self.stop.cancel();
        self.tasks.wait().await;
        self.total()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Sums over versions.
#[must_use]
pub fn sum(counts: &Counts) -> Count {
    counts.values().fold(Count::default(), |sum, count| Count {
        requests: sum.requests + count.requests,
        failed: sum.failed + count.failed,
    })
}

fn record(seen: &Mutex<Seen>, version: String, failed: bool) {
    let mut seen = lock(seen);
    add(&mut seen.total, &version, failed);
    let now = Instant::now();
    seen.recent.push_back((now, version, failed));
    while seen
        .recent
        .front()
        .is_some_and(|(at, ..)| now - *at > Duration::from_secs(60))
    {
        seen.recent.pop_front();
    }
}

fn add(counts: &mut Counts, version: &str, failed: bool) {
    let count = counts.entry(version.to_owned()).or_default();
    count.requests += 1;
    count.failed += u64::from(failed);
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
