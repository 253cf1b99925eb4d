//! Act: carries out a decision about a run — cancellations, status, events, measurements, deletion, in this order.

use kube::core::params::PropagationPolicy;
use serde_json::{Value, json};
use sluice_analysis::{EventKind, RunPlan};
use sluice_crds::analysis::AnalysisRun;
use sluice_runtime::events::Severity;
use sluice_runtime::kind::ANALYSIS_RUN;
use sluice_runtime::{Must, Object, WriteError};

use super::AnalysisRuns;
use super::measure::Finished;
use crate::reconcile;

/// Carries out a decision; `finished` are the measurements that its status contains.
pub(super) async fn act(
    runs: &AnalysisRuns,
    object: &Object,
    run: &AnalysisRun,
    plan: &RunPlan,
    finished: &[Finished],
) -> Result<(), WriteError> {
    let key = &object.key;
    for cancel in &plan.cancel {
        runs.measurements.cancel(object, run, cancel);
    }
    let old = run
        .status
        .as_ref()
        .map_or(Value::Null, |status| json!(status));
    let must = Must::be(&*object.uid, &*object.resource_version);
    let executor = &runs.core.ctx.executor;
    let written = executor
        .status(&ANALYSIS_RUN, key, &must, &old, &json!(plan.status))
        .await?;
    runs.measurements.absorbed(key, finished);
    let mut must = must;
    if let Some(written) = written {
        runs.core.wrote(key, &written);
        must.resource_version = Some(written.resource_version);
    }
    for event in &plan.events {
        let severity = match event.kind {
            EventKind::Normal => Severity::Normal,
            EventKind::Warning => Severity::Warning,
        };
        let run = reconcile::involved(&ANALYSIS_RUN, object);
        runs.core.emit(run, severity, &event.reason, &event.message);
    }
    for request in &plan.measure {
        runs.measurements.start(object, run, request.clone());
    }
    if plan.delete {
        executor
            .delete(&ANALYSIS_RUN, key, &must, PropagationPolicy::Background)
            .await?;
        let core = &runs.core;
        core.freshness
            .deleted(key, &core.objects, key.clone(), &object.uid);
    }
    Ok(())
}

/// What a decision orders, in words.
pub(super) fn describe(plan: &RunPlan) -> Vec<String> {
    let cancel = plan
        .cancel
        .iter()
        .map(|cancel| format!("Stop measuring {}", cancel.metric));
    let measure = plan.measure.iter().map(|request| {
        format!(
            "Measure {} (number {})",
            request.metric.name, request.number
        )
    });
    let delete = plan.delete.then(|| "Delete the run".to_owned());
    cancel.chain(measure).chain(delete).collect()
}
