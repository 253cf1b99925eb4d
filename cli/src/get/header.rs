//! The header of `get rollout`: the lines that people know, byte for byte.

use sluice_crds::rollout::Rollout;

use super::snapshot::Snapshot;
use super::{roles, status, weights};
use crate::paint::{Paint, Tone};

/// One line: a label in a column of 17, and a value.
pub(crate) fn line(label: &str, value: &str) -> String {
    format!("{:<17}{value}", label).trim_end().to_owned() + "\n"
}

/// All lines.
pub(crate) fn text(snapshot: &Snapshot, paint: Paint) -> String {
    let rollout = &snapshot.rollout;
    let state = rollout.status.clone().unwrap_or_default();
    let (phase, message) = status::of(rollout);
    let mut out = line(
        "Name:",
        rollout.metadata.name.as_deref().unwrap_or_default(),
    );
    out += &line(
        "Namespace:",
        rollout.metadata.namespace.as_deref().unwrap_or_default(),
    );
    let icon = status::icon(&phase);
    out += &line(
        "Status:",
        &paint.tone(Tone::of(&phase), &format!("{icon} {phase}")),
    );
    if !message.is_empty() {
        out += &line("Message:", &message);
    }
    if rollout.spec.canary().is_some() {
        out += &line("Strategy:", "Canary");
        out += &line("  Step:", &step(rollout).unwrap_or_default());
        out += &line("  SetWeight:", &weights::set(rollout).to_string());
        out += &line("  ActualWeight:", &weights::actual(snapshot).to_string());
    } else if rollout.spec.blue_green().is_some() {
        out += &line("Strategy:", "BlueGreen");
    } else {
        out += &line("Strategy:", "");
    }
    for (index, (image, roles)) in images(snapshot).into_iter().enumerate() {
        let roles: Vec<String> = roles
            .into_iter()
            .map(|role| paint.tone(Some(roles::tone(role)), role))
            .collect();
        let roles = if roles.is_empty() {
            String::new()
        } else {
            format!(" ({})", roles.join(", "))
        };
        out += &line(
            if index == 0 { "Images:" } else { "" },
            &format!("{image}{roles}"),
        );
    }
    out += "Replicas:\n";
    let count = |count: Option<i32>| count.unwrap_or(0).to_string();
    out += &line("  Desired:", &rollout.spec.replicas().to_string());
    out += &line("  Current:", &count(state.replicas));
    out += &line("  Updated:", &count(state.updated_replicas));
    out += &line("  Ready:", &count(state.ready_replicas));
    out += &line("  Available:", &count(state.available_replicas));
    out
}

/// As in `1/4`; `None` without steps, or before the first look.
pub(crate) fn step(rollout: &Rollout) -> Option<String> {
    let steps = rollout.spec.canary()?.steps().len();
    let index = rollout.status.as_ref()?.current_step_index?;
    (steps > 0).then(|| format!("{index}/{steps}"))
}

/// The images of ReplicaSets that have pods, by name, each with the roles of those ReplicaSets.
fn images(snapshot: &Snapshot) -> Vec<(String, Vec<&'static str>)> {
    let mut images: Vec<(String, Vec<&'static str>)> = Vec::new();
    for set in snapshot.sets.iter().filter(|set| set.set.current > 0) {
        let roles = roles::of(&snapshot.rollout, &set.set);
        for (_, image) in set.set.template.images() {
            match images.iter_mut().find(|(known, _)| *known == image) {
                Some((_, known)) => {
                    known.extend(&roles);
                    known.sort_unstable();
                    known.dedup();
                }
                None => images.push((image, roles.clone())),
            }
        }
    }
    images.sort_by(|(one, _), (other, _)| one.cmp(other));
    images
}
