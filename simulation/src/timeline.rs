//! A what-if in virtual time: the manifests of a Rollout, one update, and everything that would happen, with its time.

mod routes;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sluice_crds::pointer::text;
use sluice_rollout::EventType;

use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::oracle::Broken;
use crate::store::{Expected, Key, Part, Refusal, Store};
use crate::workload::Behaviour;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Time after the update from which on the new revision fails all requests.
    pub fail_from: Option<SignedDuration>,
    /// Values of metrics by name, each from a time after the update on.
    pub metrics: BTreeMap<String, Vec<(SignedDuration, f64)>>,
    /// Time that a pod needs to become ready.
    pub ready_after: SignedDuration,
}

/// One moment of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Time since the update.
    pub at: SignedDuration,
    /// What happened, one sentence.
    pub what: String,
    /// True for what a person may want to look at.
    pub warning: bool,
    /// Share of the traffic that goes to the new revision after it, in percent; `None` without traffic routing.
    pub weight: Option<i64>,
    /// Pods of the new revision, ready and wanted.
    pub new_pods: (i64, i64),
    /// Pods of all other revisions, ready and wanted.
    pub old_pods: (i64, i64),
}

/// The whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// In order.
    pub moments: Vec<Moment>,
    /// Phase in which it ends.
    pub phase: String,
    /// Message of that phase.
    pub message: String,
    /// How long it took, from the update to the end.
    pub took: SignedDuration,
    /// True when it waits for a person at the end.
    pub waits: bool,
}

/// Why there is no timeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswerable {
    /// There is not exactly one Rollout.
    #[error("the manifests hold {0} Rollouts; a simulation needs exactly one")]
    Rollouts(usize),
    /// An API server would not take one of the manifests.
    #[error(transparent)]
    Refused(Refusal),
    /// The first deployment does not become healthy.
    #[error("the first deployment does not become Healthy but {0}: {1}")]
    NotDeployed(String, String),
    /// The engine broke a promise: a defect worth a report.
    #[error("the simulation stopped: {0}: {1}")]
    Stopped(&'static str, String),
}

impl From<Broken> for Unanswerable {
    fn from(broken: Broken) -> Self {
        Self::Stopped(broken.promise, broken.seen)
    }
}

/// Deploys the manifests, updates the image, and records what happens until nothing does.
///
/// # Errors
/// When there is not exactly one Rollout, a manifest is refused, or the Rollout does not become healthy at first.
pub fn run(manifests: &[Value], question: &Question) -> Result<Timeline, Unanswerable> {
    let rollouts: Vec<&Value> = manifests
        .iter()
        .filter(|object| text(object, "/kind") == "Rollout")
        .collect();
    let [rollout] = rollouts.as_slice() else {
        return Err(Unanswerable::Rollouts(rollouts.len()));
    };
    let namespace = text(rollout, "/metadata/namespace");
    let namespace = if namespace.is_empty() {
        "default"
    } else {
        namespace
    };
    let objects: Vec<Value> = manifests
        .iter()
        .map(|object| in_namespace(object, namespace))
        .collect();
    let mut trial = Store::new(Timestamp::UNIX_EPOCH);
    for object in &objects {
        if let Err(refusal @ Refusal::Invalid(..)) = trial.create(object.clone())
            && !Key::of(object).name.is_empty()
        {
            return Err(Unanswerable::Refused(refusal));
        }
    }
    let image = text(rollout, "/spec/template/spec/containers/0/image").to_owned();
    let update = format!("{image}-update");
    let behaviour = Behaviour {
        ready_after: Some(question.ready_after),
        error_rate: 0.0,
    };
    let mut metrics = Metrics::default();
    for image in [&image, &update] {
        metrics
            .workloads
            .images
            .insert(image.clone(), behaviour.clone());
    }
    let mut cluster = Cluster::new(&objects, metrics, Timestamp::UNIX_EPOCH);
    cluster.come_to_rest()?;
    let state = |cluster: &Cluster, pointer: &str| {
        cluster
            .rollout()
            .map(|rollout| text(rollout, pointer).to_owned())
            .unwrap_or_default()
    };
    if state(&cluster, "/status/phase") != "Healthy" {
        let (phase, message) = (
            state(&cluster, "/status/phase"),
            state(&cluster, "/status/message"),
        );
        return Err(Unanswerable::NotDeployed(phase, message));
    }

    let start = cluster.store.now;
    let after = |duration: SignedDuration| start.checked_add(duration).unwrap_or(Timestamp::MAX);
    cluster.metrics.fail_from = question.fail_from.map(after);
    for (name, values) in &question.metrics {
        let script = values
            .iter()
            .map(|(at, value)| (after(*at), *value))
            .collect();
        cluster.metrics.script.insert(name.clone(), script);
    }
    let key = Key::new("Rollout", namespace, text(rollout, "/metadata/name"));
    let edit = |object: &mut Value| {
        if let Some(image) = object.pointer_mut("/spec/template/spec/containers/0/image") {
            *image = json!(update);
        }
    };
    // The Rollout was created a moment ago, so the edit finds it.
    let _ = cluster
        .store
        .edit(&key, Part::Main, &Expected::default(), edit);
    record(&mut cluster, start)
}

