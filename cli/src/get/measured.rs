//! What an analysis measured: value and limit of each metric, in one line.

use sluice_crds::IntOrString;
use sluice_crds::analysis::{AnalysisRun, Metric, MetricResult};

/// One line for each metric that has begun.
pub(crate) fn lines(run: &AnalysisRun) -> Vec<String> {
    let Some(status) = &run.status else {
        return Vec::new();
    };
    status
        .metric_results
        .iter()
        .flatten()
        .map(|result| {
            let metric = run
                .spec
                .metrics
                .iter()
                .flatten()
                .find(|metric| metric.name == result.name);
            line(result, metric)
        })
        .collect()
}

fn line(result: &MetricResult, metric: Option<&Metric>) -> String {
    let last = result.measurements.iter().flatten().next_back();
    let value = last.map_or_else(
        || "nothing measured yet".to_owned(),
        |last| match (&last.value, &last.message) {
            (Some(value), _) if !value.is_empty() => value.clone(),
            (_, Some(message)) => format!("no value ({message})"),
            _ => format!("no value ({})", last.phase),
        },
    );
    let mut out = format!("{} {value}", result.name);
    let conditions = metric.into_iter().flat_map(|metric| {
        let success = metric
            .success_condition
            .as_ref()
            .map(|text| format!("good: {}", text.trim()));
        let failure = metric
            .failure_condition
            .as_ref()
            .map(|text| format!("bad: {}", text.trim()));
        success.into_iter().chain(failure)
    });
    let conditions: Vec<String> = conditions.collect();
    if !conditions.is_empty() {
        out += &format!(" ({})", conditions.join("; "));
    }
    let count = |count: Option<i32>| count.unwrap_or(0);
    let allowed = metric.map_or_else(
        || "0".to_owned(),
        |metric| limit(metric.failure_limit.as_ref()),
    );
    out += &format!(
        ": {} passed, {} failed (allowed: {allowed})",
        count(result.successful),
        count(result.failed)
    );
    for (number, what) in [
        (count(result.inconclusive), "inconclusive"),
        (count(result.error), "errors"),
    ] {
        if number > 0 {
            out += &format!(", {number} {what}");
        }
    }
    if result.dry_run == Some(true) {
        out += ", does not decide";
    }
    out
}

fn limit(limit: Option<&IntOrString>) -> String {
    match limit {
        None => "0".to_owned(),
        Some(IntOrString::Int(-1)) => "any number".to_owned(),
        Some(IntOrString::Int(number)) => number.to_string(),
        Some(IntOrString::String(text)) => text.clone(),
    }
}
