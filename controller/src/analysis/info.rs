//! `analysis_run_info` and its companions: made from the caches when the metrics page is asked for.

use std::sync::Arc;

use sluice_crds::analysis::{AnalysisRun, MetricProvider};
use sluice_runtime::Cache;
use sluice_runtime::exposition::Page;
use sluice_runtime::telemetry::Metrics;

/// Adds the runs (and the templates, where they are watched) to the page.
pub(super) fn register(metrics: &Metrics, runs: &Arc<Cache>, templates: Option<Arc<Cache>>) {
    let runs = Arc::clone(runs);
    metrics.collect(Box::new(move |page| {
        render(page, &runs);
        if let Some(templates) = &templates {
            render_templates(page, templates);
        }
    }));
}

fn render(page: &mut Page, cache: &Cache) {
    let runs: Vec<_> = cache
        .all()
        .into_iter()
        .filter_map(|object| Some((object.key.clone(), object.decode::<AnalysisRun>().ok()?)))
        .collect();
    if runs.is_empty() {
        return;
    }
    page.family(
        "analysis_run_info",
        "gauge",
        "AnalysisRuns, with their phase.",
    );
    for (key, run) in &runs {
        let phase = run
            .status
            .as_ref()
            .map_or("", |status| status.phase.as_str());
        let labels = [
            ("namespace", &*key.namespace),
            ("name", &*key.name),
            ("phase", phase),
        ];
        page.sample("analysis_run_info", &labels, 1.0);
    }
    page.family(
        "analysis_run_metric_type",
        "gauge",
        "Metrics of AnalysisRuns, with their provider.",
    );
    for (key, run) in &runs {
        for metric in run.spec.metrics.iter().flatten() {
            let labels = [
                ("namespace", &*key.namespace),
                ("name", &*key.name),
                ("metric", metric.name.as_str()),
                ("type", provider(&metric.provider)),
            ];
            page.sample("analysis_run_metric_type", &labels, 1.0);
        }
    }
    page.family(
        "analysis_run_metric_phase",
        "gauge",
        "Metrics of AnalysisRuns, with their phase.",
    );
    for (key, run) in &runs {
        for metric in run
            .status
            .iter()
            .flat_map(|status| status.metric_results.iter().flatten())
        {
            let dry_run = metric.dry_run == Some(true);
            let labels = [
                ("namespace", &*key.namespace),
                ("name", &*key.name),
                ("metric", metric.name.as_str()),
                ("dry_run", if dry_run { "true" } else { "false" }),
                ("phase", metric.phase.as_str()),
            ];
            page.sample("analysis_run_metric_phase", &labels, 1.0);
        }
    }
}

fn render_templates(page: &mut Page, cache: &Cache) {
    let templates = cache.all();
    if templates.is_empty() {
        return;
    }
    page.family("analysis_template_info", "gauge", "AnalysisTemplates.");
    for template in templates {
        let labels = [
            ("namespace", &*template.key.namespace),
            ("name", &*template.key.name),
        ];
        page.sample("analysis_template_info", &labels, 1.0);
    }
}

/// The names that upstream gives its providers.
fn provider(provider: &MetricProvider) -> &'static str {
    let set = |given: bool, name: &'static str| given.then_some(name);
    [
        set(provider.prometheus.is_some(), "Prometheus"),
        set(provider.web.is_some(), "WebMetric"),
        set(provider.job.is_some(), "Job"),
        set(provider.kayenta.is_some(), "Kayenta"),
        set(provider.wavefront.is_some(), "Wavefront"),
        set(provider.new_relic.is_some(), "NewRelic"),
        set(provider.datadog.is_some(), "Datadog"),
        set(provider.cloud_watch.is_some(), "CloudWatch"),
        set(provider.graphite.is_some(), "Graphite"),
        set(provider.influxdb.is_some(), "Influxdb"),
        set(provider.sky_walking.is_some(), "SkyWalking"),
        set(provider.plugin.is_some(), "Plugin"),
    ]
    .into_iter()
    .flatten()
    .next()
    .unwrap_or("")
}
