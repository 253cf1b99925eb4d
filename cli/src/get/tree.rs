//! The tree of `get rollout`: revisions, ReplicaSets, pods and analyses, as rows. Pure.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::names;
use sluice_rollout::ReplicaSet;

use super::snapshot::Snapshot;
use super::status;

/// A row of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Branches, icon and name.
    pub name: String,
    /// Kind; empty for a revision.
    pub kind: &'static str,
    /// Icon and word.
    pub status: String,
    /// As kubectl writes ages.
    pub age: String,
    /// Role, counts, delays.
    pub info: String,
}

/// A node before its branches are drawn.
struct Node {
    row: Row,
    children: Vec<Node>,
}

/// Builds the rows, newest revision first.
pub(crate) fn rows(snapshot: &Snapshot, now: Timestamp) -> Vec<Row> {
    let rollout = &snapshot.rollout;
    let name = rollout.metadata.name.clone().unwrap_or_default();
    let (phase, _) = status::of(rollout);
    let root = Node {
        row: Row {
            name: format!("⟳ {name}"),
            kind: "Rollout",
            status: format!("{} {phase}", icon(&phase)),
            age: age(rollout.metadata.creation_timestamp.as_ref().map(|time| time.0), now),
            info: String::new(),
        },
        children: revisions(snapshot, now),
    };
    let mut rows = Vec::new();
    flatten(&root, "", true, true, &mut rows);
    rows
}

fn revisions(snapshot: &Snapshot, now: Timestamp) -> Vec<Node> {
    let mut numbers: Vec<i64> = snapshot
        .replica_sets
        .iter()
        .map(ReplicaSet::revision)
        .chain(snapshot.runs.iter().map(run_revision))
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.dedup();
    numbers
        .into_iter()
        .map(|revision| Node {
            row: Row {
                name: format!("# revision:{revision}"),
                kind: "",
                status: String::new(),
                age: String::new(),
                info: String::new(),
            },
            children: revision_children(snapshot, revision, now),
        })
        .collect()
}

fn revision_children(snapshot: &Snapshot, revision: i64, now: Timestamp) -> Vec<Node> {
    let mut children: Vec<Node> = snapshot
        .replica_sets
        .iter()
        .filter(|set| set.revision() == revision)
        .map(|set| replica_set(snapshot, set, now))
        .collect();
    let mut runs: Vec<&AnalysisRun> =
        snapshot.runs.iter().filter(|run| run_revision(run) == revision).collect();
    runs.sort_by_key(|run| run.metadata.creation_timestamp.as_ref().map(|time| time.0));
    children.extend(runs.into_iter().map(|run| analysis_run(run, now)));
    children
}

fn replica_set(snapshot: &Snapshot, set: &ReplicaSet, now: Timestamp) -> Node {
    let status = snapshot.rollout.status.clone().unwrap_or_default();
    let hash = set.hash().map(str::to_owned);
    let mut info = Vec::new();
    if hash.is_some() && hash == status.stable_rs {
        info.push("stable".to_owned());
    } else if hash.is_some() && hash == status.current_pod_hash {
        info.push("canary".to_owned());
    }
    if let Some(deadline) = set.annotations.get(names::SCALE_DOWN_DEADLINE) {
        if let Ok(deadline) = deadline.parse::<Timestamp>() {
            let left = deadline.duration_since(now);
            let text =
                if left.is_positive() { short(left) } else { "passed".to_owned() };
            info.push(format!("delay:{text}"));
        }
    }
    let word = if set.replicas == 0 && set.current == 0 {
        "ScaledDown"
    } else if set.failure.is_some() {
        "Degraded"
    } else if set.available < set.replicas || set.current > set.replicas {
        "Progressing"
    } else {
        "Healthy"
    };
    let mut pods: Vec<&Value> = snapshot
        .pods
        .iter()
        .filter(|pod| {
            text(pod, "/metadata/ownerReferences/0/uid") == set.uid
        })
        .collect();
    pods.sort_by_key(|pod| text(pod, "/metadata/name").to_owned());
    Node {
        row: Row {
            name: format!("⧉ {}", set.name),
            kind: "ReplicaSet",
            status: format!("{} {word}", icon(word)),
            age: age(Some(set.created), now),
            info: info.join(","),
        },
        children: pods.into_iter().map(|pod| self::pod(pod, now)).collect(),
    }
}

