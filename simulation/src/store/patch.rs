//! JSON merge patches, and small changes of JSON objects.

use serde_json::{Map, Value};

/// Applies a JSON merge patch (RFC 7386), as the API server does: fields that are null are left out of objects in lists too.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        if let Value::Array(items) = target {
            items.iter_mut().for_each(leave_nulls_out);
        }
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            match target.get_mut(key) {
                _ if value.is_null() => {
                    target.remove(key);
                }
                Some(known) => merge_patch(known, value),
                None => merge_patch(target.entry(key.clone()).or_insert(Value::Null), value),
            }
        }
    }
}

fn leave_nulls_out(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(leave_nulls_out),
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(leave_nulls_out);
        }
        _ => {}
    }
}

pub(super) fn put_or_remove(object: &mut Value, field: &str, value: Option<Value>) {
    if let Some(object) = object.as_object_mut() {
        match value {
            Some(value) => object.insert(field.to_owned(), value),
            None => object.remove(field),
        };
    }
}
