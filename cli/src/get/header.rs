//! The header of `get rollout` and `get experiment`: the lines that people know, byte for byte.

use sluice_crds::ObjectMeta;
use sluice_crds::rollout::Rollout;
use sluice_rollout::ReplicaSet;

use super::experiment::ExperimentView;
use super::snapshot::Snapshot;
use super::{roles, status, weights};
use crate::paint::{Paint, Tone};

/// How the object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// Icon of the phase.
    pub icon: &'static str,
    /// Phase, one word.
    pub phase: String,
    /// Why; may be empty.
    pub message: String,
}

/// An image and what the ReplicaSets with it are.
pub(super) type Image = (String, Vec<String>);

/// One line: a label in a column of 17, and a value.
pub(crate) fn line(label: &str, value: &str) -> String {
    format!("{:<17}{value}", label).trim_end().to_owned() + "\n"
}

/// Several lines with one label.
pub(super) fn lines(label: &str, values: impl IntoIterator<Item = String>) -> String {
    let mut out = String::new();
    for (index, value) in values.into_iter().enumerate() {
        out += &line(if index == 0 { label } else { "" }, &value);
    }
    out
}

/// The lines of a Rollout.
pub(super) fn text(snapshot: &Snapshot, paint: Paint) -> String {
    let rollout = &snapshot.rollout;
    let counts = rollout.status.clone().unwrap_or_default();
    let (phase, message) = status::of(rollout);
    let state = State {
        icon: status::icon(&phase),
        phase,
        message,
    };
    let mut out = beginning(&rollout.metadata, &state, paint);
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
    out += &images(&images_of_rollout(snapshot), paint);
    out += "Replicas:\n";
    let count = |count: Option<i32>| count.unwrap_or(0).to_string();
    out += &line("  Desired:", &rollout.spec.replicas().to_string());
    out += &line("  Current:", &count(counts.replicas));
    out += &line("  Updated:", &count(counts.updated_replicas));
    out += &line("  Ready:", &count(counts.ready_replicas));
    out += &line("  Available:", &count(counts.available_replicas));
    out
}

/// Name, namespace, status and message.
pub(super) fn beginning(metadata: &ObjectMeta, state: &State, paint: Paint) -> String {
    let State {
        icon,
        phase,
        message,
    } = state;
    let mut out = line("Name:", metadata.name.as_deref().unwrap_or_default());
    out += &line(
        "Namespace:",
        metadata.namespace.as_deref().unwrap_or_default(),
    );
    let word = format!("{icon} {phase}");
    out += &line("Status:", &paint.tone(Tone::of(phase), &word));
    if !message.is_empty() {
        out += &line("Message:", message);
    }
    out
}

/// Images with what they are.
pub(super) fn images(images: &[Image], paint: Paint) -> String {
    let value = |(image, roles): &Image| {
        let roles: Vec<String> = roles
            .iter()
            .map(|role| paint.tone(Some(roles::tone(role)), role))
            .collect();
        if roles.is_empty() {
            image.clone()
        } else {
            format!("{image} ({})", roles.join(", "))
        }
    };
    lines("Images:", images.iter().map(value))
}

/// As in `1/4`; `None` without steps, or before the first look.
pub(crate) fn step(rollout: &Rollout) -> Option<String> {
    let steps = rollout.spec.canary()?.steps().len();
    let index = rollout.status.as_ref()?.current_step_index?;
    (steps > 0).then(|| format!("{index}/{steps}"))
}

fn images_of_rollout(snapshot: &Snapshot) -> Vec<Image> {
    let own = snapshot.owned.replica_sets().map(|set| {
        let roles = roles::of(&snapshot.rollout, set);
        (set, roles.into_iter().map(str::to_owned).collect())
    });
    let views = snapshot.experiments.iter();
    merged(own.chain(views.flat_map(with_templates)))
}

/// The images of an Experiment.
pub(super) fn images_of_experiment(view: &ExperimentView) -> Vec<Image> {
    merged(with_templates(view))
}

fn with_templates(view: &ExperimentView) -> impl Iterator<Item = (&ReplicaSet, Vec<String>)> {
    view.owned
        .replica_sets()
        .map(|set| (set, roles::template_tag(set).into_iter().collect()))
}

/// The images of ReplicaSets that have pods, by name, each with all that those ReplicaSets are.
fn merged<'a>(sets: impl Iterator<Item = (&'a ReplicaSet, Vec<String>)>) -> Vec<Image> {
    let mut images: Vec<Image> = Vec::new();
    for (set, roles) in sets.filter(|(set, _)| set.current > 0) {
        for (_, image) in set.template.images() {
            match images.iter_mut().find(|(known, _)| *known == image) {
                Some((_, known)) => {
                    known.extend(roles.iter().cloned());
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
