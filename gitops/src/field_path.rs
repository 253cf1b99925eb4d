//! Paths into objects, as `ignoreDifferences` writes them: JSON pointers, and the part of jq that names fields.
//!
//! Understood of jq: `.spec.replicas`, `.metadata.annotations["a/b"]`, `.spec.containers[].image`, `.spec.ports[0]`,
//! and `| select(.name == "x")` (also `!=`) between such parts. Everything else is an error that names the expression.

use serde_json::Value;

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(usize),
    Each,
    Select {
        path: Vec<String>,
        equal: bool,
        value: Value,
    },
}

/// A path that may lead to several places.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldPath {
    steps: Vec<Step>,
}

/// A path that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expression:?} is not supported: {reason}")]
pub struct PathError {
    expression: String,
    reason: String,
}

impl FieldPath {
    /// Reads an RFC 6901 pointer such as `/spec/replicas`.
    ///
    /// # Errors
    /// When it is empty or does not begin with `/`.
    pub fn pointer(pointer: &str) -> Result<Self, PathError> {
        let Some(rest) = pointer.strip_prefix('/') else {
            return Err(PathError {
                expression: pointer.to_owned(),
                reason: "a JSON pointer begins with /".to_owned(),
            });
        };
        let steps = rest
            .split('/')
            .map(|token| Step::Field(token.replace("~1", "/").replace("~0", "~")))
            .collect();
        Ok(Self { steps })
    }

    /// Reads a jq path.
    ///
    /// # Errors
    /// When it uses more of jq than paths and `select`.
    pub fn jq(expression: &str) -> Result<Self, PathError> {
        let error = |reason: &str| PathError {
            expression: expression.to_owned(),
            reason: format!("{reason}; paths, [], [n] and select(.path == value) are"),
        };
        let mut steps = Vec::new();
        for part in split_pipes(expression) {
            let part = part.trim();
            let inner = part
                .strip_prefix("select(")
                .and_then(|rest| rest.strip_suffix(')'));
            match inner {
                Some(condition) => {
                    steps.push(select(condition).ok_or_else(|| error("the condition of select"))?);
                }
                None => {
                    let found = path(part).ok_or_else(|| error("this part of jq"))?;
                    steps.extend(found);
                }
            }
        }
        if !steps
            .iter()
            .any(|step| !matches!(step, Step::Select { .. }))
        {
            return Err(error("a path without fields"));
        }
        Ok(Self { steps })
    }

    /// Removes what the path leads to.
    pub fn remove_from(&self, object: &mut Value) {
        remove(&self.steps, object);
    }

    /// Makes the places of the path in `target` say what `live` says there: copied, or removed where `live` has
    /// nothing. List elements are paired by their `name`, else by their index.
    pub fn copy(&self, live: &Value, target: &mut Value) {
        copy(&self.steps, live, target);
    }
}

/// Splits at `|` outside of strings and parentheses.
fn split_pipes(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quoted, mut escaped) =
        (Vec::new(), 0, 0_i32, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            '|' if !quoted && depth == 0 => {
                parts.push(text.get(from..at).unwrap_or(""));
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(from..).unwrap_or(""));
    parts
}

/// `.a.b["c"][0][]`.
fn path(text: &str) -> Option<Vec<Step>> {
    let mut rest = text;
    if !rest.starts_with('.') {
        return None;
    }
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            if after.is_empty() {
                // A lone dot is the object itself.
                return steps.is_empty().then_some(steps);
            }
            rest = after;
            if rest.starts_with('"') {
                let (name, after) = string(rest)?;
                steps.push(Step::Field(name));
                rest = after;
            } else if !rest.starts_with('[') {
                let end = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .unwrap_or(rest.len());
                let name = rest.get(..end).filter(|name| !name.is_empty())?;
                steps.push(Step::Field(name.to_owned()));
                rest = rest.get(end..)?;
            }
        } else if let Some(after) = rest.strip_prefix('[') {
            let after = after.trim_start();
            if let Some(after) = after.strip_prefix(']') {
                steps.push(Step::Each);
                rest = after;
            } else if after.starts_with('"') {
                let (name, after) = string(after)?;
                steps.push(Step::Field(name));
                rest = after.trim_start().strip_prefix(']')?;
            } else {
                let (index, after) = after.split_once(']')?;
                steps.push(Step::Index(index.trim().parse().ok()?));
                rest = after;
            }
        } else if let Some(after) = rest.strip_prefix('?') {
            // Errors are no matter here anyway: what is not there is passed over.
            rest = after;
        } else {
            return None;
        }
    }
    Some(steps)
}

