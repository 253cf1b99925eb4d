//! Health of volumes and of extensions of the API.

use serde_json::Value;

use super::{Code, Health, condition, is, message};
use crate::key::text;

pub(super) fn claim(object: &Value) -> Health {
    let code = match text(object, "/status/phase") {
        "Bound" => Code::Healthy,
        "Pending" => Code::Progressing,
        "Lost" => Code::Degraded,
        _ => Code::Unknown,
    };
    Health::new(code, "")
}

pub(super) fn api_service(object: &Value) -> Health {
    match condition(object, "Available") {
        Some(condition) => {
            let code = if is(condition, "True") {
                Code::Healthy
            } else {
                Code::Progressing
            };
            let words = format!("{}: {}", text(condition, "/reason"), message(condition));
            Health::new(code, words)
        }
        None => Health::new(Code::Progressing, "Waiting to be processed"),
    }
}

pub(super) fn definition(object: &Value) -> Health {
    if let Some(refused) = condition(object, "NamesAccepted").filter(|c| is(c, "False")) {
        return Health::new(Code::Degraded, message(refused));
    }
    match condition(object, "Established") {
        Some(condition) if is(condition, "True") => Health::healthy(),
        Some(condition) => Health::new(Code::Progressing, message(condition)),
        None => Health::new(Code::Progressing, "Waiting to be established"),
    }
}
