//! The text of `explain`: decision, steps, what it rests on, what comes next, what happened. Pure.

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::rollout::Rollout;
use sluice_rollout::Plan;

use super::decisions::Log;
use super::effect;
use super::when;
use crate::get::age::{age, moment, short};
use crate::get::experiment::ExperimentView;
use crate::get::owned::text;
use crate::get::snapshot::Snapshot;
use crate::get::{below, decision, forecast, measured, roles, status, weights};

/// Events that are shown.
const EVENTS: usize = 8;
/// Decisions that are shown.
const DECISIONS: usize = 6;

/// What is explained, and with what.
pub(super) struct View<'a> {
    /// The Rollout.
    pub snapshot: &'a Snapshot,
    /// Events about it, or why there are none.
    pub events: Result<Vec<Value>, String>,
    /// Decisions of the controller, or why there are none.
    pub decisions: Result<Log, String>,
    /// How the plugin is called.
    pub typed: &'static str,
}

impl View<'_> {
    /// All of it.
    pub(super) fn text(&self, now: Timestamp) -> String {
        let snapshot = self.snapshot;
        let rollout = &snapshot.rollout;
        let plan = snapshot.plan(now);
        let name = rollout.metadata.name.as_deref().unwrap_or_default();
        let mut out = format!(
            "{name}: {}\n",
            decision::sentence(snapshot, plan.as_ref(), now)
        );
        section(&mut out, "Steps", steps(snapshot, now));
        section(&mut out, "Rests on", rests_on(snapshot));
        section(&mut out, "Comes next", self.next(plan.as_ref(), now));
        section(&mut out, "Conditions", conditions(rollout, now));
        section(&mut out, "What happened last", self.happened(now));
        section(&mut out, &self.decisions_title(), self.decided(now));
        out
    }

    fn next(&self, plan: Option<&Plan>, now: Timestamp) -> Vec<String> {
        let rollout = &self.snapshot.rollout;
        let mut lines = Vec::new();
        if let Some(plan) = plan {
            for effect in &plan.effects {
                lines.push(format!("now: {}", effect::text(effect)));
            }
            if !plan.effects.is_empty() {
                lines.push("(a running controller does that within moments)".to_owned());
            }
        }
        if let Some(forecast) = forecast::of(self.snapshot, now) {
            if let Some((what, until)) = forecast.ends.filter(|(_, until)| *until > now) {
                let left = short(until.duration_since(now));
                lines.push(format!(
                    "{}: the {what} ends (in {left})",
                    moment(until, now)
                ));
            }
            lines.push(format!("then: {}", forecast.then));
            match forecast.end {
                forecast::End::NotBefore(at) => {
                    lines.push(format!("done: {} at the earliest", moment(at, now)));
                }
                forecast::End::Person(step) => {
                    lines.push(format!(
                        "a person is needed at step {step}: {} promote",
                        self.typed
                    ));
                }
                forecast::End::Open => {}
            }
        }
        let state = rollout.status.clone().unwrap_or_default();
        if state.aborted() {
            let name = rollout.metadata.name.as_deref().unwrap_or_default();
            let typed = self.typed;
            lines.push(format!(
                "it stays so until the template changes; the same again: {typed} retry rollout {name}; \
                 back for good: {typed} undo {name}"
            ));
        } else if let Some(at) = plan.and_then(|plan| plan.wake_at).filter(|at| *at > now) {
            let left = short(at.duration_since(now));
            lines.push(format!(
                "{}: it is looked at again (in {left}), or when something changes",
                moment(at, now)
            ));
        }
        lines
    }

    fn happened(&self, now: Timestamp) -> Vec<String> {
        let mut events: Vec<&Value> = match &self.events {
            Ok(events) => events.iter().collect(),
            Err(why) => return vec![format!("Events cannot be read: {why}")],
        };
        events.sort_by_key(|event| when(event));
        let shown = events.len().saturating_sub(EVENTS);
        events
            .into_iter()
            .skip(shown)
            .map(|event| {
                let age = age(when(event).parse().ok(), now);
                let count = event
                    .get("count")
                    .and_then(Value::as_i64)
                    .filter(|count| *count > 1);
                let count = count.map_or_else(String::new, |count| format!(" (×{count})"));
                format!(
                    "{age:>6} ago  {}: {}{count}",
                    text(event, "/reason"),
                    text(event, "/message")
                )
            })
            .collect()
    }

    fn decisions_title(&self) -> String {
        match &self.decisions {
            Ok(log) => format!("Decisions of the controller ({})", log.pod),
            Err(_) => "Decisions of the controller".to_owned(),
        }
    }

    fn decided(&self, now: Timestamp) -> Vec<String> {
        let log = match &self.decisions {
            Ok(log) => log,
            Err(why) => return vec![format!("not to be had: {why}")],
        };
        let shown = log.entries.len().saturating_sub(DECISIONS);
        let mut lines = Vec::new();
        for entry in log.entries.iter().skip(shown) {
            let times = match entry.count {
                1 => String::new(),
                count => {
                    let span = short(entry.last.duration_since(entry.at));
                    format!(" (×{count} within {span})")
                }
            };
            let reasons = entry.reasons.join("; ");
            lines.push(format!(
                "{:>6} ago  {reasons}{times}",
                age(Some(entry.last), now)
            ));
            for effect in &entry.effects {
                lines.push(format!("            → {effect}"));
            }
            if entry.outcome != "done" {
                lines.push(format!("            ✖ {}", entry.outcome));
            }
        }
        lines
    }
}

