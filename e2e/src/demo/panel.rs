//! The panel below the story: what Git, the Application, the Rollout, the route and the users see at this moment.

use std::time::Duration;

use super::load::{Count, Counts, sum};
use super::screen::{Line, Tone};

/// Everything that the panel shows.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Since the story began.
    pub elapsed: Duration,
    /// What is being waited for.
    pub waiting_for: String,
    /// `<sha7> <subject>` of the branch head.
    pub git: String,
    /// Revision that the Application last synced, seven digits.
    pub synced: String,
    /// Sync status, health and, when there is one, the quarantine.
    pub sync: String,
    /// Health of the Application.
    pub health: String,
    /// Evidence of the quarantine.
    pub quarantine: Option<String>,
    /// Phase of the Rollout.
    pub phase: String,
    /// Message of the Rollout.
    pub message: String,
    /// `i/n` of the steps.
    pub step: String,
    /// Version that is stable.
    pub stable: String,
    /// Version that is arriving; empty when none is.
    pub canary: String,
    /// Weight of the canary that the route carries, 0 to 100.
    pub wanted: i32,
    /// Requests of the last seconds by version.
    pub recent: Counts,
    /// All requests by version.
    pub total: Counts,
    /// Ready pods by version.
    pub pods: Vec<(String, i32, i32)>,
}

const BAR: usize = 50;

/// Draws the panel.
#[must_use]
pub fn panel(state: &State) -> Vec<Line> {
    let label = |name: &str| Line::default().column(Tone::Dim, format!("  {name}"), 15);
    let tone = |word: &str| match word {
        "Healthy" | "Synced" => Tone::Good,
        "Degraded" | "Quarantined" | "Unknown" => Tone::Bad,
        "" => Tone::Dim,
        _ => Tone::New,
    };
    let total = sum(&state.total);
    let mut lines = vec![
        Line::default().with(Tone::Dim, "  ".to_owned() + &"─".repeat(92)),
        label("Git").with(Tone::Plain, format!("main at {}", state.git)),
        label("Application")
            .with(tone(&state.sync), state.sync.clone())
            .with(Tone::Dim, format!(" to {}  ", state.synced))
            .with(tone(&state.health), state.health.clone())
            .with(
                Tone::Bad,
                if state.quarantine.is_some() {
                    "  Quarantined"
                } else {
                    ""
                },
            ),
        label("Rollout")
            .with(tone(&state.phase), state.phase.clone())
            .with(Tone::Dim, format!("  step {}  ", state.step))
            .with(
                Tone::Plain,
                state.message.chars().take(60).collect::<String>(),
            ),
        label("Pods").with(
            Tone::Plain,
            state
                .pods
                .iter()
                .map(|(version, ready, wanted)| format!("{version} {ready}/{wanted}"))
                .collect::<Vec<_>>()
                .join("   "),
        ),
    ];
    let canary_seen = count(&state.recent, &state.canary);
    let seen = sum(&state.recent);
    let share = if seen.requests == 0 || state.canary.is_empty() {
        0.0
    } else {
        canary_seen.requests as f64 * 100.0 / seen.requests as f64
    };
    lines.push(bar(label("Wanted"), f64::from(state.wanted), state));
    lines.push(bar(label("Measured"), share, state));
    let mut errors = label("Errors");
    for version in [&state.stable, &state.canary] {
        if !version.is_empty() {
            let percent = count(&state.recent, version).error_percent();
            let tone = if percent > 5.0 { Tone::Bad } else { Tone::Good };
            errors = errors
                .with(Tone::Dim, format!("{version} "))
                .with(tone, format!("{percent:.1} %   "));
        }
    }
    lines.push(errors.with(
        Tone::Dim,
        format!(
            "limit 5 %   users: {} of {} requests failed",
            total.failed, total.requests
        ),
    ));
    lines.push(label("Waiting for").with(Tone::Dim, format!("{} ", state.waiting_for)));
    lines
}

fn bar(line: Line, canary: f64, state: &State) -> Line {
    let filled = ((canary / 100.0) * BAR as f64).round() as usize;
    let filled = filled.min(BAR);
    let line = line
        .with(Tone::Good, "█".repeat(BAR - filled))
        .with(Tone::New, "█".repeat(filled))
        .with(
            Tone::Good,
            format!("  {} {:.1} %", state.stable, 100.0 - canary),
        );
    if state.canary.is_empty() {
        line
    } else {
        line.with(Tone::New, format!("  {} {canary:.1} %", state.canary))
    }
}

fn count(counts: &Counts, version: &str) -> Count {
    counts.get(version).copied().unwrap_or_default()
}