fn pod(pod: &Value, now: Timestamp) -> Node {
    let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let containers = containers.map(Vec::as_slice).unwrap_or_default();
    let ready = containers
        .iter()
        .filter(|container| container.get("ready").and_then(Value::as_bool) == Some(true))
        .count();
    let total = pod.pointer("/spec/containers").and_then(Value::as_array).map_or(0, Vec::len);
    let restarts: i64 = containers
        .iter()
        .filter_map(|container| container.get("restartCount").and_then(Value::as_i64))
        .sum();
    let mut info = vec![format!("ready:{ready}/{total}")];
    if restarts > 0 {
        info.push(format!("restarts:{restarts}"));
    }
    let word = pod_word(pod, containers);
    Node {
        row: Row {
            name: format!("□ {}", text(pod, "/metadata/name")),
            kind: "Pod",
            status: format!("{} {word}", icon(&word)),
            age: age(text(pod, "/metadata/creationTimestamp").parse().ok(), now),
            info: info.join(","),
        },
        children: Vec::new(),
    }
}

/// The word that kubectl shows for a pod.
fn pod_word(pod: &Value, containers: &[Value]) -> String {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return "Terminating".to_owned();
    }
    for container in containers {
        for state in ["/state/waiting/reason", "/state/terminated/reason"] {
            let reason = text(container, state);
            if !reason.is_empty() && reason != "Completed" {
                return reason.to_owned();
            }
        }
    }
    let reason = text(pod, "/status/reason");
    if reason.is_empty() { text(pod, "/status/phase").to_owned() } else { reason.to_owned() }
}

fn analysis_run(run: &AnalysisRun, now: Timestamp) -> Node {
    let status = run.status.clone().unwrap_or_default();
    let results = status.metric_results.clone().unwrap_or_default();
    let sum = |count: fn(&sluice_crds::analysis::MetricResult) -> Option<i32>| -> i32 {
        results.iter().filter_map(count).sum()
    };
    let info: Vec<String> = [
        ("✔", sum(|result| result.successful)),
        ("✖", sum(|result| result.failed)),
        ("?", sum(|result| result.inconclusive)),
        ("⚠", sum(|result| result.error)),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(icon, count)| format!("{icon} {count}"))
    .collect();
    let phase = if status.phase.is_empty() { "Pending".to_owned() } else { status.phase };
    Node {
        row: Row {
            name: format!("α {}", run.metadata.name.clone().unwrap_or_default()),
            kind: "AnalysisRun",
            status: format!("{} {phase}", icon(&phase)),
            age: age(run.metadata.creation_timestamp.as_ref().map(|time| time.0), now),
            info: info.join(","),
        },
        children: Vec::new(),
    }
}

fn run_revision(run: &AnalysisRun) -> i64 {
    run.metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(names::REVISION))
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn flatten(node: &Node, prefix: &str, last: bool, root: bool, rows: &mut Vec<Row>) {
    let branch = match (root, last) {
        (true, _) => "",
        (false, true) => "└──",
        (false, false) => "├──",
    };
    let mut row = node.row.clone();
    row.name = format!("{prefix}{branch}{}", row.name);
    rows.push(row);
    let below = match (root, last) {
        (true, _) => String::new(),
        (false, true) => format!("{prefix}   "),
        (false, false) => format!("{prefix}│  "),
    };
    for (index, child) in node.children.iter().enumerate() {
        flatten(child, &below, index + 1 == node.children.len(), false, rows);
    }
}

/// The icon of a phase or a pod's word.
pub(crate) fn icon(word: &str) -> &'static str {
    match word {
        "Healthy" | "Running" | "Successful" | "Completed" | "Succeeded" | "Synced" => "✔",
        "Progressing" | "Pending" | "ContainerCreating" | "PodInitializing" | "Terminating" => "◌",
        "Paused" | "Suspended" => "॥",
        "ScaledDown" => "•",
        "Inconclusive" => "?",
        "Unknown" | "OutOfSync" => "⚠",
        _ => "✖",
    }
}

/// An age as kubectl writes it: `21s`, `5m12s`, `3h`, `2d`.
pub(crate) fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    since.map_or_else(|| "<unknown>".to_owned(), |since| short(now.duration_since(since)))
}

/// A duration in at most two units.
pub(crate) fn short(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 && seconds % 60 > 0 => format!("{minutes}m{}s", seconds % 60),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 && minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        () if hours < 48 => format!("{hours}h"),
        () => format!("{days}d"),
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
