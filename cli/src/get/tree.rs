//! The tree of `get rollout`: revisions, ReplicaSets, pods and analyses, as rows. Pure.

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::analysis::MetricResult;
use sluice_crds::names;

use super::age::{age, short};
use super::roles;
use super::snapshot::{Set, Snapshot, text};
use super::{pod, status};
use crate::paint::{Paint, Tone};

/// A row of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Row {
    /// Branches and icon.
    branch: String,
    /// Name, in a colour.
    name: String,
    tone: Option<Tone>,
    kind: &'static str,
    /// Icon and word.
    status: String,
    status_tone: Option<Tone>,
    age: String,
    info: String,
}

/// A node before its branches are drawn.
struct Node {
    icon: &'static str,
    row: Row,
    children: Vec<Node>,
}

impl Node {
    fn new(icon: &'static str, kind: &'static str, name: &str) -> Self {
        let row = Row {
            name: name.to_owned(),
            kind,
            ..Row::default()
        };
        Self {
            icon,
            row,
            children: Vec::new(),
        }
    }

    fn status(mut self, icon: &str, word: &str) -> Self {
        self.row.status = format!("{icon} {word}");
        self.row.status_tone = Tone::of(word);
        self
    }

    fn age(mut self, since: Option<Timestamp>, now: Timestamp) -> Self {
        self.row.age = age(since, now);
        self
    }
}

/// The tree as text.
pub(crate) fn draw(snapshot: &Snapshot, now: Timestamp, paint: Paint) -> String {
    let mut rows = Vec::new();
    flatten(&root(snapshot, now), "", None, &mut rows);
    table(&rows, paint)
}

fn root(snapshot: &Snapshot, now: Timestamp) -> Node {
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
        .sets
        .iter()
        .map(|set| set.set.revision())
        .chain(snapshot.runs.iter().map(run_revision))
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
    let sets = snapshot
        .sets
        .iter()
        .filter(|set| set.set.revision() == number);
    node.children
        .extend(sets.map(|set| replica_set(snapshot, set, now)));
    let mut runs: Vec<&AnalysisRun> = snapshot
        .runs
        .iter()
        .filter(|run| run_revision(run) == number)
        .collect();
    runs.sort_by(|one, other| {
        created(one)
            .cmp(&created(other))
            .then_with(|| other.metadata.name.cmp(&one.metadata.name))
    });
    node.children
        .extend(runs.into_iter().map(|run| analysis_run(run, now)));
    node
}

fn replica_set(snapshot: &Snapshot, set: &Set, now: Timestamp) -> Node {
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
    let roles = roles::of(&snapshot.rollout, &set.set);
    node.row.tone = roles.first().map(|role| roles::tone(role));
    let mut info: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
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
    let mut pods: Vec<&Value> = snapshot
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
        .status(analysis_icon(phase), phase)
        .age(created(run), now);
    if matches!(phase, "Running" | "Pending") {
        node.row.tone = Some(Tone::Busy);
        node.row.status_tone = Some(Tone::Busy);
    }
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
                    .status(analysis_icon(phase), phase)
                    .age(began, now),
            )
        })
        .collect();
    node
}

fn analysis_icon(phase: &str) -> &'static str {
    match phase {
        "Successful" => "✔",
        "Inconclusive" => "?",
        "Failed" => "✖",
        "Error" => "⚠",
        "Running" => "◌",
        "Pending" => "◷",
        _ => " ",
    }
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

/// Draws the branches; `last` says whether a node is the last child, `None` that it is the root.
fn flatten(node: &Node, prefix: &str, last: Option<bool>, rows: &mut Vec<Row>) {
    let (branch, below) = match last {
        None => (String::new(), String::new()),
        Some(true) => (format!("{prefix}└──"), format!("{prefix}   ")),
        Some(false) => (format!("{prefix}├──"), format!("{prefix}│  ")),
    };
    rows.push(Row {
        branch: format!("{branch}{} ", node.icon),
        ..node.row.clone()
    });
    for (index, child) in node.children.iter().enumerate() {
        flatten(child, &below, Some(index + 1 == node.children.len()), rows);
    }
}

fn table(rows: &[Row], paint: Paint) -> String {
    let width = |title: &str, cell: fn(&Row) -> usize| {
        rows.iter()
            .map(cell)
            .chain([title.len()])
            .max()
            .unwrap_or(0)
    };
    let chars = |text: &str| text.chars().count();
    let widths = [
        width("NAME", |row| {
            row.branch.chars().count() + row.name.chars().count()
        }),
        width("KIND", |row| row.kind.len()),
        width("STATUS", |row| row.status.chars().count()),
        width("AGE", |row| row.age.chars().count()),
    ];
    let mut out = String::new();
    let mut line = |cells: [(String, usize); 4], info: &str| {
        let mut text = String::new();
        for ((cell, wide), width) in cells.iter().zip(widths) {
            text.push_str(cell);
            text.push_str(&" ".repeat(width.saturating_sub(*wide) + 2));
        }
        text.push_str(info);
        out.push_str(text.trim_end());
        out.push('\n');
    };
    let plain = |text: &str| (text.to_owned(), chars(text));
    line(["NAME", "KIND", "STATUS", "AGE"].map(plain), "INFO");
    for row in rows {
        let name = format!("{}{}", row.branch, paint.tone(row.tone, &row.name));
        line(
            [
                (name, chars(&row.branch) + chars(&row.name)),
                plain(row.kind),
                (paint.tone(row.status_tone, &row.status), chars(&row.status)),
                plain(&row.age),
            ],
            &row.info,
        );
    }
    out
}