fn section(out: &mut String, title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    *out += &format!("\n{title}\n");
    for line in lines {
        *out += &format!("  {}\n", line.trim_end());
    }
}

fn steps(snapshot: &Snapshot, now: Timestamp) -> Vec<String> {
    let rollout = &snapshot.rollout;
    let Some(canary) = rollout.spec.canary() else {
        return Vec::new();
    };
    let state = rollout.status.clone().unwrap_or_default();
    let over = state.stable_rs == state.current_pod_hash;
    let current = weights::current_step(rollout);
    let mut lines = Vec::new();
    for (index, step) in canary.steps().iter().enumerate() {
        let mark = match current {
            _ if over => "✔",
            _ if state.aborted() => "✖",
            Some(current) if index == current => "▶",
            Some(current) if index > current => " ",
            _ => "✔",
        };
        let mut line = format!("{mark} {}  {}", index + 1, forecast::step_text(step));
        if Some(index) == current
            && let Some((_, until)) = forecast::end(snapshot)
            && until > now
        {
            line += &format!(" (ends {})", moment(until, now));
        }
        lines.push(line);
    }
    lines
}

fn rests_on(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    let (phase, message) = status::of(&snapshot.rollout);
    let message = if message.is_empty() {
        message
    } else {
        format!(": {message}")
    };
    lines.push(format!("phase {phase}{message}"));
    for traffic in below::traffic(snapshot) {
        lines.push(format!("traffic {traffic}"));
    }
    for set in snapshot.owned.replica_sets() {
        if set.replicas == 0 && set.current == 0 {
            continue;
        }
        let roles = roles::of(&snapshot.rollout, set).join(", ");
        let roles = if roles.is_empty() {
            String::new()
        } else {
            format!("{roles}, ")
        };
        let failure = set
            .failure
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        lines.push(format!(
            "{} ({roles}revision {}): {} of {} pods available{failure}",
            set.name,
            set.revision(),
            set.available,
            set.replicas
        ));
    }
    if let Some(view) = snapshot.current_experiment() {
        lines.extend(experiment(view));
    }
    for run in snapshot.current_runs() {
        let state = run.status.clone().unwrap_or_default();
        let message = state.message.filter(|message| !message.is_empty());
        let message = message.map_or_else(String::new, |message| format!(": {message}"));
        let phase = if state.phase.is_empty() {
            "Pending"
        } else {
            &state.phase
        };
        lines.push(format!(
            "{} is {phase}{message}",
            run.metadata.name.as_deref().unwrap_or_default()
        ));
        lines.extend(
            measured::lines(run)
                .into_iter()
                .map(|line| format!("  {line}")),
        );
    }
    lines.extend(
        below::quarantine(snapshot)
            .into_iter()
            .map(|line| format!("quarantine: {line}")),
    );
    for unread in &snapshot.unread {
        lines.push(format!("not read: {} ({})", unread.what, unread.why));
    }
    lines
}

/// Phase and message of an Experiment, and the pods of its templates.
fn experiment(view: &ExperimentView) -> Vec<String> {
    let state = view.state();
    let message = match state.message.as_str() {
        "" => String::new(),
        message => format!(": {message}"),
    };
    let mut lines = vec![format!("{} is {}{message}", view.name(), state.phase)];
    for set in view.owned.replica_sets() {
        let template = roles::template_tag(set).unwrap_or_default();
        lines.push(format!(
            "  {} ({template}): {} of {} pods available",
            set.name, set.available, set.replicas
        ));
    }
    lines
}

fn conditions(rollout: &Rollout, now: Timestamp) -> Vec<String> {
    let conditions = rollout
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .map(|condition| {
            let since = condition.last_transition_time.as_ref().map(|time| time.0);
            let since = since.map_or_else(String::new, |since| {
                format!(", for {}", age(Some(since), now))
            });
            format!(
                "{} {} ({}{since}): {}",
                condition.kind, condition.status, condition.reason, condition.message
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
