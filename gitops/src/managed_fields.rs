//! Field ownership: what `metadata.managedFields` of a live object says.
//!
//! `fieldsV1` is a tree: `f:name` is a field, `k:{…}` the list element with these keys, `v:…` the list element with
//! this value, `i:n` the element at an index, `.` the place itself.

use serde_json::{Map, Value, json};
use sluice_crds::names::GITOPS_FIELD_MANAGER;

use crate::key::{list, text};

/// Removes from `object` every field that one of the managers owns in `live`. The subresource that it was written
/// through does not matter.
pub fn remove_owned(live: &Value, managers: &[String], object: &mut Value) {
    for entry in list(live, "/metadata/managedFields") {
        if managers
            .iter()
            .any(|manager| manager == text(entry, "/manager"))
            && let Some(fields) = entry.get("fieldsV1")
        {
            remove(fields, object);
        }
    }
}

/// Makes every field that one of the managers owns in `live` say in `target` what it says in `live`.
pub fn copy_owned(live: &Value, managers: &[String], target: &mut Value) {
    for entry in list(live, "/metadata/managedFields") {
        if managers
            .iter()
            .any(|manager| manager == text(entry, "/manager"))
            && let Some(fields) = entry.get("fieldsV1")
        {
            copy(fields, live, target);
        }
    }
}

fn is_leaf(fields: &Value) -> bool {
    fields
        .as_object()
        .is_none_or(|map| map.keys().all(|key| key == "."))
}

/// Whether a list element is the one that a `k:` or `v:` or `i:` entry means.
fn is_element(entry: &str, at: usize, element: &Value) -> bool {
    if let Some(keys) = entry.strip_prefix("k:") {
        return serde_json::from_str::<Map<String, Value>>(keys).is_ok_and(|keys| {
            keys.iter()
                .all(|(key, value)| element.get(key) == Some(value))
        });
    }
    if let Some(value) = entry.strip_prefix("v:") {
        return serde_json::from_str::<Value>(value).is_ok_and(|value| value == *element);
    }
    entry
        .strip_prefix("i:")
        .is_some_and(|index| index.parse() == Ok(at))
}

fn remove(fields: &Value, value: &mut Value) {
    let Some(entries) = fields.as_object() else {
        return;
    };
    for (entry, below) in entries {
        match (entry.strip_prefix("f:"), &mut *value) {
            (Some(name), Value::Object(map)) => {
                if is_leaf(below) {
                    map.remove(name);
                } else if let Some(child) = map.get_mut(name) {
                    remove(below, child);
                }
            }
            (None, Value::Array(elements)) => {
                let mut at = 0;
                elements.retain_mut(|element| {
                    let meant = is_element(entry, at, element);
                    at += 1;
                    if meant && is_leaf(below) {
                        return false;
                    }
                    if meant {
                        remove(below, element);
                    }
                    true
                });
            }
            _ => {}
        }
    }
}

