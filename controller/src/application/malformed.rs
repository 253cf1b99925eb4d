//! An Application that cannot be decoded gets a condition that names the field; the others go on.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_crds::decode::DecodeError;
use sluice_gitops::application::plan::EventNote;
use sluice_gitops::key::{list, text};
use sluice_runtime::kind::APPLICATION;
use sluice_runtime::{Must, Next, Object, WriteError};

use super::{Applications, act};

/// Writes the condition, unless it is there.
pub(crate) async fn report(
    loop_: &Applications,
    object: &Arc<Object>,
    error: &DecodeError,
) -> Next {
    let message = format!("the Application cannot be read: {error}");
    let value = object.value();
    let conditions = list(&value, "/status/conditions");
    let is_ours = |condition: &&Value| text(condition, "/type") == "InvalidSpecError";
    if conditions
        .iter()
        .filter(is_ours)
        .any(|condition| text(condition, "/message") == message)
    {
        return Next::Done;
    }
    let now = loop_.ctx.clock.now();
    let now = now.round(jiff::Unit::Second).unwrap_or(now).to_string();
    let mut after: Vec<Value> = conditions
        .iter()
        .filter(|condition| !is_ours(condition))
        .cloned()
        .collect();
    after.push(json!({"type": "InvalidSpecError", "message": message, "lastTransitionTime": now}));
    let mut status = json!({"conditions": after});
    if value
        .pointer("/status/sync")
        .is_none_or(|sync| sync.is_null())
    {
        status["sync"] = json!({"status": "Unknown"});
    }
    let must = Must::be(&*object.uid, &*object.resource_version);
    let patch = json!({"status": status});
    match loop_
        .ctx
        .executor
        .merge(&APPLICATION, &object.key, &must, patch)
        .await
    {
        Ok(_) => {
            let note = EventNote::warning("InvalidSpecError", message);
            act::emit(loop_, object, &note);
            Next::Done
        }
        Err(WriteError::Conflict(_) | WriteError::Gone(_)) => Next::Done,
        Err(error) => {
            tracing::warn!(application = %object.key, %error, "the condition could not be written");
            Next::Retry
        }
    }
}
