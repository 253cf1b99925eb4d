//! The text of `get rollout`: the header and tree that people know, and below them what only Sluice can say.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sluice_crds::duration;
use sluice_crds::names;
use sluice_crds::rollout::Rollout;
use sluice_crds::rollout::steps::StepKind;

use super::snapshot::Snapshot;
use super::{status, tree};
use crate::paint::{Paint, Tone};

/// Writes the whole view.
pub(crate) fn text(snapshot: &Snapshot, now: Timestamp, paint: Paint) -> String {
    let mut out = header(snapshot, paint);
    out.push('\n');
    out.push_str(&table(&tree::rows(snapshot, now), paint));
    let extra = below(snapshot, now);
    if !extra.is_empty() {
        out.push('\n');
        for (label, value) in extra {
            out.push_str(&format!("{:<17}{value}\n", format!("{label}:")));
        }
    }
    out
}

fn header(snapshot: &Snapshot, paint: Paint) -> String {
    let rollout = &snapshot.rollout;
    let status = rollout.status.clone().unwrap_or_default();
    let (phase, message) = status::of(rollout);
    let mut lines = Vec::new();
    let mut line = |label: &str, value: String| lines.push(format!("{label:<17}{value}"));
    line("Name:", rollout.metadata.name.clone().unwrap_or_default());
    line("Namespace:", rollout.metadata.namespace.clone().unwrap_or_default());
    line("Status:", paint.phase(&phase, &format!("{} {phase}", tree::icon(&phase))));
    if !message.is_empty() {
        line("Message:", message);
    }
    if let Some(canary) = rollout.spec.canary() {
        line("Strategy:", "Canary".to_owned());
        let steps = canary.steps();
        if !steps.is_empty() {
            let index = status.current_step_index.unwrap_or(0);
            line("  Step:", format!("{index}/{}", steps.len()));
            line("  SetWeight:", set_weight(rollout).to_string());
            line("  ActualWeight:", actual_weight(snapshot).to_string());
        }
    } else if rollout.spec.blue_green().is_some() {
        line("Strategy:", "BlueGreen".to_owned());
    }
    for (index, image) in images(snapshot, paint).into_iter().enumerate() {
        line(if index == 0 { "Images:" } else { "" }, image);
    }
    line("Replicas:", String::new());
    line("  Desired:", rollout.spec.replicas().to_string());
    line("  Current:", status.replicas.unwrap_or(0).to_string());
    line("  Updated:", status.updated_replicas.unwrap_or(0).to_string());
    line("  Ready:", status.ready_replicas.unwrap_or(0).to_string());
    line("  Available:", status.available_replicas.unwrap_or(0).to_string());
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The weight that the steps ask for at the current one.
fn set_weight(rollout: &Rollout) -> i32 {
    let (Some(canary), Some(status)) = (rollout.spec.canary(), rollout.status.as_ref()) else {
        return 0;
    };
    let max = canary.max_weight();
    if status.aborted() {
        return 0;
    }
    let steps = canary.steps();
    let index = usize::try_from(status.current_step_index.unwrap_or(0)).unwrap_or(0);
    if index >= steps.len() || status.stable_rs == status.current_pod_hash {
        return max;
    }
    steps
        .iter()
        .take(index + 1)
        .rev()
        .find_map(|step| match step.kind() {
            Some(StepKind::SetWeight(weight)) => Some(weight),
            _ => None,
        })
        .unwrap_or(0)
}

/// The share of the canary as it is: what the routers say, or the share of pods without routers.
fn actual_weight(snapshot: &Snapshot) -> i32 {
    let rollout = &snapshot.rollout;
    let status = rollout.status.clone().unwrap_or_default();
    let Some(canary) = rollout.spec.canary() else { return 0 };
    if status.stable_rs == status.current_pod_hash && !status.aborted() {
        return canary.max_weight();
    }
    if canary.traffic_routing.is_some() {
        return observed(snapshot).into_iter().map(|(_, weight)| weight).max().unwrap_or(0);
    }
    let available: i32 = snapshot.replica_sets.iter().map(|set| set.available).sum();
    let canary_pods: i32 = snapshot
        .replica_sets
        .iter()
        .filter(|set| set.hash().map(str::to_owned) == status.current_pod_hash)
        .map(|set| set.available)
        .sum();
    (canary_pods * 100).checked_div(available).unwrap_or(0)
}

/// What each router object says: name and weight of the canary.
fn observed(snapshot: &Snapshot) -> Vec<(String, i32)> {
    let find = |object: &sluice_traffic::ObjectRef| -> Option<&Value> {
        snapshot.routes.iter().find(|route| object.names(route))
    };
    let max = snapshot.rollout.spec.canary().map_or(100, |canary| canary.max_weight());
    sluice_traffic::observe(&snapshot.rollout, &find, max)
        .into_iter()
        .filter_map(|observed| Some((observed.object, observed.canary.ok()?)))
        .collect()
}

fn images(snapshot: &Snapshot, paint: Paint) -> Vec<String> {
    let status = snapshot.rollout.status.clone().unwrap_or_default();
    let mut lines = Vec::new();
    for set in &snapshot.replica_sets {
        let hash = set.hash().map(str::to_owned);
        let role = if hash.is_some() && hash == status.stable_rs {
            Some(("stable", Tone::Good))
        } else if hash.is_some() && hash == status.current_pod_hash {
            Some(("canary", Tone::New))
        } else {
            None
        };
        if role.is_none() && set.replicas == 0 {
            continue;
        }
        for (_, image) in set.template.images() {
            let line = match role {
                Some((role, tone)) => format!("{image} ({})", paint.tone(tone, role)),
                None => image,
            };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

fn table(rows: &[tree::Row], paint: Paint) -> String {
    let width = |column: fn(&tree::Row) -> &str, title: &str| {
        rows.iter()
            .map(|row| column(row).chars().count())
            .chain([title.chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths = [
        width(|row| &row.name, "NAME"),
        width(|row| row.kind, "KIND"),
        width(|row| &row.status, "STATUS"),
        width(|row| &row.age, "AGE"),
    ];
    let line = |cells: [&str; 5], word: &str| {
        let mut out = String::new();
        for (index, cell) in cells.iter().enumerate() {
            let fill = widths.get(index).map_or(0, |width| width.saturating_sub(cell.chars().count()));
            let shown = if index == 2 { paint.phase(word, cell) } else { (*cell).to_owned() };
            out.push_str(&shown);
            if index < 4 {
                out.push_str(&" ".repeat(fill + 2));
            }
        }
        out.trim_end().to_owned() + "\n"
    };
    let mut out = line(["NAME", "KIND", "STATUS", "AGE", "INFO"], "");
    for row in rows {
        let word = row.status.split(' ').nth(1).unwrap_or_default().to_owned();
        out.push_str(&line([&row.name, row.kind, &row.status, &row.age, &row.info], &word));
    }
    out
}

/// Decision, measured traffic, Git and the next wake-up: `(label, text)`.
fn below(snapshot: &Snapshot, now: Timestamp) -> Vec<(&'static str, String)> {
    let rollout = &snapshot.rollout;
    let mut lines = Vec::new();
    lines.push(("Decision", decision(snapshot, now)));
    let observed = observed(snapshot);
    if !observed.is_empty() {
        let told = rollout
            .status
            .as_ref()
            .and_then(|status| status.canary.as_ref()?.weights.as_ref())
            .map(|weights| weights.canary.weight);
        let shown: Vec<String> =
            observed.iter().map(|(object, weight)| format!("{object} shows {weight} %")).collect();
        let told = told.map_or_else(String::new, |told| format!("set {told} %, "));
        lines.push(("Traffic", format!("{told}{}", shown.join(", "))));
    }
    let annotations = rollout.metadata.annotations.clone().unwrap_or_default();
    if let Some(revision) = annotations.get(names::GIT_REVISION) {
        let application = annotations
            .get(names::TRACKING_ID)
            .and_then(|id| id.split(':').next())
            .map_or_else(String::new, |name| format!(" (Application {name})"));
        lines.push(("Git", format!("{}{application}", revision.chars().take(7).collect::<String>())));
    }
    if let Some(until) = pause_end(rollout) {
        let left = until.duration_since(now);
        let text = if left.is_positive() {
            format!("{} the pause ends (in {})", until.strftime("%H:%M:%S"), duration::format(left))
        } else {
            "the pause is over, the next step follows".to_owned()
        };
        lines.push(("Next", text));
    }
    lines
}

/// One sentence: what is being waited for, or why it ended; with value, operator and limit where there are any.
pub(crate) fn decision(snapshot: &Snapshot, now: Timestamp) -> String {
    let rollout = &snapshot.rollout;
    let status = rollout.status.clone().unwrap_or_default();
    let (phase, message) = status::of(rollout);
    if status.aborted() {
        let cause = status.condition("Progressing").map(|condition| condition.message.clone());
        return format!("aborted, all traffic on the stable revision: {}", cause.unwrap_or(message));
    }
    if let Some(pause) = status.pause_conditions.iter().flatten().next() {
        return match pause_end(rollout) {
            Some(until) => format!(
                "hold: paused for another {} ({})",
                duration::format(until.duration_since(now).max(SignedDuration::ZERO)),
                pause.reason
            ),
            None => format!("hold: {} until somebody promotes or aborts", pause.reason),
        };
    }
    match phase.as_str() {
        "Healthy" => "done: the current revision is the stable one".to_owned(),
        _ if message.is_empty() => phase,
        _ => format!("{}: {message}", phase.to_lowercase()),
    }
}

/// When the timed pause at the current step ends.
fn pause_end(rollout: &Rollout) -> Option<Timestamp> {
    let status = rollout.status.as_ref()?;
    let index = usize::try_from(status.current_step_index?).ok()?;
    let Some(StepKind::Pause(pause)) = rollout.spec.canary()?.steps().get(index)?.kind() else {
        return None;
    };
    let began = status.pause_conditions.iter().flatten().next()?.start_time.as_ref()?.0;
    let length = duration::parse_int_or_string(pause.duration.as_ref()?).ok()?;
    began.checked_add(length).ok()
}
