//! The `job` provider without its I/O: what the Job of a measurement looks like, where it is, and what its state means.
//!
//! In: a metric, the run, the number of the measurement; later the Job and its pods as they are. Out: an object to
//! create, a name to delete, an [`Outcome`]. A Job that is complete is a success, one that failed is a failure, one whose
//! image cannot be had never ends by itself and is inconclusive: that says nothing about the release.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use sluice_crds::analysis::{AnalysisRun, Measurement, Metric};

use crate::phase::Phase;
use crate::plan::Outcome;

mod place;

pub use place::{Place, RunOfJob, is_ours, namespace_of_measurement, of_measurement, run_of};

/// Label on Jobs and their pods: uid of the AnalysisRun.
pub const UID_LABEL: &str = "analysisrun.argoproj.io/uid";
/// Annotation on Jobs: the metric.
pub const METRIC_ANNOTATION: &str = "analysisrun.argoproj.io/metric-name";
const NAME_ANNOTATION: &str = "analysisrun.argoproj.io/name";
const NAMESPACE_ANNOTATION: &str = "analysisrun.argoproj.io/namespace";
/// Annotation on Jobs without an owner: which controller made them. Several clusters may run theirs in one place, and none
/// can see whether a run of another one is gone.
const MAKER_ANNOTATION: &str = "sluice.dev/made-by";
/// Key of a measurement's metadata: name of its Job.
pub const JOB_NAME: &str = "job-name";
const JOB_NAMESPACE: &str = "job-namespace";
/// Characters of a Job's name, which becomes a label of its pods.
const LONGEST_NAME: usize = 63;
/// Reasons of waiting containers that do not go away by themselves.
const HOPELESS: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"];

/// Name of the Job of a measurement: `<uid of the run>.<metric>.<number>`, with the metric cut so that it fits, and so
/// that it ends in a letter or a digit, as each part of a name must.
#[must_use]
pub fn name(uid: &str, metric: &str, number: u32) -> String {
    let room = LONGEST_NAME.saturating_sub(uid.len() + 2 + number.to_string().len());
    let end = (0..=room.min(metric.len()))
        .rev()
        .find(|end| metric.is_char_boundary(*end))
        .unwrap_or(0);
    let shown = metric
        .get(..end)
        .unwrap_or_default()
        .trim_end_matches(|last: char| !last.is_ascii_alphanumeric());
    format!("{uid}.{shown}.{number}")
}

/// The Job of a measurement: owned by its run where that is possible, else marked with who made it, if that is known.
///
/// # Errors
/// In words, when the metric has no Job or its pod template is no object.
pub fn object(
    run: &AnalysisRun,
    metric: &Metric,
    number: u32,
    place: &Place,
    maker: Option<&str>,
) -> Result<Value, String> {
    let provider = metric
        .provider
        .job
        .as_ref()
        .ok_or("the metric has no job provider")?;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (uid, name) = (text(&run.metadata.uid), text(&run.metadata.name));
    let namespace = text(&run.metadata.namespace);
    let mut spec = provider
        .spec
        .clone()
        .ok_or("job.spec is missing: it needs a pod template")?;
    let template = spec
        .get_mut("template")
        .and_then(Value::as_object_mut)
        .ok_or("job.spec.template is missing: it needs a pod template")?;
    set(template, "metadata", "labels", &[(UID_LABEL, &uid)]);
    let mut metadata = Map::new();
    for section in ["labels", "annotations"] {
        let given = provider.metadata.as_ref().and_then(|it| it.get(section));
        if let Some(given) = given.filter(|given| given.is_object()) {
            metadata.insert(section.to_owned(), given.clone());
        }
    }
    let mut job = Map::new();
    job.insert("metadata".to_owned(), Value::Object(metadata));
    set(&mut job, "metadata", "labels", &[(UID_LABEL, &uid)]);
    let annotations = [
        (NAME_ANNOTATION, name.as_str()),
        (NAMESPACE_ANNOTATION, namespace.as_str()),
        (METRIC_ANNOTATION, metric.name.as_str()),
    ];
    set(&mut job, "metadata", "annotations", &annotations);
    let owned = place.owned_by(run);
    if let Some(maker) = maker.filter(|_| !owned) {
        let annotations = [(MAKER_ANNOTATION, maker)];
        set(&mut job, "metadata", "annotations", &annotations);
    }
    let mut job = Value::Object(job);
    job["apiVersion"] = json!("batch/v1");
    job["kind"] = json!("Job");
    job["metadata"]["name"] = json!(self::name(&uid, &metric.name, number));
    job["metadata"]["namespace"] = json!(place.namespace_for(run));
    if owned {
        job["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisRun",
            "name": name,
            "uid": uid,
            "controller": true,
            "blockOwnerDeletion": true,
        }]);
    }
    job["spec"] = Value::Object(spec);
    Ok(job)
}

