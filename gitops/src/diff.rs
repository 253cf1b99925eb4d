//! What would change: the live object against what the API server says it would become.
//!
//! The prediction is the result of a server-side-apply dry run, so defaults, admission and field ownership are those
//! of the real server. Bookkeeping and `status` do not count.

use std::fmt;

use serde_json::{Map, Value};
use sluice_crds::names;

use crate::ignore::Rules;
use crate::key::Key;

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where, as in `spec.containers[web].image`.
    pub path: String,
    /// What is there now; `None` when nothing is.
    pub from: Option<Value>,
    /// What would be there; `None` when nothing would.
    pub to: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{}: {from} → {to}", self.path),
            (None, Some(to)) => write!(f, "+ {}: {to}", self.path),
            (Some(from), None) => write!(f, "- {}: {from}", self.path),
            (None, None) => write!(f, "{}", self.path),
        }
    }
}

const BOOKKEEPING: [&str; 8] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "uid",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The object without what the server keeps about it.
#[must_use]
pub fn normalized(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            for name in BOOKKEEPING {
                metadata.remove(name);
            }
            if let Some(annotations) = metadata
                .get_mut("annotations")
                .and_then(Value::as_object_mut)
            {
                annotations.remove(names::GIT_REVISION);
                if annotations.is_empty() {
                    metadata.remove("annotations");
                }
            }
        }
    }
    object
}

/// The differences between a live object and its prediction, without those that the rules ignore. Values of Secrets
/// are masked.
#[must_use]
pub fn changes(key: &Key, live: &Value, predicted: &Value, rules: &Rules) -> Vec<Change> {
    let mut from = normalized(live);
    let mut to = normalized(predicted);
    rules.strip(key, live, &mut from);
    rules.strip(key, live, &mut to);
    if from == to {
        return Vec::new();
    }
    if key.kind.group.is_empty() && key.kind.kind == "Secret" {
        mask(&mut from, &mut to);
    }
    let mut changes = Vec::new();
    walk(&mut String::new(), Some(&from), Some(&to), &mut changes);
    changes
}

/// The content of a Secret as people may see it: equal values look equal, different ones different, and neither says
/// how long the value is.
pub fn mask(from: &mut Value, to: &mut Value) {
    const SAME: &str = "++++++++";
    const OTHER: &str = "++++++++++++";
    for field in ["data", "stringData"] {
        let values = |object: &Value| object.get(field).and_then(Value::as_object).cloned();
        let before = values(from).unwrap_or_default();
        let after = values(to).unwrap_or_default();
        let masked = |map: &Map<String, Value>, other: &Map<String, Value>, text: &str| {
            let masked = map.iter().map(|(key, value)| {
                let equal = other.get(key).is_none_or(|other| other == value);
                (
                    key.clone(),
                    Value::String(if equal { SAME } else { text }.to_owned()),
                )
            });
            Value::Object(masked.collect())
        };
        for (object, map, other, text) in [
            (&mut *from, &before, &after, SAME),
            (&mut *to, &after, &before, OTHER),
        ] {
            if let Some(place) = object.get_mut(field) {
                *place = masked(map, other, text);
            }
        }
    }
    for object in [from, to] {
        // Client-side apply left a copy of the data there.
        const COPY: &str = "kubectl.kubernetes.io/last-applied-configuration";
        if crate::key::annotation(object, COPY).is_some() {
            crate::key::set_annotation(object, COPY, SAME);
        }
    }
}

fn walk(path: &mut String, from: Option<&Value>, to: Option<&Value>, changes: &mut Vec<Change>) {
    if from == to {
        return;
    }
    match (from, to) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let length = path.len();
                if key.contains(['.', '/', '[']) {
                    path.push_str(&format!("[{key:?}]"));
                } else {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                walk(path, before.get(key), after.get(key), changes);
                path.truncate(length);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for (label, one, other) in pairs(before, after) {
                let length = path.len();
                path.push_str(&format!("[{label}]"));
                walk(path, one, other, changes);
                path.truncate(length);
            }
            // The same elements in another order.
            if before.len() == after.len()
                && named(before).is_some()
                && pairs(before, after).iter().all(|(_, a, b)| a == b)
            {
                changes.push(Change {
                    path: path.clone(),
                    from: Some(Value::Array(before.clone())),
                    to: Some(Value::Array(after.clone())),
                });
            }
        }
        _ => changes.push(Change {
            path: path.clone(),
            from: from.cloned(),
            to: to.cloned(),
        }),
    }
}

