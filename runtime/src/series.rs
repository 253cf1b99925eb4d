//! Metrics that have one series for each object: counters and histograms that go away with the object.
//!
//! The common recorder keeps every series for ever; labels with the name of an object may therefore only be used here.
//! Names, labels and buckets are those of upstream, so its dashboards go on working.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::exposition::Page;
use crate::object::Key;

/// A family of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Time to reconcile a Rollout.
    RolloutReconcile,
    /// Reconciliations of a Rollout that failed.
    RolloutReconcileError,
    /// Events about a Rollout; further labels `type` and `reason`.
    RolloutEvents,
    /// Time to reconcile an AnalysisRun.
    AnalysisRunReconcile,
    /// Reconciliations of an AnalysisRun that failed.
    AnalysisRunReconcileError,
    /// Time to reconcile an Experiment.
    ExperimentReconcile,
    /// Reconciliations of an Experiment that failed.
    ExperimentReconcileError,
}

const ALL: [Family; 7] = [
    Family::RolloutReconcile,
    Family::RolloutReconcileError,
    Family::RolloutEvents,
    Family::AnalysisRunReconcile,
    Family::AnalysisRunReconcileError,
    Family::ExperimentReconcile,
    Family::ExperimentReconcileError,
];
const BUCKETS: [f64; 5] = [0.01, 0.15, 0.25, 0.5, 1.0];

