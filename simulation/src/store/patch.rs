//! JSON merge patches, and small access to JSON objects.

use serde_json::{Map, Value};

/// The text at a JSON pointer; empty when there is none.
#[must_use]
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    // The pointers here have no escapes, so none has to be undone.
    pointer
        .split('/')
        .skip(1)
        .try_fold(object, |value, key| match value {
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            value => value.get(key),
        })
        .and_then(Value::as_str)
        .unwrap_or_default()
}

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

pub(super) fn set(object: &mut Value, section: &str, field: &str, value: Value) {
    if let Some(section) = object.get_mut(section).and_then(Value::as_object_mut) {
        section.insert(field.to_owned(), value);
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
