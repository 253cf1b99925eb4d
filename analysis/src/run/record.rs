//! One outcome into the counters and the list of measurements.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sluice_crds::Time;
use sluice_crds::analysis::{AnalysisRunStatus, Argument, Measurement, Metric, MetricResult};

use super::DEFAULT_RETENTION;
use super::prepare::Prepared;
use crate::args;
use crate::condition;
use crate::expression::Value;
use crate::phase::Phase;
use crate::plan::{Circumstances, Outcome};
use crate::secret::SecretValues;

/// Records the outcome of a measurement of `name`; nothing happens for a metric that is unknown or finished.
pub(super) fn record(
    status: &mut AnalysisRunStatus,
    prepared: &Prepared,
    name: &str,
    outcome: Outcome,
    circumstances: Circumstances<'_>,
    now: Timestamp,
) {
    let Some(metric) = prepared.metrics.iter().find(|metric| metric.name == name) else {
        return;
    };
    let results = status.metric_results.get_or_insert_with(Vec::new);
    let index = match results.iter().position(|result| result.name == name) {
        Some(index) => index,
        None => {
            results.push(MetricResult {
                name: name.to_owned(),
                phase: Phase::Running.as_str().to_owned(),
                dry_run: prepared.is_dry_run(name).then_some(true),
                ..MetricResult::default()
            });
            results.len() - 1
        }
    };
    let Some(result) = results.get_mut(index) else {
        return;
    };
    if Phase::parse(&result.phase).completed() {
        return;
    }
    let none = SecretValues::new();
    let secrets = circumstances.secrets.unwrap_or(&none);
    let metadata = metric_metadata(metric);
    if !metadata.is_empty() {
        result.metadata = Some(metadata);
    }

    let measurements = result.measurements.get_or_insert_with(Vec::new);
    let open = measurements
        .pop_if(|last| !Phase::parse(&last.phase).completed())
        .unwrap_or_else(|| Measurement {
            started_at: Some(Time(
                circumstances
                    .started_at
                    .map_or(now, super::whole_seconds)
                    .min(now),
            )),
            ..Measurement::default()
        });
    let measurement = finish(open, metric, outcome, secrets, now);
    let phase = Phase::parse(&measurement.phase);
    measurements.push(measurement);
    if phase.completed() {
        count(result, phase);
    }
}

/// The measurement with what came of it.
fn finish(
    mut measurement: Measurement,
    metric: &Metric,
    outcome: Outcome,
    secrets: &SecretValues,
    now: Timestamp,
) -> Measurement {
    let mut add = |metadata: BTreeMap<String, String>| {
        if !metadata.is_empty() {
            measurement
                .metadata
                .get_or_insert_with(BTreeMap::new)
                .extend(
                    metadata
                        .into_iter()
                        .map(|(key, value)| (key, secrets.redact(&value))),
                );
        }
    };
    let (phase, value, message) = match outcome {
        Outcome::Value {
            value,
            display,
            metadata,
        } => {
            add(metadata);
            let (phase, message) = match judge(metric, &value, secrets, now) {
                Ok(phase) => (phase, None),
                Err(message) => (Phase::Error, Some(message)),
            };
            (phase, Some(display), message)
        }
        Outcome::Error { message, .. } => (Phase::Error, None, Some(message)),
        Outcome::Resume {
            resume_at,
            metadata,
        } => {
            add(metadata);
            Phase::Running.as_str().clone_into(&mut measurement.phase);
            measurement.resume_at = resume_at.map(|at| Time(super::whole_seconds(at)));
            return measurement;
        }
        Outcome::Finished {
            phase,
            value,
            message,
            metadata,
        } => {
            add(metadata);
            if phase.completed() {
                (phase, value, message)
            } else {
                let message = format!("the provider ended the measurement as {phase}");
                (Phase::Error, value, Some(message))
            }
        }
    };
    phase.as_str().clone_into(&mut measurement.phase);
    measurement.value = value
        .map(|value| secrets.redact(&value))
        .filter(|value| !value.is_empty());
    measurement.message = message
        .map(|message| secrets.redact(&message))
        .filter(|message| !message.is_empty());
    measurement.finished_at = Some(Time(now));
    measurement.resume_at = None;
    measurement
}

/// Judges a value by the conditions of its metric; secret arguments in them get their values for this moment.
fn judge(
    metric: &Metric,
    value: &Value,
    secrets: &SecretValues,
    now: Timestamp,
) -> Result<Phase, String> {
    let has_tag = [&metric.success_condition, &metric.failure_condition]
        .into_iter()
        .flatten()
        .any(|text| args::has_tag(text));
    if !has_tag {
        return condition::judge(metric, value, now).map_err(|error| error.to_string());
    }
    let conditions = Metric {
        name: metric.name.clone(),
        success_condition: metric.success_condition.clone(),
        failure_condition: metric.failure_condition.clone(),
        ..Metric::default()
    };
    let given: Vec<Argument> = secrets
        .names()
        .filter_map(|name| {
            Some(Argument {
                name: name.to_owned(),
                value: Some(secrets.reveal(name)?.to_owned()),
                value_from: None,
            })
        })
        .collect();
    let resolved = args::resolve_metric(&conditions, &given).map_err(|error| error.to_string())?;
    condition::judge(&resolved, value, now).map_err(|error| error.to_string())
}

/// Adds a completed measurement to the counters.
pub(super) fn count(result: &mut MetricResult, phase: Phase) {
    let add = |counter: &mut Option<i32>| {
        *counter = Some(counter.unwrap_or(0).saturating_add(1));
    };
    match phase {
        Phase::Successful => {
            add(&mut result.successful);
            add(&mut result.consecutive_success);
        }
        Phase::Failed => {
            add(&mut result.failed);
            result.consecutive_success = None;
        }
        Phase::Inconclusive => {
            add(&mut result.inconclusive);
            result.consecutive_success = None;
        }
        Phase::Error => {
            add(&mut result.error);
            add(&mut result.consecutive_error);
            result.consecutive_success = None;
            return;
        }
        Phase::Pending | Phase::Running => return,
    }
    add(&mut result.count);
    result.consecutive_error = None;
}

/// Drops the oldest measurements. One is always kept, since the next is due by its time.
pub(super) fn retain(status: &mut AnalysisRunStatus, prepared: &Prepared) {
    for result in status.metric_results.iter_mut().flatten() {
        let limit = prepared
            .retention
            .get(&result.name)
            .copied()
            .unwrap_or(DEFAULT_RETENTION)
            .max(1);
        if let Some(measurements) = &mut result.measurements {
            let surplus = measurements.len().saturating_sub(limit);
            measurements.drain(..surplus);
        }
    }
}

/// What a metric tells about itself, without secrets: their tags are still in place.
fn metric_metadata(metric: &Metric) -> BTreeMap<String, String> {
    metric
        .provider
        .prometheus
        .iter()
        .filter_map(|prometheus| {
            Some((
                "ResolvedPrometheusQuery".to_owned(),
                prometheus.query.clone()?,
            ))
        })
        .collect()
}
