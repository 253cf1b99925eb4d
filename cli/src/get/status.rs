//! Phase and message of a Rollout as clients show them: the status of the controller, unless it is older than the spec.

use sluice_crds::names;
use sluice_crds::rollout::Rollout;

/// `(phase, message)`.
pub(crate) fn of(rollout: &Rollout) -> (String, String) {
    let status = rollout.status.clone().unwrap_or_default();
    let generation = rollout.metadata.generation.unwrap_or(0).to_string();
    if status.observed_generation.as_deref() != Some(generation.as_str()) {
        let message = "waiting for rollout spec update to be observed";
        return ("Progressing".to_owned(), message.to_owned());
    }
    let workload = rollout
        .metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(names::WORKLOAD_GENERATION));
    if workload.is_some() && workload != status.workload_observed_generation.as_ref() {
        let message = "waiting for rollout spec update to be observed for the reference workload";
        return ("Progressing".to_owned(), message.to_owned());
    }
    let waits = status
        .pause_conditions
        .as_ref()
        .is_some_and(|list| !list.is_empty());
    if status.phase.as_deref() == Some("Paused") && rollout.spec.paused != Some(true) && !waits {
        let message = "waiting for rollout to unpause";
        return ("Progressing".to_owned(), message.to_owned());
    }
    (
        status.phase.unwrap_or_else(|| "Progressing".to_owned()),
        status.message.unwrap_or_default(),
    )
}

/// The icon of a phase.
pub(crate) fn icon(phase: &str) -> &'static str {
    match phase {
        "Progressing" => "◌",
        "Error" | "InvalidSpec" => "⚠",
        "Paused" => "॥",
        "Healthy" => "✔",
        "Degraded" => "✖",
        "Unknown" => "?",
        "ScaledDown" => "•",
        _ => " ",
    }
}

/// The icon of the phase of an analysis, a measurement or an Experiment.
pub(crate) fn of_analysis(phase: &str) -> &'static str {
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