fn record(cluster: &mut Cluster, start: Timestamp) -> Result<Timeline, Unanswerable> {
    let mut moments = Vec::new();
    let mut events = cluster.controller.events.len();
    let mut share = seen(cluster).0.map(|_| 0);
    let mut made = routes::of(cluster);
    let mut measured = BTreeMap::new();
    let mut last_change = start;
    for _ in 0..20_000 {
        let changes = cluster.settle()?;
        let (now_share, new_pods, old_pods) = seen(cluster);
        let now_made = routes::of(cluster);
        let at = cluster.store.now.duration_since(start);
        let mut note = |what: String, warning: bool| {
            moments.push(Moment {
                at,
                what,
                warning,
                weight: now_share,
                new_pods,
                old_pods,
            });
        };
        for (what, warning) in measurements(cluster, &mut measured) {
            note(what, warning);
        }
        if now_share != share {
            let (from, to) = (share.unwrap_or(0), now_share.unwrap_or(0));
            note(
                format!("Traffic to the new revision: {from} % → {to} %"),
                to < from,
            );
            share = now_share;
        }
        if now_made != made {
            note(routes::sentence(&now_made), false);
            made = now_made;
        }
        for (_, event) in cluster.controller.events.iter().skip(events) {
            // The line above says it with the share of the new revision, which a promotion does not take away.
            if event.reason != "TrafficWeightUpdated" {
                note(event.message.clone(), event.kind == EventType::Warning);
            }
        }
        events = cluster.controller.events.len();
        if changes > 0 {
            last_change = cluster.store.now;
            continue;
        }
        match cluster.next_due() {
            Some(at) => cluster.store.now = at,
            None => break,
        }
    }
    let rollout = cluster.rollout().cloned().unwrap_or_default();
    Ok(Timeline {
        moments,
        phase: text(&rollout, "/status/phase").to_owned(),
        message: text(&rollout, "/status/message").to_owned(),
        took: last_change.duration_since(start),
        waits: text(&rollout, "/status/phase") == "Paused",
    })
}

/// Counts of a metric of a run: passed, failed, and all others.
type Counts = (i64, i64, i64);

