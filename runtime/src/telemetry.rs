//! Logs and the metrics page.
//!
//! Logs go to standard error through `tracing`, as text or JSON. Metrics without object names go through the common
//! recorder; those with object names come from [`crate::series`] and from collectors that read the caches when the page
//! is asked for, so that the series of an object end with the object.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::exposition::Page;
use crate::process;
use crate::series::ObjectSeries;

/// `--logformat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging, once for a process; `level` is `debug`, `info`, `warn` or `error`. `RUST_LOG` overrides it.
pub fn init_logs(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        // The client logs each refused request as an error; the executor reports them with their meaning.
        EnvFilter::new(format!(
            "{level},kube_client=off,hyper=warn,hyper_util=warn,rustls=warn,tower=warn"
        ))
    });
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call, as in tests, leaves the first in place.
    let _ = match format {
        LogFormat::Text => logs.with_ansi(false).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
}

/// Adds lines to the metrics page.
pub type Collector = Box<dyn Fn(&mut Page) + Send + Sync>;

/// The metrics of the process; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: Option<PrometheusHandle>,
    collectors: Arc<RwLock<Vec<Collector>>>,
    /// Counters and histograms for each object.
    pub objects: Arc<ObjectSeries>,
}

impl Metrics {
    /// Installs the recorder, once for a process, and describes what it will hold.
    #[must_use]
    pub fn install() -> Self {
        static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        let handle = HANDLE.get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(
                    Matcher::Suffix("_seconds".to_owned()),
                    &[
                        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
                        10.0,
                    ],
                )
                .ok()?;
            let handle = builder.install_recorder().ok();
            describe();
            handle
        });
        Self {
            handle: handle.clone(),
            collectors: Arc::default(),
            objects: Arc::default(),
        }
    }

    /// Adds a collector.
    pub fn collect(&self, collector: Collector) {
        self.collectors
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(collector);
    }

    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Page::starting_with(
            self.handle
                .as_ref()
                .map(PrometheusHandle::render)
                .unwrap_or_default(),
        );
        self.objects.render(&mut page);
        for collector in self
            .collectors
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            collector(&mut page);
        }
        process::render(&mut page);
        page.into_text()
    }

    /// Housekeeping of histograms; runs for ever.
    pub async fn upkeep(self) {
        loop {
            tokio::time::sleep(Duration::from_secs(10)).await;
            if let Some(handle) = &self.handle {
                handle.run_upkeep();
            }
        }
    }
}

fn describe() {
    for (name, help) in [
        (
            "controller_clientset_k8s_request_total",
            "Requests to the Kubernetes API, repetitions included.",
        ),
        (
            "workqueue_adds_total",
            "Keys that were added to a work queue.",
        ),
        (
            "workqueue_retries_total",
            "Pieces of work that failed and are tried again.",
        ),
        (
            "sluice_writes_total",
            "Writes to the Kubernetes API by outcome.",
        ),
        (
            "sluice_stale_skips_total",
            "Decisions put off since the caches did not show our own writes yet.",
        ),
        (
            "sluice_direct_reads_total",
            "Objects read directly since the watch was late.",
        ),
        (
            "sluice_lists_total",
            "Complete lists of a kind: one at the start, one after each loss of the watch.",
        ),
        (
            "sluice_watch_errors_total",
            "Lists and watches that failed.",
        ),
        (
            "sluice_malformed_objects_total",
            "Objects left out since they could not be read.",
        ),
        (
            "sluice_events_dropped_total",
            "Kubernetes Events that were not written, by cause.",
        ),
        ("sluice_panics_total", "Pieces of work that panicked."),
        (
            "sluice_refused_effects_total",
            "Writes that were refused since a safety invariant would not hold.",
        ),
    ] {
        metrics::describe_counter!(name, help);
    }
    metrics::describe_gauge!("sluice_leader", "1 while this process is the leader.");
    metrics::describe_gauge!("workqueue_depth", "Keys that wait for a worker.");
}