impl Family {
    fn name(self) -> &'static str {
        match self {
            Family::RolloutReconcile => "rollout_reconcile",
            Family::RolloutReconcileError => "rollout_reconcile_error",
            Family::RolloutEvents => "rollout_events_total",
            Family::AnalysisRunReconcile => "analysis_run_reconcile",
            Family::AnalysisRunReconcileError => "analysis_run_reconcile_error",
            Family::ExperimentReconcile => "experiment_reconcile",
            Family::ExperimentReconcileError => "experiment_reconcile_error",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Family::RolloutReconcile => "Seconds that one reconciliation of the Rollout took.",
            Family::RolloutReconcileError => "Reconciliations of the Rollout that failed.",
            Family::RolloutEvents => "Kubernetes Events about the Rollout.",
            Family::AnalysisRunReconcile => {
                "Seconds that one reconciliation of the AnalysisRun took."
            }
            Family::AnalysisRunReconcileError => "Reconciliations of the AnalysisRun that failed.",
            Family::ExperimentReconcile => {
                "Seconds that one reconciliation of the Experiment took."
            }
            Family::ExperimentReconcileError => "Reconciliations of the Experiment that failed.",
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

#[derive(Debug, Clone)]
enum Series {
    Counter(u64),
    Histogram(Box<Histogram>),
}

/// Further labels of a series: `type` and `reason`. Thousands of objects share a few of them, so they are kept once.
type Labels = Arc<[(&'static str, String)]>;

/// The few series of an object, sorted. A map of them would take twice the memory.
type OfObject = Vec<((Family, Labels), Series)>;

type Objects = BTreeMap<Key, OfObject>;

/// All series, by object.
#[derive(Default)]
pub struct ObjectSeries {
    objects: Mutex<Objects>,
    labels: Mutex<BTreeSet<Labels>>,
}

impl ObjectSeries {
    /// Adds one to a counter.
    pub fn count(&self, family: Family, key: &Key, labels: &[(&'static str, &str)]) {
        let which = (family, self.shared(labels));
        let mut objects = self.lock();
        let series = objects.entry(key.clone()).or_default();
        if let Series::Counter(value) = find(series, which, || Series::Counter(0)) {
            *value += 1;
        }
    }

    /// Adds a duration to a histogram.
    pub fn observe(&self, family: Family, key: &Key, duration: Duration) {
        let mut objects = self.lock();
        let series = objects.entry(key.clone()).or_default();
        let which = (family, Labels::default());
        let series = find(series, which, || Series::Histogram(Box::default()));
        if let Series::Histogram(histogram) = series {
            let seconds = duration.as_secs_f64();
            histogram.count += 1;
            histogram.sum += seconds;
            for (bucket, limit) in histogram.buckets.iter_mut().zip(BUCKETS) {
                *bucket += u64::from(seconds <= limit);
            }
        }
    }

    /// Drops some families of an object that is gone.
    pub fn forget(&self, key: &Key, families: &[Family]) {
        let mut objects = self.lock();
        if let Some(series) = objects.get_mut(key) {
            series.retain(|((family, _), _)| !families.contains(family));
            if series.is_empty() {
                objects.remove(key);
            }
        }
    }

    /// Writes all series.
    pub fn render(&self, page: &mut Page) {
        let objects = self.lock();
        for family in ALL {
            let mut begun = false;
            for (key, series) in objects.iter() {
                for ((_, further), series) in series.iter().filter(|((of, _), _)| *of == family) {
                    let mut labels = vec![("namespace", &*key.namespace), ("name", &*key.name)];
                    labels.extend(further.iter().map(|(label, text)| (*label, text.as_str())));
                    if !begun {
                        let kind = if matches!(series, Series::Counter(_)) {
                            "counter"
                        } else {
                            "histogram"
                        };
                        page.family(family.name(), kind, family.help());
                        begun = true;
                    }
                    render(page, family.name(), &labels, series);
                }
            }
        }
    }

    /// The one copy of these labels.
    fn shared(&self, labels: &[(&'static str, &str)]) -> Labels {
        let labels: Labels = labels
            .iter()
            .map(|(label, text)| (*label, (*text).to_owned()))
            .collect();
        let mut known = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&labels) {
            return Arc::clone(known);
        }
        known.insert(Arc::clone(&labels));
        labels
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The series of these labels, which is put into its place when there is none.
fn find(
    series: &mut OfObject,
    which: (Family, Labels),
    new: impl FnOnce() -> Series,
) -> &mut Series {
    let place = series.binary_search_by(|(known, _)| known.cmp(&which));
    let place = place.unwrap_or_else(|place| {
        series.reserve_exact(1);
        series.insert(place, (which, new()));
        place
    });
    &mut series[place].1
}

fn render(page: &mut Page, name: &str, labels: &[(&str, &str)], series: &Series) {
    match series {
        Series::Counter(value) => page.sample(name, labels, *value as f64),
        Series::Histogram(histogram) => {
            let bucket_name = format!("{name}_bucket");
            for (limit, count) in BUCKETS.iter().zip(histogram.buckets) {
                let limit = limit.to_string();
                let labels: Vec<_> = labels
                    .iter()
                    .copied()
                    .chain([("le", limit.as_str())])
                    .collect();
                page.sample(&bucket_name, &labels, count as f64);
            }
            let all: Vec<_> = labels.iter().copied().chain([("le", "+Inf")]).collect();
            page.sample(&bucket_name, &all, histogram.count as f64);
            page.sample(&format!("{name}_sum"), labels, histogram.sum);
            page.sample(&format!("{name}_count"), labels, histogram.count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// argo-rollouts#2115, #2851, #3929, #4571: memory grew with every name that was ever seen.
    #[test]
    fn r19_series_of_an_object_go_away_with_it() {
        let series = ObjectSeries::default();
        let key = Key::new("n", "web");
        series.count(
            Family::RolloutEvents,
            &key,
            &[("type", "Normal"), ("reason", "RolloutUpdated")],
        );
        series.count(
            Family::RolloutEvents,
            &key,
            &[("type", "Normal"), ("reason", "RolloutUpdated")],
        );
        series.observe(Family::RolloutReconcile, &key, Duration::from_millis(20));
        let text = |series: &ObjectSeries| {
            let mut page = Page::default();
            series.render(&mut page);
            page.into_text()
        };
        let page = text(&series);
        assert!(page.contains(
            "rollout_events_total{namespace=\"n\",name=\"web\",type=\"Normal\",reason=\"RolloutUpdated\"} 2"
        ));
        assert!(
            page.contains("rollout_reconcile_bucket{namespace=\"n\",name=\"web\",le=\"0.01\"} 0")
        );
        assert!(
            page.contains("rollout_reconcile_bucket{namespace=\"n\",name=\"web\",le=\"0.15\"} 1")
        );
        series.forget(&key, &[Family::RolloutEvents, Family::RolloutReconcile]);
        assert_eq!(text(&series), "");
    }
}
