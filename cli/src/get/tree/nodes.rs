//! What was read as nodes of a tree: revisions, ReplicaSets, pods, Experiments, analyses and their Jobs. Pure.

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::analysis::MetricResult;
use sluice_crds::names;

use super::draw::Node;
use crate::get::age::short;
use crate::get::experiment::{ExperimentView, view};
use crate::get::owned::{Owned, Set, text};
use crate::get::roles::{self, template_tag};
use crate::get::snapshot::Snapshot;
use crate::get::{pod, status};
use crate::paint::Tone;

/// A Rollout.
pub(super) fn rollout(snapshot: &Snapshot, now: Timestamp) -> Node {
    let rollout = &snapshot.rollout;
    let (phase, _) = status::of(rollout);
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let created = rollout
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0);
    let mut root = Node::new("⟳", "Rollout", name)
        .status(status::icon(&phase), &phase)
        .age(created, now);
    let mut revisions: Vec<i64> = snapshot
        .owned
        .replica_sets()
        .map(|set| set.revision())
        .chain(snapshot.experiments.iter().map(ExperimentView::revision))
        .chain(snapshot.owned.runs.iter().map(run_revision))
        .collect();
    revisions.sort_unstable_by(|one, other| other.cmp(one));
    revisions.dedup();
    root.children = revisions
        .into_iter()
        .map(|number| revision(snapshot, number, now))
        .collect();
    root
}

fn revision(snapshot: &Snapshot, number: i64, now: Timestamp) -> Node {
    let mut node = Node::new("#", "", &format!("revision:{number}"));
    let owned = &snapshot.owned;
    let sets = owned.sets.iter().filter(|set| set.set.revision() == number);
    node.children.extend(sets.map(|set| {
        let roles = roles::of(&snapshot.rollout, &set.set);
        let tone = roles.first().map(|role| roles::tone(role));
        let roles = roles.into_iter().map(str::to_owned).collect();
        replica_set(owned, set, roles, tone, now)
    }));
    let experiments = snapshot
        .experiments
        .iter()
        .filter(|view| view.revision() == number);
    node.children
        .extend(experiments.map(|view| experiment(view, now)));
    let runs = owned.runs.iter().filter(|run| run_revision(run) == number);
    node.children.extend(analysis_runs(runs, now));
    node
}

/// An Experiment, with its ReplicaSets and its analyses.
pub(super) fn experiment(view: &ExperimentView, now: Timestamp) -> Node {
    let state = view.state();
    let mut node = Node::new("Σ", "Experiment", view.name())
        .status(state.icon, &state.phase)
        .age(view.created(), now)
        .busy(&state.phase);
    if let Some(left) = view::ends(&view.experiment).map(|at| at.duration_since(now))
        && left.is_positive()
    {
        node.row.info = format!("remaining:{}", short(left));
    }
    let owned = &view.owned;
    node.children.extend(owned.sets.iter().map(|set| {
        let template = template_tag(&set.set).into_iter().collect();
        replica_set(owned, set, template, None, now)
    }));
    node.children.extend(analysis_runs(owned.runs.iter(), now));
    node
}

/// Runs, the oldest first.
fn analysis_runs<'a>(runs: impl Iterator<Item = &'a AnalysisRun>, now: Timestamp) -> Vec<Node> {
    let mut runs: Vec<&AnalysisRun> = runs.collect();
    runs.sort_by(|one, other| {
        created(one)
            .cmp(&created(other))
            .then_with(|| other.metadata.name.cmp(&one.metadata.name))
    });
    runs.into_iter().map(|run| analysis_run(run, now)).collect()
}

/// A ReplicaSet with its pods; `info` says what it is.
fn replica_set(
    owned: &Owned,
    set: &Set,
    mut info: Vec<String>,
    tone: Option<Tone>,
    now: Timestamp,
) -> Node {
    let word = if !set.observed {
        "Progressing"
    } else if set.set.failure.is_some() {
        "ReplicaFailure"
    } else if set.set.available < set.set.replicas {
        "Progressing"
    } else if set.set.replicas == 0 {
        "ScaledDown"
    } else {
        "Healthy"
    };
    let icon = match word {
        "Progressing" => "◌",
        "ReplicaFailure" => "✖",
        "ScaledDown" => "•",
        _ => "✔",
    };
    let mut node = Node::new("⧉", "ReplicaSet", &set.set.name)
        .status(icon, word)
        .age(Some(set.set.created), now);
    node.row.tone = tone;
    let deadline = set.set.annotations.get(names::SCALE_DOWN_DEADLINE);
    if let Some(deadline) = deadline.and_then(|text| text.parse::<Timestamp>().ok()) {
        let left = deadline.duration_since(now);
        let left = if left.is_negative() {
            "passed".to_owned()
        } else {
            short(left)
        };
        info.push(format!("delay:{left}"));
    }
    node.row.info = info.join(",");
    let mut pods: Vec<&Value> = owned
        .pods
        .iter()
        .filter(|pod| text(pod, "/metadata/ownerReferences/0/uid") == set.set.uid)
        .collect();
    let order = |pod: &&Value| {
        (
            text(pod, "/metadata/creationTimestamp").to_owned(),
            text(pod, "/metadata/name").to_owned(),
        )
    };
    pods.sort_by_key(order);
    node.children = pods.into_iter().map(|pod| pod_node(pod, now)).collect();
    node
}

fn pod_node(object: &Value, now: Timestamp) -> Node {
    let state = pod::state(object);
    let mut node = Node::new("□", "Pod", text(object, "/metadata/name"))
        .status(pod::icon(&state.word), &state.word)
        .age(
            text(object, "/metadata/creationTimestamp").parse().ok(),
            now,
        );
    node.row.info = format!("ready:{}/{}", state.ready, state.total);
    if state.restarts > 0 {
        node.row
            .info
            .push_str(&format!(",restarts:{}", state.restarts));
    }
    node
}

fn analysis_run(run: &AnalysisRun, now: Timestamp) -> Node {
    let status = run.status.clone().unwrap_or_default();
    let results = status.metric_results.unwrap_or_default();
    let sum =
        |count: fn(&MetricResult) -> Option<i32>| -> i32 { results.iter().filter_map(count).sum() };
    let counts = [
        ("✔", sum(|result| result.successful)),
        ("✖", sum(|result| result.failed)),
        ("?", sum(|result| result.inconclusive)),
        ("⚠", sum(|result| result.error)),
    ];
    let phase = if status.phase.is_empty() {
        "Pending"
    } else {
        &status.phase
    };
    let name = run.metadata.name.as_deref().unwrap_or_default();
    let mut node = Node::new("α", "AnalysisRun", name)
        .status(status::of_analysis(phase), phase)
        .age(created(run), now)
        .busy(phase);
    node.row.info = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(icon, count)| format!("{icon} {count}"))
        .collect::<Vec<_>>()
        .join(",");
    let measurements = results
        .iter()
        .flat_map(|result| result.measurements.iter().flatten());
    node.children = measurements
        .filter_map(|measurement| {
            let job = measurement.metadata.as_ref()?.get("job-name")?;
            let began = measurement.started_at.as_ref().map(|time| time.0);
            let phase = &measurement.phase;
            Some(
                Node::new("⊞", "Job", job)
                    .status(status::of_analysis(phase), phase)
                    .age(began, now),
            )
        })
        .collect();
    node
}

fn created(run: &AnalysisRun) -> Option<Timestamp> {
    run.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

fn run_revision(run: &AnalysisRun) -> i64 {
    let annotations = run.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(names::REVISION))
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}
