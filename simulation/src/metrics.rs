//! What Prometheus would say: the share of good requests of the revision that a run is about, or a script.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sluice_analysis::expression::Value as Number;
use sluice_analysis::plan::{MeasureRequest, Outcome};
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::names;

use crate::store::Store;
use crate::workload::Workloads;

/// The metrics of a simulated cluster.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Values by metric name, each from a time on; they win over what the pods do.
    pub script: BTreeMap<String, Vec<(Timestamp, f64)>>,
    /// While true, nothing answers.
    pub outage: bool,
    /// From this time on, every new revision fails all of its requests.
    pub fail_from: Option<Timestamp>,
    /// Behaviour of pods by image.
    pub workloads: Workloads,
}

impl Metrics {
    /// Answers one measurement.
    #[must_use]
    pub fn measure(
        &self,
        store: &Store,
        run: &AnalysisRun,
        request: &MeasureRequest,
        now: Timestamp,
    ) -> Outcome {
        if self.outage {
            return Outcome::Error {
                message: "connection refused".to_owned(),
                transient: true,
            };
        }
        let value = self
            .script
            .get(&request.metric.name)
            .and_then(|script| script.iter().rev().find(|(from, _)| *from <= now))
            .map_or_else(|| self.success_rate(store, run, now), |(_, value)| *value);
        Outcome::Value {
            value: Number::from(vec![Number::from(value)]),
            display: format!("[{value}]"),
            metadata: BTreeMap::new(),
        }
    }

    fn success_rate(&self, store: &Store, run: &AnalysisRun, now: Timestamp) -> f64 {
        if self.fail_from.is_some_and(|from| from <= now) {
            return 0.0;
        }
        let labels = run.metadata.labels.as_ref();
        let hash = labels.and_then(|labels| labels.get(names::POD_TEMPLATE_HASH));
        let namespace = run.metadata.namespace.as_deref().unwrap_or_default();
        let set = store.objects("ReplicaSet").find(|set| {
            hash.is_some_and(|hash| set.label(names::POD_TEMPLATE_HASH) == hash)
                && set.key.namespace == namespace
        });
        set.map_or(1.0, |set| 1.0 - self.workloads.behaviour(set).error_rate)
    }
}
