//! What comes next in an update if nothing goes wrong, and when it can be done at the earliest.

use jiff::{SignedDuration, Timestamp};
use sluice_crds::duration;
use sluice_crds::rollout::Rollout;
use sluice_crds::rollout::steps::{
    CanaryStep, ExperimentStep, ExperimentStepTemplate, Pause, PluginStep, SetCanaryScale, StepKind,
};
use sluice_crds::split;

use super::age::short;
use super::experiment::view;
use super::snapshot::Snapshot;
use super::weights;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// What lasts for a known time now, the pause or the experiment, and its end.
    pub ends: Option<(&'static str, Timestamp)>,
    /// The step after the current one, in words.
    pub then: String,
    /// The end.
    pub end: End,
}

/// When an update is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Not before: all timed pauses and experiments that are left have to pass.
    NotBefore(Timestamp),
    /// It will wait for a person at the step with this number, counted from 1.
    Person(usize),
    /// No pause is left; it depends on pods and analyses alone.
    Open,
}

/// Looks ahead; `None` when no update is under way.
pub(crate) fn of(snapshot: &Snapshot, now: Timestamp) -> Option<Forecast> {
    let rollout = &snapshot.rollout;
    let status = rollout.status.as_ref()?;
    let under_way = status.stable_rs.is_some() && status.stable_rs != status.current_pod_hash;
    if !under_way || status.aborted() {
        return None;
    }
    let steps = rollout.spec.canary()?.steps();
    let current = weights::current_step(rollout)?;
    let ends = end(snapshot);
    let mut at = ends.map_or(now, |(_, at)| at).max(now);
    let mut waits = ends.is_some();
    let mut person = None;
    for (index, step) in steps.iter().enumerate().skip(current) {
        if index == current && ends.is_some() {
            continue;
        }
        match (step.kind(), length(step)) {
            (_, Some(length)) => {
                at = at.checked_add(length).unwrap_or(at);
                waits = true;
            }
            (Some(StepKind::Pause(_)), None) => person = person.or(Some(index + 1)),
            _ => {}
        }
    }
    let end = match person {
        Some(step) => End::Person(step),
        None if waits => End::NotBefore(at),
        None => End::Open,
    };
    let then = steps
        .get(current + 1)
        .map_or_else(|| "the promotion".to_owned(), step_text);
    Some(Forecast { ends, then, end })
}

/// How long a step lasts at least, when it says so.
fn length(step: &CanaryStep) -> Option<SignedDuration> {
    match step.kind()? {
        StepKind::Pause(pause) => duration::parse_int_or_string(pause.duration.as_ref()?).ok(),
        StepKind::Experiment(step) => duration::parse(step.duration.as_deref()?).ok(),
        _ => None,
    }
}

/// What lasts for a known time at the current step, and its end.
pub(crate) fn end(snapshot: &Snapshot) -> Option<(&'static str, Timestamp)> {
    let experiment = snapshot.current_experiment();
    pause_end(&snapshot.rollout)
        .map(|at| ("pause", at))
        .or_else(|| Some(("experiment", view::ends(&experiment?.experiment)?)))
}

/// When the timed pause at the current step ends.
fn pause_end(rollout: &Rollout) -> Option<Timestamp> {
    let status = rollout.status.as_ref()?;
    let step = rollout
        .spec
        .canary()?
        .steps()
        .get(weights::current_step(rollout)?)?;
    let Some(StepKind::Pause(_)) = step.kind() else {
        return None;
    };
    let mut conditions = status.pause_conditions.iter().flatten();
    let condition = conditions.find(|condition| condition.reason == "CanaryPauseStep")?;
    let began = condition.start_time.as_ref()?.0;
    began.checked_add(length(step)?).ok()
}

/// A step in words.
pub(crate) fn step_text(step: &CanaryStep) -> String {
    let Some(kind) = step.kind() else {
        return "a step that cannot be read".to_owned();
    };
    let what = match kind {
        StepKind::SetWeight(weight) => weight.to_string(),
        StepKind::Pause(pause) => pause_text(pause),
        StepKind::SetCanaryScale(scale) => scale_text(scale),
        StepKind::SetHeaderRoute(route) => route_text(step, route.name.as_deref()),
        StepKind::SetMirrorRoute(route) => route_text(step, route.name.as_deref()),
        StepKind::Experiment(experiment) => experiment_text(experiment),
        StepKind::Analysis(analysis) => {
            let templates = analysis.templates.iter().flatten();
            let names: Vec<&str> = templates
                .filter_map(|one| one.template_name.as_deref())
                .collect();
            names.join(", ")
        }
        StepKind::Plugin(PluginStep { name, .. }) => name.clone(),
    };
    format!("{} {what}", kind.key())
}

fn pause_text(pause: &Pause) -> String {
    match pause.duration.as_ref().map(duration::parse_int_or_string) {
        None => "until somebody promotes".to_owned(),
        Some(Ok(length)) => short(length),
        Some(Err(error)) => format!("({error})"),
    }
}

fn scale_text(scale: &SetCanaryScale) -> String {
    match (scale.replicas, scale.weight) {
        (Some(replicas), _) => format!("{replicas} pods"),
        (None, Some(weight)) => format!("{weight} % of the pods"),
        (None, None) => "as the traffic".to_owned(),
    }
}

/// What a header or mirror step makes, or that it takes its route away.
fn route_text(step: &CanaryStep, name: Option<&str>) -> String {
    let made: Vec<String> = split::routes_of(step)
        .iter()
        .map(ToString::to_string)
        .collect();
    if made.is_empty() {
        format!("takes {} away", name.unwrap_or_default())
    } else {
        made.join(", ")
    }
}

/// Templates with their weights, analyses, and how long it runs.
fn experiment_text(step: &ExperimentStep) -> String {
    let template = |it: &ExperimentStepTemplate| match it.weight {
        Some(weight) => format!("{} with {weight} %", it.name),
        None => it.name.clone(),
    };
    let templates = step.templates.iter().flatten().map(template);
    let mut out = templates.collect::<Vec<_>>().join(", ");
    match step.duration.as_deref().map(duration::parse) {
        None => out += " until its analyses end",
        Some(Ok(length)) => out += &format!(" for {}", short(length)),
        Some(Err(error)) => out += &format!(" ({error})"),
    }
    let analyses = step.analyses.iter().flatten();
    let analyses: Vec<&str> = analyses.map(|it| it.name.as_str()).collect();
    if !analyses.is_empty() {
        out += &format!(", measured by {}", analyses.join(", "));
    }
    out
}
