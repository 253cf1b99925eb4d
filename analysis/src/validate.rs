//! What a run must look like before it can be carried out.
//!
//! The same checks serve the Rollout (before a run is made), `lint`, and the run itself, which may have been written by
//! hand. Arguments are put in place first: counts and limits may be templates.

use std::collections::BTreeSet;

use regex::Regex;
use sluice_crds::analysis::{AnalysisRunSpec, DryRun, MeasurementRetention, Metric};
use sluice_crds::{IntOrString, duration};

use crate::args;
use crate::condition;
use crate::template::FieldError;

/// Checks the spec of a run: metrics, conditions, arguments, and rules.
///
/// # Errors
/// The first thing that is wrong; the field is a path in the spec, as in `metrics[0].count`.
pub fn run_spec(spec: &AnalysisRunSpec) -> Result<(), FieldError> {
    let empty = Vec::new();
    let written = spec.metrics.as_ref().unwrap_or(&empty);
    let given = spec.args.as_deref().unwrap_or_default();
    let mut resolved = Vec::with_capacity(written.len());
    for (index, metric) in written.iter().enumerate() {
        resolved
            .push(args::resolve_metric(metric, given).map_err(|error| {
                FieldError::new(format!("metrics[{index}]"), error.to_string())
            })?);
    }
    metrics(&resolved)?;
    dry_run_metrics(spec.dry_run.as_deref().unwrap_or_default(), &resolved)?;
    retention_limits(
        spec.measurement_retention.as_deref().unwrap_or_default(),
        &resolved,
    )?;
    Ok(())
}

/// Checks metrics whose arguments are in place.
///
/// # Errors
/// The first thing that is wrong.
pub fn metrics(metrics: &[Metric]) -> Result<(), FieldError> {
    if metrics.is_empty() {
        return Err(FieldError::new("metrics", "no metrics specified"));
    }
    let mut names = BTreeSet::new();
    for (index, metric) in metrics.iter().enumerate() {
        let field = format!("metrics[{index}]");
        if !names.insert(&metric.name) {
            return Err(FieldError::new(
                format!("{field}.name"),
                format!("duplicate name '{}'", metric.name),
            ));
        }
        self::metric(metric).map_err(|error| error.under(&field))?;
    }
    Ok(())
}

fn metric(metric: &Metric) -> Result<(), FieldError> {
    if metric.name.is_empty() {
        return Err(FieldError::new("name", "a metric needs a name"));
    }
    for (field, text) in [
        ("interval", &metric.interval),
        ("initialDelay", &metric.initial_delay),
    ] {
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty())
            && let Err(error) = duration::parse(text)
        {
            return Err(FieldError::new(
                field,
                format!("invalid {field} string: {error}"),
            ));
        }
    }
    let count = limit("count", metric.count.as_ref())?.unwrap_or(0);
    let failure = limit("failureLimit", metric.failure_limit.as_ref())?.unwrap_or(0);
    let inconclusive = limit("inconclusiveLimit", metric.inconclusive_limit.as_ref())?.unwrap_or(0);
    let errors = limit(
        "consecutiveErrorLimit",
        metric.consecutive_error_limit.as_ref(),
    )?
    .unwrap_or(DEFAULT_CONSECUTIVE_ERROR_LIMIT);
    let successes = limit(
        "consecutiveSuccessLimit",
        metric.consecutive_success_limit.as_ref(),
    )?
    .unwrap_or(0);

    if count > 1 && !has_interval(metric) {
        return Err(FieldError::new(
            "interval",
            "interval must be specified when count > 1",
        ));
    }
    if count > 0 && i64::from(count) < i64::from(failure.max(0)) + i64::from(successes) {
        return Err(FieldError::new(
            "count",
            if successes > 0 {
                "count must be >= failureLimit + consecutiveSuccessLimit"
            } else {
                "count must be >= failureLimit"
            },
        ));
    }
    if count > 0 && count < inconclusive {
        return Err(FieldError::new(
            "count",
            "count must be >= inconclusiveLimit",
        ));
    }
    for (field, value, least) in [
        ("count", count, 0),
        ("failureLimit", failure, -1),
        ("inconclusiveLimit", inconclusive, 0),
        ("consecutiveErrorLimit", errors, 0),
        ("consecutiveSuccessLimit", successes, 0),
    ] {
        if value < least {
            return Err(FieldError::new(
                field,
                format!("{field} must be >= {least}"),
            ));
        }
    }
    for (field, condition) in [
        ("successCondition", &metric.success_condition),
        ("failureCondition", &metric.failure_condition),
    ] {
        // A condition that holds a secret is parsed when its value is there.
        if let Some(text) = condition.as_deref().filter(|text| !text.is_empty())
            && !args::has_tag(text)
            && let Err(error) = condition::Condition::parse(text)
        {
            return Err(FieldError::new(field, error.to_string()));
        }
    }
    match metric.provider.kinds().as_slice() {
        [] => Err(FieldError::new("provider", "no provider specified")),
        [_] => Ok(()),
        several => Err(FieldError::new(
            "provider",
            format!("multiple providers specified: {}", several.join(", ")),
        )),
    }
}

