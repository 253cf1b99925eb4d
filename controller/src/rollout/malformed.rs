//! A Rollout that cannot be decoded: its owner learns which field is wrong, from a condition; everything else about it
//! is left as it is, and nothing else is held up.

use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_crds::decode::DecodeError;
use sluice_rollout::validation::{self, FieldError};
use sluice_runtime::events::Severity;
use sluice_runtime::kind::ROLLOUT;
use sluice_runtime::{Must, Next, Object, WriteError};

use super::Rollouts;
use crate::malformed::with_condition;

impl Rollouts {
    /// Writes the `InvalidSpec` condition, unless it is there.
    pub(super) async fn report_malformed(&self, object: &Object, error: &DecodeError) -> Next {
        let value = object.value();
        let old = value.get("status").cloned().unwrap_or(Value::Null);
        let error = FieldError {
            field: error.field.clone(),
            message: error.reason.clone(),
        };
        let message = validation::condition_message(&object.key.name, &error);
        let new = status(&old, object, &message, self.core.ctx.clock.now());
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
                self.emit(object, Severity::Warning, "InvalidSpec", &message);
            }
            Err(WriteError::Conflict(_) | WriteError::Gone(_)) => {}
            Err(error) => return self.failed(object, "ReconciliationError", &error.to_string()),
        }
        // Only a change of the object can help.
        Next::Done
    }
}

/// The status that says so.
fn status(old: &Value, object: &Object, message: &str, now: Timestamp) -> Value {
    let mut status = with_condition(old, "InvalidSpec", message, now);
    status["phase"] = json!("Degraded");
    status["message"] = json!(format!("InvalidSpec: {message}"));
    status["observedGeneration"] = json!(object.generation.to_string());
    status
}
