//! The condition by which the owner of an object that cannot be decoded learns which field is wrong.

use jiff::Timestamp;
use serde_json::{Value, json};

/// The status with the condition, which stays as it is when it says the same already. Edited as JSON, since the status
/// may be what cannot be decoded.
pub(crate) fn with_condition(status: &Value, kind: &str, message: &str, now: Timestamp) -> Value {
    let mut status = match status {
        Value::Object(_) => status.clone(),
        _ => json!({}),
    };
    let known = status.get("conditions").and_then(Value::as_array);
    let mut conditions = known.cloned().unwrap_or_default();
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let ours = json!({
        "type": kind, "status": "True", "reason": "InvalidSpec", "message": message,
        "lastUpdateTime": now.to_string(), "lastTransitionTime": now.to_string(),
    });
    match conditions.iter_mut().find(|it| it["type"] == kind) {
        Some(it) if it["status"] == "True" && it["message"] == message => {}
        Some(it) => *it = ours,
        None => conditions.push(ours),
    }
    status["conditions"] = Value::Array(conditions);
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_is_written_once_and_others_stay() {
        let old = json!({"conditions": [{"type": "Progressing"}], "phase": "Running"});
        let condition = |status: &Value, message: &str, second: i64| {
            let now = Timestamp::from_second(second).expect("a time");
            with_condition(status, "InvalidSpec", message, now)
        };
        let first = condition(&old, "spec.replicas: invalid type", 10);
        assert_eq!(first["conditions"][0], json!({"type": "Progressing"}));
        let ours = &first["conditions"][1];
        assert_eq!(ours["message"], "spec.replicas: invalid type");
        assert_eq!(ours["lastTransitionTime"], "1970-01-01T00:00:10Z");
        assert_eq!(first["phase"], "Running");
        assert_eq!(condition(&first, "spec.replicas: invalid type", 20), first);
        let other = condition(&first, "spec.template: missing", 20);
        assert_eq!(other["conditions"][1]["message"], "spec.template: missing");
        assert_eq!(other["conditions"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_status_that_is_no_object_is_replaced() {
        let new = with_condition(
            &json!("nonsense"),
            "InvalidSpec",
            "status: no object",
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(new["conditions"][0]["message"], "status: no object");
    }
}
