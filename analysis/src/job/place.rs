//! Where Jobs are made, and which run a Job belongs to.
//!
//! A Job in the namespace of its run has the run as its owner, and goes with it. Elsewhere — in another namespace, or in
//! another cluster — an owner is not possible: label and annotations tell whose a Job is, and nobody but the controller
//! deletes it.

use serde_json::Value;
use sluice_crds::analysis::{AnalysisRun, Measurement};
use sluice_crds::object_name::{is_namespace_name, is_object_name};

use super::{
    JOB_NAME, JOB_NAMESPACE, MAKER_ANNOTATION, METRIC_ANNOTATION, NAME_ANNOTATION,
    NAMESPACE_ANNOTATION, UID_LABEL,
};

/// Where Jobs are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The namespace; that of the run without it.
    pub namespace: Option<String>,
    /// Whether the cluster is another one than that of the runs.
    pub other_cluster: bool,
}

impl Place {
    /// The namespace of the Jobs of a run.
    #[must_use]
    pub fn namespace_for<'a>(&'a self, run: &'a AnalysisRun) -> &'a str {
        let own = run.metadata.namespace.as_deref().unwrap_or_default();
        self.namespace.as_deref().unwrap_or(own)
    }

    /// Whether a run can own its Jobs: an owner is in the namespace of what it owns.
    #[must_use]
    pub fn owned_by(&self, run: &AnalysisRun) -> bool {
        let own = run.metadata.namespace.as_deref().unwrap_or_default();
        !self.other_cluster && self.namespace_for(run) == own
    }

    /// Whether there may be Jobs without an owner.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.other_cluster || self.namespace.is_some()
    }
}

/// The run that a Job belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOfJob {
    /// Namespace of the run.
    pub namespace: String,
    /// Name of the run.
    pub name: String,
    /// Uid of the run.
    pub uid: String,
    /// Whether the run owns the Job, so that the Job goes with it.
    pub owned: bool,
    /// Who made a Job that has no owner, if it says so.
    pub maker: Option<String>,
}

/// The run that a Job belongs to: its owner, or the one that its label and its annotations name. `None` when it belongs to
/// something else, or to nothing.
#[must_use]
pub fn run_of(job: &Value) -> Option<RunOfJob> {
    let metadata = job.get("metadata")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let owners = metadata.get("ownerReferences").and_then(Value::as_array);
    let owner = owners
        .into_iter()
        .flatten()
        .find(|owner| owner["controller"] == true);
    let annotations = &metadata["annotations"];
    let run = match owner {
        Some(owner) if owner["kind"] == "AnalysisRun" => RunOfJob {
            namespace: text(&metadata["namespace"]).unwrap_or_default(),
            name: text(&owner["name"])?,
            uid: text(&owner["uid"])?,
            owned: true,
            maker: None,
        },
        Some(_) => return None,
        None => RunOfJob {
            namespace: text(&annotations[NAMESPACE_ANNOTATION])?,
            name: text(&annotations[NAME_ANNOTATION])?,
            uid: text(&metadata["labels"][UID_LABEL])?,
            owned: false,
            maker: text(&annotations[MAKER_ANNOTATION]),
        },
    };
    // Both become parts of a path.
    let named =
        is_namespace_name(&run.namespace) && is_object_name(&run.name) && !run.uid.is_empty();
    named.then_some(run)
}

/// Whether a Job that exists under the name of a measurement is the one of this run and metric.
#[must_use]
pub fn is_ours(job: &Value, run_uid: &str, metric: &str) -> bool {
    // Long names of metrics are cut: two of them may give one name.
    run_of(job).is_some_and(|run| run.uid == run_uid)
        && job["metadata"]["annotations"][METRIC_ANNOTATION] == *metric
}

/// Name of the Job of a measurement under way.
#[must_use]
pub fn of_measurement(measurement: &Measurement) -> Option<&str> {
    let name = measurement.metadata.as_ref()?.get(JOB_NAME)?;
    is_object_name(name).then_some(name.as_str())
}

/// Namespace of the Job of a measurement under way, if the measurement says it.
#[must_use]
pub fn namespace_of_measurement(measurement: &Measurement) -> Option<&str> {
    let namespace = measurement.metadata.as_ref()?.get(JOB_NAMESPACE)?;
    is_namespace_name(namespace).then_some(namespace.as_str())
}
