//! A Rollout that cannot be decoded: its owner learns which field is wrong, from a condition; everything else about it
//! is left as it is, and nothing else is held up.

use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_crds::decode::DecodeError;
use sluice_rollout::validation::{self, FieldError};
use sluice_runtime::kind::ROLLOUT;
use sluice_runtime::{Must, Next, Object, WriteError};

use super::Rollouts;

impl Rollouts {
    /// Writes the `InvalidSpec` condition, unless it is there.
    pub(super) async fn report_malformed(&self, object: &Object, error: &DecodeError) -> Next {
        let value = object.value();
        let old = value.get("status").cloned().unwrap_or(Value::Null);
        let error = FieldError {
            field: error.field.clone(),
            message: error.reason.clone(),
        };
        let new = with_condition(&old, object, &error, self.core.ctx.clock.now());
        let must = Must::be(&*object.uid, &*object.resource_version);
        match self
            .core
            .ctx
            .executor
            .status(&ROLLOUT, &object.key, &must, &old, &new)
            .await
        {
            Ok(None) => {}
            Ok(Some(written)) => {
                self.core.wrote(&object.key, &written);
                let message = validation::condition_message(&object.key.name, &error);
                self.emit(
                    object,
                    sluice_runtime::events::Severity::Warning,
                    "InvalidSpec",
                    &message,
                );
            }
            Err(WriteError::Conflict(_) | WriteError::Gone(_)) => {}
            Err(error) => return self.failed(object, "ReconciliationError", &error.to_string()),
        }
        // Only a change of the object can help.
        Next::Done
    }
}

/// The status with the condition, edited as JSON since it may be what cannot be decoded.
fn with_condition(old: &Value, object: &Object, error: &FieldError, now: Timestamp) -> Value {
    let message = validation::condition_message(&object.key.name, error);
    let now = Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string();
    let mut status = if old.is_object() {
        old.clone()
    } else {
        json!({})
    };
    let mut conditions: Vec<Value> = status
        .get("conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let is_ours = |condition: &&mut Value| condition["type"] == "InvalidSpec";
    match conditions.iter_mut().find(is_ours) {
        Some(condition) if condition["status"] == "True" && condition["message"] == *message => {}
        other => {
            let condition = json!({
                "type": "InvalidSpec", "status": "True", "reason": "InvalidSpec", "message": message,
                "lastUpdateTime": now, "lastTransitionTime": now,
            });
            match other {
                Some(place) => *place = condition,
                None => conditions.push(condition),
            }
        }
    }
    status["conditions"] = Value::Array(conditions);
    status["phase"] = json!("Degraded");
    status["message"] = json!(format!("InvalidSpec: {message}"));
    status["observedGeneration"] = json!(object.generation.to_string());
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Object {
        Object::from_value(&json!({
            "metadata": {"name": "web", "namespace": "a", "uid": "u", "resourceVersion": "1", "generation": 4}
        }))
        .unwrap()
    }

    #[test]
    fn the_condition_names_the_field_and_is_written_once() {
        let error = FieldError {
            field: "spec.replicas".into(),
            message: "invalid type".into(),
        };
        let old = json!({"conditions": [{"type": "Available", "status": "True"}], "stableRS": "x"});
        let first = with_condition(&old, &object(), &error, Timestamp::from_second(10).unwrap());
        assert_eq!(first["conditions"][0]["type"], "Available");
        assert_eq!(
            first["conditions"][1]["message"],
            "The Rollout \"web\" is invalid: spec.replicas: invalid type"
        );
        assert_eq!(first["stableRS"], "x");
        assert_eq!(first["observedGeneration"], "4");
        let second = with_condition(
            &first,
            &object(),
            &error,
            Timestamp::from_second(20).unwrap(),
        );
        assert_eq!(first, second);
    }

    #[test]
    fn a_status_that_is_no_object_is_replaced() {
        let error = FieldError {
            field: "status".into(),
            message: "invalid type".into(),
        };
        let new = with_condition(&json!("nonsense"), &object(), &error, Timestamp::UNIX_EPOCH);
        assert_eq!(new["phase"], "Degraded");
    }
}
