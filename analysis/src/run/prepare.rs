//! A run's spec with its arguments in place and its rules applied.

use std::collections::{BTreeMap, BTreeSet};

use sluice_crds::analysis::{AnalysisRunSpec, Metric};

use crate::{args, validate};

/// What the machine works with.
pub(super) struct Prepared {
    /// The metrics; tags of secret arguments are still in them.
    pub(super) metrics: Vec<Metric>,
    /// Names of the metrics that never decide.
    pub(super) dry_run: BTreeSet<String>,
    /// Number of measurements to keep, for metrics with a rule.
    pub(super) retention: BTreeMap<String, usize>,
}

/// Prepares a spec, or says why it cannot be carried out, in upstream's words as far as it has any.
pub(super) fn prepare(spec: &AnalysisRunSpec) -> Result<Prepared, String> {
    let given = spec.args.as_deref().unwrap_or_default();
    let metrics = spec
        .metrics
        .iter()
        .flatten()
        .map(|metric| args::resolve_metric(metric, given))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("Unable to resolve metric arguments: {error}"))?;
    let invalid = |error| format!("Analysis spec invalid: {error}");
    let dry_run = validate::dry_run_metrics(spec.dry_run.as_deref().unwrap_or_default(), &metrics)
        .map_err(invalid)?;
    let retention = validate::retention_limits(
        spec.measurement_retention.as_deref().unwrap_or_default(),
        &metrics,
    )
    .map_err(invalid)?;
    validate::metrics(&metrics).map_err(invalid)?;
    Ok(Prepared {
        metrics,
        dry_run,
        retention,
    })
}