/// A JSON string at the head of the text, and what comes after it.
fn string(text: &str) -> Option<(String, &str)> {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let (head, after) = text.split_at_checked(at + 1)?;
                return Some((serde_json::from_str(head).ok()?, after));
            }
            _ => {}
        }
    }
    None
}

/// `.name == "x"`.
fn select(condition: &str) -> Option<Step> {
    let (left, equal, right) = match condition.split_once("==") {
        Some((left, right)) => (left, true, right),
        None => {
            let (left, right) = condition.split_once("!=")?;
            (left, false, right)
        }
    };
    let path = path(left.trim())?
        .into_iter()
        .map(|step| match step {
            Step::Field(name) => Some(name),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    let value = serde_json::from_str(right.trim()).ok()?;
    Some(Step::Select { path, equal, value })
}

fn selected(value: &Value, path: &[String], equal: bool, wanted: &Value) -> bool {
    let found = path
        .iter()
        .try_fold(value, |value, name| value.get(name))
        .unwrap_or(&Value::Null);
    (found == wanted) == equal
}

/// A pointer's token may be an index as well.
fn index_of(name: &str) -> Option<usize> {
    name.parse().ok()
}

/// Whether the value itself is what the path leads to: only conditions are left, and they hold.
fn ends_here(steps: &[Step], value: &Value) -> bool {
    steps.iter().all(|step| match step {
        Step::Select {
            path,
            equal,
            value: wanted,
        } => selected(value, path, *equal, wanted),
        _ => false,
    })
}

fn remove(steps: &[Step], value: &mut Value) {
    let Some((step, rest)) = steps.split_first() else {
        return;
    };
    match step {
        Step::Select {
            path,
            equal,
            value: wanted,
        } => {
            if selected(value, path, *equal, wanted) {
                remove(rest, value);
            }
        }
        Step::Field(name) => match value {
            Value::Object(map) => match map.get_mut(name) {
                Some(child) if ends_here(rest, child) => {
                    map.remove(name);
                }
                Some(child) => remove(rest, child),
                None => {}
            },
            Value::Array(_) => {
                if let Some(index) = index_of(name) {
                    remove_elements(value, rest, |at| at == index);
                }
            }
            _ => {}
        },
        Step::Index(index) => remove_elements(value, rest, |at| at == *index),
        Step::Each => match value {
            Value::Object(map) => {
                map.retain(|_, child| !ends_here(rest, child));
                for child in map.values_mut() {
                    remove(rest, child);
                }
            }
            _ => remove_elements(value, rest, |_| true),
        },
    }
}

fn remove_elements(value: &mut Value, rest: &[Step], takes: impl Fn(usize) -> bool) {
    let Some(elements) = value.as_array_mut() else {
        return;
    };
    let mut at = 0;
    elements.retain_mut(|element| {
        let taken = takes(at);
        at += 1;
        if !taken {
            return true;
        }
        if ends_here(rest, element) {
            return false;
        }
        remove(rest, element);
        true
    });
}

fn copy(steps: &[Step], live: &Value, target: &mut Value) {
    let Some((step, rest)) = steps.split_first() else {
        return;
    };
    match step {
        Step::Select {
            path,
            equal,
            value: wanted,
        } => {
            if selected(target, path, *equal, wanted) {
                copy(rest, live, target);
            }
        }
        Step::Field(name) => match target {
            Value::Object(map) => {
                let there = live.get(name);
                let ends = map
                    .get(name)
                    .or(there)
                    .is_some_and(|value| ends_here(rest, value));
                match (ends, there) {
                    (true, Some(there)) => {
                        map.insert(name.clone(), there.clone());
                    }
                    (true, None) => {
                        map.remove(name);
                    }
                    (false, Some(there)) => {
                        if let Some(child) = map.get_mut(name) {
                            copy(rest, there, child);
                        }
                    }
                    (false, None) => {}
                }
            }
            Value::Array(_) => {
                if let Some(index) = index_of(name) {
                    copy_elements(rest, live, target, |at| at == index);
                }
            }
            _ => {}
        },
        Step::Index(index) => copy_elements(rest, live, target, |at| at == *index),
        Step::Each => copy_elements(rest, live, target, |_| true),
    }
}

fn copy_elements(rest: &[Step], live: &Value, target: &mut Value, takes: impl Fn(usize) -> bool) {
    let (Some(elements), Some(there)) = (target.as_array_mut(), live.as_array()) else {
        return;
    };
    for (at, element) in elements.iter_mut().enumerate() {
        if !takes(at) {
            continue;
        }
        let partner = match element.get("name") {
            Some(name) => there.iter().find(|other| other.get("name") == Some(name)),
            None => there.get(at),
        };
        let Some(partner) = partner else { continue };
        if ends_here(rest, element) {
            *element = partner.clone();
        } else {
            copy(rest, partner, element);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn removed(path: &FieldPath, mut object: Value) -> Value {
        path.remove_from(&mut object);
        object
    }

    #[test]
    fn pointers_remove_fields_and_elements() {
        for (pointer, before, after) in [
            (
                "/spec/replicas",
                json!({"spec": {"replicas": 1, "a": 2}}),
                json!({"spec": {"a": 2}}),
            ),
            (
                "/metadata/annotations/a~1b",
                json!({"metadata": {"annotations": {"a/b": "x"}}}),
                json!({"metadata": {"annotations": {}}}),
            ),
            ("/list/0", json!({"list": [1, 2]}), json!({"list": [2]})),
            (
                "/list/0/a",
                json!({"list": [{"a": 1}, {"a": 2}]}),
                json!({"list": [{}, {"a": 2}]}),
            ),
            ("/missing/a", json!({"a": 1}), json!({"a": 1})),
        ] {
            assert_eq!(
                removed(&FieldPath::pointer(pointer).unwrap(), before),
                after,
                "{pointer}"
            );
        }
        assert!(FieldPath::pointer("spec").is_err());
    }

    #[test]
    fn jq_paths_remove_fields_and_elements() {
        let containers = json!({"c": [{"name": "x", "image": 1}, {"name": "y", "image": 2}]});
        for (expression, before, after) in [
            (
                ".spec.replicas",
                json!({"spec": {"replicas": 1}}),
                json!({"spec": {}}),
            ),
            (
                ".c[].image",
                containers.clone(),
                json!({"c": [{"name": "x"}, {"name": "y"}]}),
            ),
            (
                ".c[0].image",
                containers.clone(),
                json!({"c": [{"name": "x"}, {"name": "y", "image": 2}]}),
            ),
            (
                ".c[] | select(.name == \"y\") | .image",
                containers.clone(),
                json!({"c": [{"name": "x", "image": 1}, {"name": "y"}]}),
            ),
            (
                ".c[] | select(.name == \"y\").image",
                containers.clone(),
                containers.clone(),
            ),
            (
                ".c[] | select(.name != \"y\")",
                containers.clone(),
                json!({"c": [{"name": "y", "image": 2}]}),
            ),
            (
                ".a[\"b.c/d\"]",
                json!({"a": {"b.c/d": 1}}),
                json!({"a": {}}),
            ),
            (".a.\"b-c\"", json!({"a": {"b-c": 1}}), json!({"a": {}})),
            (".a[]?", json!({"a": [1, 2]}), json!({"a": []})),
            (".a[]", json!({"a": {"x": 1}}), json!({"a": {}})),
        ] {
            match FieldPath::jq(expression) {
                Ok(path) => assert_eq!(removed(&path, before), after, "{expression}"),
                // `select(…).image` is jq, but not of the part that is understood.
                Err(_) => assert!(expression.contains(").image"), "{expression}"),
            }
        }
    }

    #[test]
    fn more_of_jq_is_refused_and_named() {
        for expression in [
            "spec.replicas",
            ".a | keys",
            ".a[] | select(.b | test(\"x\"))",
            ".a[1:2]",
            ".. | .image?",
            "",
            ".",
            ".a[\"b",
            ".a | length",
        ] {
            let error = FieldPath::jq(expression).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{expression:?} is not supported")),
                "{error}"
            );
        }
    }

    #[test]
    fn live_values_are_copied_where_the_path_leads() {
        let live = json!({"spec": {"replicas": 7}, "c": [{"name": "y", "image": 20}, {"name": "x", "image": 10}]});
        for (expression, target, after) in [
            (
                ".spec.replicas",
                json!({"spec": {"replicas": 1}}),
                json!({"spec": {"replicas": 7}}),
            ),
            (
                ".spec.replicas",
                json!({"spec": {}}),
                json!({"spec": {"replicas": 7}}),
            ),
            (
                ".spec.paused",
                json!({"spec": {"paused": true}}),
                json!({"spec": {}}),
            ),
            (
                ".c[].image",
                json!({"c": [{"name": "x", "image": 1}, {"name": "z", "image": 3}]}),
                json!({"c": [{"name": "x", "image": 10}, {"name": "z", "image": 3}]}),
            ),
            (
                ".c[] | select(.name == \"y\") | .image",
                json!({"c": [{"name": "x", "image": 1}, {"name": "y", "image": 2}]}),
                json!({"c": [{"name": "x", "image": 1}, {"name": "y", "image": 20}]}),
            ),
        ] {
            let mut target = target;
            FieldPath::jq(expression).unwrap().copy(&live, &mut target);
            assert_eq!(target, after, "{expression}");
        }
    }
}
