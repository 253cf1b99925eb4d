//! Health of the kinds of `argoproj.io`: Rollouts as in `rollout`, the rest here.

use serde_json::Value;

use super::{Code, Health};
use crate::key::text;

/// What an object says about itself; the other sentence when it says nothing.
fn said(object: &Value, otherwise: &str) -> String {
    let message = object.pointer("/status/message").and_then(Value::as_str);
    message.unwrap_or(otherwise).to_owned()
}

pub(super) fn analysis_run(object: &Value) -> Health {
    let (code, otherwise) = match text(object, "/status/phase") {
        "Pending" | "Running" => {
            return Health::new(Code::Progressing, "Analysis run is running");
        }
        "Successful" => (Code::Healthy, "Analysis run completed successfully"),
        "Failed" => (Code::Degraded, "Analysis run failed"),
        "Error" => (Code::Degraded, "Analysis run had an error"),
        "Inconclusive" => (Code::Unknown, "Analysis run was inconclusive"),
        _ => {
            return Health::new(
                Code::Progressing,
                "Waiting for analysis run to finish: status has not been reconciled.",
            );
        }
    };
    Health::new(code, said(object, otherwise))
}

/// Why an Experiment ended badly is said in its own words, which name the template or the analysis.
pub(super) fn experiment(object: &Value) -> Health {
    let (code, otherwise) = match text(object, "/status/phase") {
        "Pending" => (Code::Progressing, "Experiment is pending"),
        "Running" => (Code::Progressing, "Experiment is running"),
        "Successful" => (Code::Healthy, "Experiment is successful"),
        "Failed" => (Code::Degraded, "Experiment has failed"),
        "Error" => (Code::Degraded, "Experiment had an error"),
        "Inconclusive" => (Code::Unknown, "Experiment was inconclusive"),
        _ => (
            Code::Progressing,
            "Waiting for experiment to finish: status has not been reconciled.",
        ),
    };
    if matches!(code, Code::Degraded | Code::Unknown) {
        return Health::new(code, said(object, otherwise));
    }
    Health::new(code, otherwise)
}

pub(super) fn application(object: &Value) -> Health {
    match text(object, "/status/health/status") {
        "" => Health::new(
            Code::Progressing,
            "Waiting for the Application to be compared",
        ),
        code => Health::new(
            Code::from_name(code),
            text(object, "/status/health/message"),
        ),
    }
}

pub(super) fn workflow(object: &Value) -> Health {
    let code = match text(object, "/status/phase") {
        "" | "Pending" | "Running" => Code::Progressing,
        "Succeeded" => Code::Healthy,
        "Failed" | "Error" => Code::Degraded,
        _ => Code::Unknown,
    };
    Health::new(code, text(object, "/status/message"))
}