/// Checks that every metric of a run ends by itself, as the analysis of a step must.
///
/// # Errors
/// The first metric that does not, by name.
pub fn finite(spec: &AnalysisRunSpec) -> Result<(), FieldError> {
    for (index, written) in spec.metrics.iter().flatten().enumerate() {
        let metric = args::resolve_metric(written, spec.args.as_deref().unwrap_or_default())
            .map_err(|error| FieldError::new(format!("metrics[{index}]"), error.to_string()))?;
        if effective_count(&metric).is_none() {
            return Err(FieldError::new(
                format!("metrics[{index}].count"),
                format!(
                    "InfiniteMetric: metric {} runs indefinitely, so the step would never end: give it a count",
                    metric.name
                ),
            ));
        }
    }
    Ok(())
}

/// Names of the metrics that never decide.
///
/// # Errors
/// A rule that is not a regular expression or that matches no metric.
pub fn dry_run_metrics(
    rules: &[DryRun],
    metrics: &[Metric],
) -> Result<BTreeSet<String>, FieldError> {
    let mut names = BTreeSet::new();
    for (index, rule) in rules.iter().enumerate() {
        names.extend(matching(
            "dryRun",
            "Dry-Run",
            index,
            &rule.metric_name,
            metrics,
        )?);
    }
    Ok(names)
}

/// How many measurements are kept of each metric that a rule matches; of several rules, the last one counts.
///
/// # Errors
/// A rule that is not a regular expression, matches no metric, or has a negative limit.
pub fn retention_limits(
    rules: &[MeasurementRetention],
    metrics: &[Metric],
) -> Result<std::collections::BTreeMap<String, usize>, FieldError> {
    let mut limits = std::collections::BTreeMap::new();
    for (index, rule) in rules.iter().enumerate() {
        let limit = usize::try_from(rule.limit).map_err(|_| {
            FieldError::new(
                format!("measurementRetention[{index}].limit"),
                "limit must be >= 0",
            )
        })?;
        for name in matching(
            "measurementRetention",
            "Measurement Retention",
            index,
            &rule.metric_name,
            metrics,
        )? {
            limits.insert(name, limit);
        }
    }
    Ok(limits)
}

fn matching(
    field: &str,
    what: &str,
    index: usize,
    pattern: &str,
    metrics: &[Metric],
) -> Result<Vec<String>, FieldError> {
    let field = format!("{field}[{index}].metricName");
    let regex = Regex::new(pattern)
        .map_err(|error| FieldError::new(&field, format!("not a regular expression: {error}")))?;
    let names: Vec<String> = metrics
        .iter()
        .filter(|metric| regex.is_match(&metric.name))
        .map(|metric| metric.name.clone())
        .collect();
    if names.is_empty() {
        return Err(FieldError::new(
            field,
            format!("{what} metric rule '{pattern}' matches no metric"),
        ));
    }
    Ok(names)
}

/// `consecutiveErrorLimit` of a metric that gives none.
pub const DEFAULT_CONSECUTIVE_ERROR_LIMIT: i32 = 4;

/// Number of measurements after which a metric ends: `None` for one that runs until it is ended. A count that cannot be
/// read is an error of validation, and no count here.
#[must_use]
pub fn effective_count(metric: &Metric) -> Option<i32> {
    match limit("count", metric.count.as_ref()) {
        Ok(Some(count)) if count != 0 => Some(count),
        _ if has_interval(metric) => None,
        _ => Some(1),
    }
}

/// Whether the metric is measured more than once.
pub(crate) fn has_interval(metric: &Metric) -> bool {
    metric
        .interval
        .as_deref()
        .is_some_and(|interval| !interval.is_empty())
}

/// Reads a number that may be a template's text. One that comes from a Secret is not known here, and is refused.
pub(crate) fn limit(field: &str, value: Option<&IntOrString>) -> Result<Option<i32>, FieldError> {
    match value {
        None => Ok(None),
        Some(IntOrString::Int(value)) => Ok(Some(*value)),
        Some(IntOrString::String(text)) => text.trim().parse().map(Some).map_err(|_| {
            FieldError::new(
                field,
                format!("{field} must be a whole number, not {text:?}"),
            )
        }),
    }
}
