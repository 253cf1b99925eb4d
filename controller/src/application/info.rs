//! Metrics of Applications, under upstream's names. Series of an Application end with it.
//!
//! `argocd_application_sync_status`, `argocd_application_health_status` and `argocd_application_sync_total` are names
//! that many dashboards from tutorials use and that upstream never had; they are served as aliases.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_crds::application::Application;
use sluice_gitops::application::{AppPlan, OperationChange};
use sluice_gitops::auto_sync;
use sluice_runtime::exposition::Page;
use sluice_runtime::telemetry::Metrics;
use sluice_runtime::{Cache, Key};

const BUCKETS: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];

/// What is counted.
#[derive(Default)]
pub(crate) struct Info {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Syncs by phase and whether they were dry runs.
    syncs: BTreeMap<Key, Syncs>,
    /// Time to reconcile, by namespace of the Applications.
    reconciles: BTreeMap<(String, String), Histogram>,
}

#[derive(Default)]
struct Syncs {
    project: String,
    server: String,
    by_phase: BTreeMap<(String, bool), u64>,
    seconds: f64,
}

#[derive(Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Info {
    /// A pass over an Application has ended.
    pub(crate) fn reconciled(&self, app: &Application, took: Duration) {
        let namespace = app.metadata.namespace.clone().unwrap_or_default();
        let mut state = self.lock();
        let histogram = state
            .reconciles
            .entry((namespace, server(app)))
            .or_default();
        let seconds = took.as_secs_f64();
        for (bucket, limit) in histogram.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= limit);
        }
        histogram.count += 1;
        histogram.sum += seconds;
    }

    /// A plan was carried out; a sync that it ended is counted.
    pub(crate) fn acted(&self, app: &Application, plan: &AppPlan) {
        if plan.operation != OperationChange::Clear {
            return;
        }
        let Some(state) = &plan.status.operation_state else {
            return;
        };
        let dry = state
            .operation
            .sync
            .as_ref()
            .is_some_and(|sync| sync.dry_run == Some(true));
        let key = Key::new(
            app.metadata.namespace.as_deref().unwrap_or_default(),
            app.metadata.name.as_deref().unwrap_or_default(),
        );
        let took = state
            .started_at
            .as_ref()
            .zip(state.finished_at.as_ref())
            .map_or(0.0, |(from, to)| to.0.duration_since(from.0).as_secs_f64());
        let mut info = self.lock();
        let syncs = info.syncs.entry(key).or_default();
        syncs.project = app.spec.project().to_owned();
        syncs.server = server(app);
        *syncs
            .by_phase
            .entry((state.phase.clone(), dry))
            .or_default() += 1;
        syncs.seconds += took;
    }

    /// An Application is gone.
    pub(crate) fn forget(&self, key: &Key) {
        self.lock().syncs.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn server(app: &Application) -> String {
    let destination = &app.spec.destination;
    if destination.is_in_cluster() {
        sluice_crds::application::IN_CLUSTER_SERVER.to_owned()
    } else {
        destination
            .server
            .clone()
            .or_else(|| destination.name.clone())
            .unwrap_or_default()
    }
}

/// Adds the Applications of a cache to the metrics page.
pub(crate) fn register(metrics: &Metrics, applications: &Arc<Cache>, info: &Arc<Info>) {
    let (applications, info) = (Arc::clone(applications), Arc::clone(info));
    metrics.collect(Box::new(move |page| {
        applications_on(page, &applications);
        counters_on(page, &info.lock());
    }));
}

fn applications_on(page: &mut Page, applications: &Cache) {
    let all: Vec<(Key, Application)> = applications
        .all()
        .iter()
        .filter_map(|object| Some((object.key.clone(), object.decode().ok()?)))
        .collect();
    if all.is_empty() {
        return;
    }
    page.family(
        "argocd_app_info",
        "gauge",
        "Applications, with their state.",
    );
    for (key, app) in &all {
        let repository = app
            .spec
            .sources()
            .first()
            .map_or("", |source| &source.repo_url);
        let operation = match (&app.operation, &app.metadata.deletion_timestamp) {
            (_, Some(_)) => "delete",
            (Some(_), None) => "sync",
            (None, None) => "",
        };
        let labels = [
            ("namespace", &*key.namespace),
            ("name", &*key.name),
            ("project", app.spec.project()),
            (
                "autosync_enabled",
                if auto_sync::automated(app).is_some() {
                    "true"
                } else {
                    "false"
                },
            ),
            ("repo", repository),
            ("dest_server", &server(app)),
            ("dest_namespace", app.spec.destination.namespace()),
            ("sync_status", sync_status(app)),
            ("health_status", health_status(app)),
            ("operation", operation),
        ];
        page.sample("argocd_app_info", &labels, 1.0);
    }
    type Value = fn(&Application) -> &str;
    let aliases: [(&str, &str, Value); 2] = [
        ("argocd_application_sync_status", "sync_status", sync_status),
        (
            "argocd_application_health_status",
            "health_status",
            health_status,
        ),
    ];
    for (family, label, value) in aliases {
        page.family(
            family,
            "gauge",
            "The same as argocd_app_info, under a name that tutorials use.",
        );
        for (key, app) in &all {
            let labels = [
                ("namespace", &*key.namespace),
                ("name", &*key.name),
                ("project", app.spec.project()),
                (label, value(app)),
            ];
            page.sample(family, &labels, 1.0);
        }
    }
}

fn sync_status(app: &Application) -> &str {
    let sync = app.status.as_ref().and_then(|status| status.sync.as_ref());
    match sync.map_or("", |sync| sync.status.as_str()) {
        "" => "Unknown",
        status => status,
    }
}

fn health_status(app: &Application) -> &str {
    let health = app
        .status
        .as_ref()
        .and_then(|status| status.health.as_ref());
    health
        .and_then(|health| health.status.as_deref())
        .unwrap_or("Unknown")
}

fn counters_on(page: &mut Page, state: &State) {
    for family in ["argocd_app_sync_total", "argocd_application_sync_total"] {
        if state.syncs.is_empty() {
            continue;
        }
        page.family(family, "counter", "Syncs that ended, by phase.");
        for (key, syncs) in &state.syncs {
            for ((phase, dry), count) in &syncs.by_phase {
                let labels = [
                    ("namespace", &*key.namespace),
                    ("name", &*key.name),
                    ("project", &syncs.project),
                    ("dest_server", &syncs.server),
                    ("phase", phase),
                    ("dry_run", if *dry { "true" } else { "false" }),
                ];
                page.sample(family, &labels, *count as f64);
            }
        }
    }
    if !state.syncs.is_empty() {
        let family = "argocd_app_sync_duration_seconds_total";
        page.family(family, "counter", "Seconds that syncs took.");
        for (key, syncs) in &state.syncs {
            let labels = [
                ("namespace", &*key.namespace),
                ("name", &*key.name),
                ("project", &syncs.project),
                ("dest_server", &syncs.server),
            ];
            page.sample(family, &labels, syncs.seconds);
        }
    }
    if !state.reconciles.is_empty() {
        page.family(
            "argocd_app_reconcile",
            "histogram",
            "Seconds that one pass took.",
        );
    }
    for ((namespace, server), histogram) in &state.reconciles {
        let labels = [
            ("namespace", namespace.as_str()),
            ("dest_server", server.as_str()),
        ];
        let limits = BUCKETS
            .iter()
            .map(ToString::to_string)
            .chain(["+Inf".to_owned()]);
        for (limit, count) in limits.zip(histogram.buckets.iter().chain([&histogram.count])) {
            let labels = [labels[0], labels[1], ("le", limit.as_str())];
            page.sample("argocd_app_reconcile_bucket", &labels, *count as f64);
        }
        page.sample("argocd_app_reconcile_sum", &labels, histogram.sum);
        page.sample(
            "argocd_app_reconcile_count",
            &labels,
            histogram.count as f64,
        );
    }
}