/// The names of the elements, when each has one and none is used twice.
fn named(elements: &[Value]) -> Option<Vec<&str>> {
    let names: Vec<&str> = elements
        .iter()
        .map(|element| element.get("name")?.as_str())
        .collect::<Option<_>>()?;
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    (sorted.len() == names.len()).then_some(names)
}

type Pair<'a> = (String, Option<&'a Value>, Option<&'a Value>);

/// Pairs the elements of two lists by name, else by index.
fn pairs<'a>(before: &'a [Value], after: &'a [Value]) -> Vec<Pair<'a>> {
    match (named(before), named(after)) {
        (Some(old), Some(new)) => {
            let of = |elements: &'a [Value], name: &str| {
                elements
                    .iter()
                    .find(|element| element.get("name").and_then(Value::as_str) == Some(name))
            };
            let added = new.iter().filter(|name| !old.contains(name));
            old.iter()
                .chain(added)
                .map(|name| ((*name).to_owned(), of(before, name), of(after, name)))
                .collect()
        }
        _ => (0..before.len().max(after.len()))
            .map(|at| (at.to_string(), before.get(at), after.get(at)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(kind: &str, live: &Value, predicted: &Value) -> Vec<String> {
        let key = Key::new("", kind, "web", "x");
        changes(&key, live, predicted, &Rules::default())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn bookkeeping_and_status_do_not_count() {
        let live = json!({"metadata": {"name": "x", "resourceVersion": "1", "generation": 1, "managedFields": [1],
            "annotations": {names::GIT_REVISION: "abc"}}, "status": {"a": 1}});
        let predicted = json!({"metadata": {"name": "x", "resourceVersion": "2", "generation": 2}, "status": {}});
        assert_eq!(texts("ConfigMap", &live, &predicted), Vec::<String>::new());
    }

    #[test]
    fn differences_are_told_with_their_path() {
        let live = json!({"spec": {"replicas": 3, "old": true, "c": [{"name": "web", "image": "a"}, {"name": "gone"}]},
            "metadata": {"annotations": {"a/b": "1"}}, "list": [1, 2]});
        let predicted = json!({"spec": {"replicas": 5, "new": true, "c": [{"name": "new"}, {"name": "web", "image": "b"}]},
            "metadata": {"annotations": {"a/b": "2"}}, "list": [1]});
        assert_eq!(
            texts("ConfigMap", &live, &predicted),
            [
                "- list[1]: 2",
                "metadata.annotations[\"a/b\"]: \"1\" → \"2\"",
                "spec.c[web].image: \"a\" → \"b\"",
                "- spec.c[gone]: {\"name\":\"gone\"}",
                "+ spec.c[new]: {\"name\":\"new\"}",
                "+ spec.new: true",
                "- spec.old: true",
                "spec.replicas: 3 → 5",
            ]
        );
    }

    #[test]
    fn another_order_of_named_elements_is_a_difference() {
        let live = json!({"c": [{"name": "a"}, {"name": "b"}]});
        let predicted = json!({"c": [{"name": "b"}, {"name": "a"}]});
        assert_eq!(texts("ConfigMap", &live, &predicted).len(), 1);
    }

    #[test]
    fn secrets_are_masked() {
        let live = json!({"data": {"same": "aaa", "other": "bbb", "gone": "ccc"}, "metadata": {"annotations":
            {"kubectl.kubernetes.io/last-applied-configuration": "aaa bbb"}}});
        let predicted = json!({"data": {"same": "aaa", "other": "dddddd", "new": "eee"}});
        let text = texts("Secret", &live, &predicted).join("\n");
        for secret in ["aaa", "bbb", "ccc", "ddd", "eee"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(
            text.contains("data.other: \"++++++++\" → \"++++++++++++\""),
            "{text}"
        );
        assert!(!text.contains("data.same"), "{text}");
    }
}