/// Adds texts to a map two levels below an object.
fn set(object: &mut Map<String, Value>, outer: &str, inner: &str, texts: &[(&str, &str)]) {
    let below = |object: &mut Map<String, Value>, key: &str| {
        let value = object.entry(key).or_insert_with(|| json!({}));
        if !value.is_object() {
            *value = json!({});
        }
    };
    below(object, outer);
    let Some(outer) = object.get_mut(outer).and_then(Value::as_object_mut) else {
        return;
    };
    below(outer, inner);
    if let Some(inner) = outer.get_mut(inner).and_then(Value::as_object_mut) {
        for (key, value) in texts {
            inner.insert((*key).to_owned(), json!(value));
        }
    }
}

/// The measurement of a Job that was made.
#[must_use]
pub fn begun(name: &str, namespace: &str, now: Timestamp) -> Outcome {
    Outcome::Resume {
        resume_at: now.checked_add(SignedDuration::from_secs(1)).ok(),
        metadata: BTreeMap::from([
            (JOB_NAME.to_owned(), name.to_owned()),
            (JOB_NAMESPACE.to_owned(), namespace.to_owned()),
        ]),
    }
}

/// How a Job ended; `None` while it runs.
#[must_use]
pub fn ended(job: &Value) -> Option<Phase> {
    let conditions = job.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .filter(|condition| condition["status"] == "True")
        .find_map(|condition| match condition["type"].as_str()? {
            "Complete" => Some(Phase::Successful),
            "Failed" => Some(Phase::Failed),
            _ => None,
        })
}

/// What the state of a Job means for its measurement. `pods` are those of the Job.
#[must_use]
pub fn observe(job: &Value, pods: &[Value], measurement: &Measurement, now: Timestamp) -> Outcome {
    let finished = |phase, message| Outcome::Finished {
        phase,
        value: None,
        message,
        metadata: BTreeMap::new(),
    };
    if let Some(phase) = ended(job) {
        return finished(phase, failure(job).filter(|_| phase == Phase::Failed));
    }
    if let Some(message) = pods.iter().find_map(hopeless) {
        return finished(Phase::Inconclusive, Some(message));
    }
    Outcome::Resume {
        resume_at: Some(look_again(measurement, now)),
        metadata: BTreeMap::new(),
    }
}

/// Why a Job failed, in its own words.
fn failure(job: &Value) -> Option<String> {
    let conditions = job.pointer("/status/conditions")?.as_array()?;
    let failed = conditions.iter().find(|it| it["type"] == "Failed")?;
    let text = |key: &str| failed[key].as_str().filter(|text| !text.is_empty());
    match (text("reason"), text("message")) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (reason, message) => reason.or(message).map(str::to_owned),
    }
}

fn hopeless(pod: &Value) -> Option<String> {
    let name = pod.pointer("/metadata/name").and_then(Value::as_str);
    ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|key| pod.get("status")?.get(key)?.as_array())
        .flatten()
        .find_map(|container| {
            let waiting = container.pointer("/state/waiting")?;
            let reason = waiting["reason"].as_str()?;
            HOPELESS.contains(&reason).then(|| {
                format!(
                    "Pod {}, container {} has terminal error ({reason}): {}",
                    name.unwrap_or_default(),
                    container["name"].as_str().unwrap_or_default(),
                    waiting["message"].as_str().unwrap_or_default()
                )
            })
        })
}

/// The longer a Job runs, the more rarely it is looked at: after √(2 × seconds), and at least once an hour.
fn look_again(measurement: &Measurement, now: Timestamp) -> Timestamp {
    let began = measurement.started_at.as_ref().map_or(now, |time| time.0);
    let elapsed = now.duration_since(began).as_secs().max(0);
    let wait = elapsed.saturating_mul(2).isqrt().clamp(1, 3_600);
    now.checked_add(SignedDuration::from_secs(wait))
        .unwrap_or(Timestamp::MAX)
}
