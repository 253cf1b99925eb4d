//! `experiment_info`: made from the cache when the metrics page is asked for.

use std::sync::Arc;

use sluice_runtime::Cache;
use sluice_runtime::exposition::Page;
use sluice_runtime::telemetry::Metrics;

/// Adds the Experiments of a cache to the page.
pub(super) fn register(metrics: &Metrics, experiments: &Arc<Cache>) {
    let experiments = Arc::clone(experiments);
    metrics.collect(Box::new(move |page| render(page, &experiments)));
}

fn render(page: &mut Page, cache: &Cache) {
    let all = cache.all();
    if all.is_empty() {
        return;
    }
    page.family("experiment_info", "gauge", "Experiments, with their phase.");
    for object in all {
        let value = object.value();
        let phase = value.pointer("/status/phase");
        let labels = [
            ("namespace", &*object.key.namespace),
            ("name", &*object.key.name),
            (
                "phase",
                phase.and_then(|it| it.as_str()).unwrap_or_default(),
            ),
        ];
        page.sample("experiment_info", &labels, 1.0);
    }
}