/// What was measured since the last call: the first measurement of each metric, and each one that did not pass.
fn measurements(
    cluster: &Cluster,
    known: &mut BTreeMap<(String, String), Counts>,
) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    for run in cluster.store.list("AnalysisRun") {
        let list = |pointer: &str| {
            run.pointer(pointer)
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        for result in list("/status/metricResults") {
            let number = |name: &str| result.get(name).and_then(Value::as_i64).unwrap_or(0);
            let counts = (
                number("successful"),
                number("failed"),
                number("inconclusive") + number("error"),
            );
            let name = text(result, "/name");
            let key = (text(run, "/metadata/name").to_owned(), name.to_owned());
            let before = known.insert(key, counts).unwrap_or_default();
            let last = result
                .get("measurements")
                .and_then(Value::as_array)
                .and_then(|all| all.last());
            let (Some(last), true) = (last, counts != before) else {
                continue;
            };
            let metric = list("/spec/metrics")
                .iter()
                .find(|metric| text(metric, "/name") == name);
            let passed = counts.0 > before.0;
            if passed && before != Counts::default() {
                continue;
            }
            lines.push((sentence(name, last, metric, counts), !passed));
        }
    }
    lines
}

/// Value, condition, limit.
fn sentence(name: &str, measurement: &Value, metric: Option<&Value>, counts: Counts) -> String {
    let condition = |pointer: &str| metric.map_or("", |metric| text(metric, pointer));
    let conditions = [
        ("good: ", condition("/successCondition")),
        ("bad: ", condition("/failureCondition")),
    ];
    let conditions: Vec<String> = conditions
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(what, text)| format!("{what}{}", text.trim()))
        .collect();
    let allowed = metric
        .and_then(|metric| metric.get("failureLimit"))
        .map_or_else(
            || "0".to_owned(),
            |limit| limit.to_string().trim_matches('"').to_owned(),
        );
    let how = match text(measurement, "/phase") {
        "Successful" => "passes",
        "Failed" => "fails",
        "Inconclusive" => "is inconclusive",
        _ => "could not be measured",
    };
    let value = text(measurement, "/value");
    let (_, failed, _) = counts;
    format!(
        "{name} = {value} {how} ({}); failed {failed}, allowed {allowed}",
        conditions.join("; ")
    )
}

/// Share of the new revision in percent of the traffic, and `(ready, wanted)` pods of it and of all others. The share is
/// `None` without traffic routing.
fn seen(cluster: &Cluster) -> (Option<i64>, (i64, i64), (i64, i64)) {
    let rollout = cluster.rollout().cloned().unwrap_or_default();
    let current = text(&rollout, "/status/currentPodHash");
    let (mut new, mut old) = ((0, 0), (0, 0));
    for set in cluster.store.list("ReplicaSet") {
        let number = |pointer: &str| set.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        let label = format!("/metadata/labels/{}", sluice_crds::names::POD_TEMPLATE_HASH);
        let side = if text(set, &label) == current {
            &mut new
        } else {
            &mut old
        };
        side.0 += number("/status/readyReplicas");
        side.1 += number("/spec/replicas");
    }
    let number = |pointer: &str| rollout.pointer(pointer).and_then(Value::as_i64);
    let max = number("/spec/strategy/canary/trafficRouting/maxTrafficWeight")
        .filter(|max| *max > 0)
        .unwrap_or(100);
    if rollout
        .pointer("/spec/strategy/blueGreen")
        .is_some_and(|strategy| !strategy.is_null())
    {
        let active = text(&rollout, "/status/blueGreen/activeSelector");
        let switched = !active.is_empty() && active == current;
        return (Some(if switched { 100 } else { 0 }), new, old);
    }
    let share = number("/status/canary/weights/canary/weight").map(|weight| {
        // The new revision is behind the stable Service once it is promoted.
        let promoted = text(&rollout, "/status/stableRS") == current;
        if promoted { 100 } else { weight * 100 / max }
    });
    (share, new, old)
}

fn in_namespace(object: &Value, namespace: &str) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata
            .entry("namespace")
            .or_insert_with(|| json!(namespace));
        // What was read from a cluster is not taken by one: `kubectl get -o yaml` says it all the same.
        metadata.remove("resourceVersion");
    }
    object
}
