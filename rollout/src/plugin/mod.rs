//! `plugin` steps: steps that are not part of the API, by name.
//!
//! A plugin is a pure function of a [`View`] and of the state that it gave back the last time, so it can be simulated,
//! replayed and crashed like everything else. The built-in ones are named `sluice/…`; a name that is not known is an error
//! of the spec that names it.
//!
//! | name | done when |
//! |---|---|
//! | [`sluice/steady`](steady::Steady) | pods and routes of the present step have been as they should be, without a break, for so long |
//!
//! The state is an entry of `status.canary.stepPluginStatuses`, with the attempt that it belongs to: a retry, and another
//! revision, begin anew. A plugin that fails gives the update up.

pub mod steady;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sluice_crds::rollout::RolloutStatus;
use sluice_crds::rollout::steps::PluginStep;

use crate::draft::Draft;
use crate::reason::Reason;
use crate::seen::Seen;
use crate::steps::Progress;
use crate::{abort, replicas, run, steps, time, weight};

/// What a plugin sees of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whole seconds.
    pub now: Timestamp,
    /// When the step began.
    pub since: Timestamp,
    /// Available pods of the new revision, and those that it needs at this step.
    pub canary: (i32, i32),
    /// Whether every router shows the weight of this step and refuses nothing; true without routers.
    pub routed: bool,
}

/// How far a plugin is.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It waits.
    Running {
        /// What it is to be given the next time.
        state: Value,
        /// What it waits for.
        message: String,
        /// When to ask again if nothing happens.
        wake: Option<Timestamp>,
    },
    /// The step is done.
    Successful,
    /// The update is to be given up.
    Failed {
        /// Why.
        message: String,
    },
}

/// A step that is not part of the API.
pub trait StepPlugin: Sync {
    /// `namespace/name`, as steps name it.
    fn name(&self) -> &'static str;

    /// Checks the `config` of a step.
    ///
    /// # Errors
    /// What is wrong, with the field below `config`.
    fn check(&self, config: &Value) -> Result<(), String>;

    /// One look at the update; `state` is null at the first one.
    fn run(&self, view: &View, config: &Value, state: &Value) -> Outcome;
}

static BUILT_IN: [&dyn StepPlugin; 1] = [&steady::Steady];

/// The plugin of a name.
fn find(name: &str) -> Option<&'static dyn StepPlugin> {
    BUILT_IN.into_iter().find(|plugin| plugin.name() == name)
}

/// Checks a step.
///
/// # Errors
/// The key below `plugin`, and what is wrong with it.
pub(crate) fn check(step: &PluginStep) -> Result<(), (&'static str, String)> {
    let Some(plugin) = find(&step.name) else {
        let known: Vec<&str> = BUILT_IN.iter().map(|plugin| plugin.name()).collect();
        let message = format!("unknown step plugin; built in: {}", known.join(", "));
        return Err(("name", message));
    };
    let config = step.config.clone().unwrap_or_default();
    plugin.check(&config).map_err(|message| ("config", message))
}

/// Works on the `plugin` step at `index`.
pub(crate) fn step(
    seen: &Seen<'_>,
    draft: &mut Draft,
    index: usize,
    step: &PluginStep,
) -> Progress {
    let Some(plugin) = find(&step.name) else {
        return Progress::Waits;
    };
    let attempt = run::attempt(&draft.status);
    let known = entry(&draft.status, index, &step.name, &attempt);
    let text = |key: &str| known.as_ref()?.get(key)?.as_str().map(str::to_owned);
    if text("phase").as_deref() == Some("Successful") {
        return Progress::Done;
    }
    let since = text("startedAt").and_then(|text| time::parse(&text));
    let sizes = seen.update().map(|(new, _)| {
        let wanted = replicas::wanted(seen, &draft.status).new;
        (replicas::available(new), replicas::enough(seen, wanted))
    });
    let view = View {
        now: seen.now,
        since: since.unwrap_or(seen.now),
        canary: sizes.unwrap_or((0, 0)),
        routed: weight::settled(seen, draft),
    };
    let state = known
        .as_ref()
        .and_then(|known| known.get("status").cloned())
        .unwrap_or_default();
    let config = step.config.clone().unwrap_or_default();
    let outcome = plugin.run(&view, &config, &state);
    let (phase, state, message) = match &outcome {
        Outcome::Running { state, message, .. } => ("Running", state.clone(), message.clone()),
        Outcome::Successful => ("Successful", state, String::new()),
        Outcome::Failed { message } => ("Failed", state, message.clone()),
    };
    let started = time::text(view.since);
    let mut entry = json!({
        "index": steps::number(index), "name": step.name, "operation": "Run", "phase": phase,
        "startedAt": started, "attempt": attempt
    });
    if let Some(entry) = entry.as_object_mut() {
        if !state.is_null() {
            entry.insert("status".to_owned(), state);
        }
        if !message.is_empty() {
            entry.insert("message".to_owned(), json!(message));
        }
        if phase != "Running" {
            entry.insert("finishedAt".to_owned(), json!(time::text(seen.now)));
        }
    }
    remember(&mut draft.status, index, entry);
    match outcome {
        Outcome::Successful => Progress::Done,
        Outcome::Running { message, wake, .. } => {
            draft.reason(Reason::PluginRunning {
                plugin: step.name.clone(),
                message,
            });
            if let Some(wake) = wake {
                draft.wake(wake);
            }
            Progress::Waits
        }
        Outcome::Failed { message } => {
            let cause = format!(
                "Step Plugin {} ({}) failed: {message}",
                index + 1,
                step.name
            );
            abort::give_up(seen, draft, cause);
            Progress::Waits
        }
    }
}

/// The entry of a step in the present attempt.
fn entry(
    status: &RolloutStatus,
    index: usize,
    name: &str,
    attempt: &str,
) -> Option<Map<String, Value>> {
    let entries = status.canary.as_ref()?.step_plugin_statuses.as_ref()?;
    let entry = entries.as_array()?.iter().find(|entry| {
        let is = |key: &str, value: &str| entry.get(key).and_then(Value::as_str) == Some(value);
        entry.get("index").and_then(Value::as_i64) == i64::try_from(index).ok()
            && is("name", name)
            && is("attempt", attempt)
    })?;
    entry.as_object().cloned()
}

/// Puts an entry in the place of any other one of its step.
fn remember(status: &mut RolloutStatus, index: usize, entry: Value) {
    let canary = status.canary.get_or_insert_default();
    let entries = canary.step_plugin_statuses.take().unwrap_or_default();
    let mut entries = entries.as_array().cloned().unwrap_or_default();
    let of_step =
        |entry: &Value| entry.get("index").and_then(Value::as_i64) == i64::try_from(index).ok();
    entries.retain(|entry| !of_step(entry));
    entries.push(entry);
    canary.step_plugin_statuses = Some(Value::Array(entries));
}
