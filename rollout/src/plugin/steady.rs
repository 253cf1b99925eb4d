//! `sluice/steady`: waits until the update has been well for some time without a break, not merely until some time is
//! over, as a `pause` does.
//!
//! ```yaml
//! - plugin:
//!     name: sluice/steady
//!     config:
//!       for: 2m       # without a break; required
//!       within: 15m   # gives the update up when it has not come to that; optional
//! ```
//!
//! Well means: the new revision has the available pods that the step needs, and every router shows the weight of the
//! step. A pod that crashes begins the time anew, so a revision that restarts again and again never passes.

use jiff::SignedDuration;
use serde_json::{Value, json};
use sluice_crds::duration;

use super::{Outcome, StepPlugin, View};
use crate::time;

/// The plugin.
#[derive(Debug)]
pub struct Steady;

impl StepPlugin for Steady {
    fn name(&self) -> &'static str {
        "sluice/steady"
    }

    fn check(&self, config: &Value) -> Result<(), String> {
        for key in config.as_object().into_iter().flatten().map(|(key, _)| key) {
            if !["for", "within"].contains(&key.as_str()) {
                return Err(format!("unknown field {key:?}: known are for, within"));
            }
        }
        let steady = read(config, "for")?.ok_or("for: required, as in 2m")?;
        match read(config, "within")? {
            Some(within) if within <= steady => Err("within: must be more than for".to_owned()),
            _ => Ok(()),
        }
    }

    fn run(&self, view: &View, config: &Value, state: &Value) -> Outcome {
        let steady = read(config, "for").ok().flatten().unwrap_or_default();
        let within = read(config, "within").ok().flatten();
        let since = state.get("since").and_then(Value::as_str);
        let (available, needed) = view.canary;
        let broken = if available < needed {
            Some(format!("{available} available pods < {needed} needed"))
        } else if !view.routed {
            Some("the routers do not show the weight of the step".to_owned())
        } else {
            None
        };
        let since = since
            .and_then(time::parse)
            .filter(|_| broken.is_none())
            .unwrap_or(view.now);
        let until = time::plus(since, steady);
        if broken.is_none() && until <= view.now {
            return Outcome::Successful;
        }
        let last = within.map(|within| time::plus(view.since, within));
        if last.is_some_and(|last| last <= view.now) {
            let within = within.map(duration::format).unwrap_or_default();
            let why = broken.unwrap_or_else(|| "the time began anew too often".to_owned());
            return Outcome::Failed {
                message: format!("not steady within {within}: {why}"),
            };
        }
        let due = broken.is_none().then_some(until);
        Outcome::Running {
            message: broken
                .clone()
                .unwrap_or_else(|| format!("steady since {}", time::text(since))),
            state: match broken {
                Some(_) => json!({}),
                None => json!({ "since": time::text(since) }),
            },
            wake: due.into_iter().chain(last).min(),
        }
    }
}

/// A duration of the config.
fn read(config: &Value, key: &str) -> Result<Option<SignedDuration>, String> {
    let value = match config.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => return Err(format!("{key}: {other} is no duration: write it as in 90s")),
    };
    let parsed = match value.parse::<i64>() {
        Ok(seconds) => SignedDuration::from_secs(seconds),
        Err(_) => duration::parse(&value).map_err(|error| format!("{key}: {error}"))?,
    };
    if parsed.is_negative() {
        return Err(format!("{key}: must not be negative"));
    }
    Ok(Some(parsed))
}