fn copy(fields: &Value, live: &Value, target: &mut Value) {
    let Some(entries) = fields.as_object() else {
        return;
    };
    for (entry, below) in entries {
        match (entry.strip_prefix("f:"), &mut *target) {
            (Some(name), Value::Object(map)) => match (is_leaf(below), live.get(name)) {
                // Only what the target speaks about is of interest.
                (true, Some(there)) if map.contains_key(name) => {
                    map.insert(name.to_owned(), there.clone());
                }
                (false, Some(there)) => {
                    if let Some(child) = map.get_mut(name) {
                        copy(below, there, child);
                    }
                }
                _ => {}
            },
            (None, Value::Array(elements)) => {
                let there = live.as_array().into_iter().flatten().enumerate();
                let Some((_, partner)) = there
                    .into_iter()
                    .find(|(at, element)| is_element(entry, *at, element))
                else {
                    continue;
                };
                for (at, element) in elements.iter_mut().enumerate() {
                    if is_element(entry, at, element) {
                        copy(below, partner, element);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Takes over what client-side apply wrote, so that a field that is later removed from Git is removed from the object
/// as well: the entries of the given managers with operation `Update` become one entry of our manager with operation
/// `Apply`.
///
/// Returns the new `metadata.managedFields`, or `None` when there is nothing to take over.
#[must_use]
pub fn migrated(live: &Value, client_side_manager: &str) -> Option<Vec<Value>> {
    let entries = list(live, "/metadata/managedFields");
    let is_ours = |entry: &Value| {
        text(entry, "/manager") == GITOPS_FIELD_MANAGER
            && text(entry, "/operation") == "Apply"
            && text(entry, "/subresource").is_empty()
    };
    let is_old = |entry: &Value| {
        let manager = text(entry, "/manager");
        text(entry, "/operation") == "Update"
            && text(entry, "/subresource").is_empty()
            && (manager == client_side_manager || manager == GITOPS_FIELD_MANAGER)
    };
    if !entries.iter().any(is_old) {
        return None;
    }
    let mut fields = json!({});
    let (mut version, mut time) = ("", "");
    for entry in entries
        .iter()
        .filter(|entry| is_ours(entry) || is_old(entry))
    {
        if let Some(more) = entry.get("fieldsV1") {
            merge(&mut fields, more);
        }
        version = text(entry, "/apiVersion");
        time = time.max(text(entry, "/time"));
    }
    let mut result: Vec<Value> = entries
        .iter()
        .filter(|entry| !is_ours(entry) && !is_old(entry))
        .cloned()
        .collect();
    let mut own = json!({
        "manager": GITOPS_FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    });
    if !time.is_empty()
        && let Some(own) = own.as_object_mut()
    {
        own.insert("time".to_owned(), Value::String(time.to_owned()));
    }
    result.insert(0, own);
    Some(result)
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        for (key, value) in from {
            merge(into.entry(key.clone()).or_insert_with(|| json!({})), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Value {
        json!({
            "metadata": {"managedFields": [
                {"manager": "hpa", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "mesh", "operation": "Update", "fieldsV1": {"f:spec": {"f:c": {
                    "k:{\"name\":\"side\"}": {".": {}, "f:name": {}},
                    "k:{\"name\":\"web\"}": {"f:env": {"v:\"B\"": {}}},
                }}}},
            ]},
            "spec": {"replicas": 9, "c": [{"name": "web", "env": ["A", "B"]}, {"name": "side"}]},
        })
    }

    #[test]
    fn fields_of_a_manager_are_removed_wherever_they_are() {
        let mut object = live();
        remove_owned(&live(), &["hpa".to_owned(), "mesh".to_owned()], &mut object);
        assert_eq!(
            object["spec"],
            json!({"c": [{"name": "web", "env": ["A"]}, {}]})
        );
    }

    #[test]
    fn fields_of_a_manager_are_copied_where_the_target_speaks_of_them() {
        let mut target = json!({"spec": {"replicas": 1}});
        copy_owned(&live(), &["hpa".to_owned()], &mut target);
        assert_eq!(target, json!({"spec": {"replicas": 9}}));
        let mut silent = json!({"spec": {}});
        copy_owned(&live(), &["hpa".to_owned()], &mut silent);
        assert_eq!(silent, json!({"spec": {}}));
    }

    #[test]
    fn what_client_side_apply_wrote_is_taken_over_once() {
        let object = json!({"metadata": {"managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1", "time": "2", "fieldsV1": {"f:data": {"f:a": {}}}},
            {"manager": "argocd-controller", "operation": "Apply", "apiVersion": "v1", "time": "1", "fieldsV1": {"f:data": {"f:b": {}}}},
            {"manager": "other", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:c": {}}}},
        ]}});
        let fields = migrated(&object, "kubectl-client-side-apply").unwrap();
        assert_eq!(fields.len(), 2);
        assert_eq!(
            fields[0]["fieldsV1"],
            json!({"f:data": {"f:a": {}, "f:b": {}}})
        );
        assert_eq!(fields[0]["operation"], "Apply");
        assert_eq!(fields[0]["time"], "2");
        let done = json!({"metadata": {"managedFields": fields}});
        assert_eq!(migrated(&done, "kubectl-client-side-apply"), None);
    }
}
