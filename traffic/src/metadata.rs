//! Single keys of an object's labels and annotations, as operations of a JSON Patch.

use serde_json::Value;

use crate::edit::{Operations, escape};
use crate::object::{at, resource_version};

/// Sets a key of a map in the metadata. Without the map, the whole map is added, and only if the object has not
/// changed at all since it was read: somebody may have added theirs.
pub(crate) fn put(
    operations: &mut Operations,
    object: &Value,
    map: &str,
    key: &str,
    value: &str,
) -> bool {
    match at(object, &["metadata", map]) {
        Some(Value::Object(entries)) => {
            operations.set(&pointer(map, key), entries.get(key), Value::from(value));
            true
        }
        None | Some(Value::Null) => {
            let version = resource_version(object);
            if !version.is_empty() {
                operations.test("/metadata/resourceVersion", &Value::from(version));
            }
            operations.add_to_map(&format!("/metadata/{map}"), key, Value::from(value));
            true
        }
        Some(_) => false,
    }
}

/// The JSON Pointer of a key in a map of the metadata.
pub(crate) fn pointer(map: &str, key: &str) -> String {
    format!("/metadata/{map}/{}", escape(key))
}
