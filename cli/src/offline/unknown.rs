//! Fields that the API does not have: what a typed object loses of what was written. Pure.

use serde_json::Value;

/// Paths of fields of `written` that are not in `understood`, as in `spec.strategy.canary.stepss`.
pub(super) fn fields(written: &Value, understood: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", written, understood, &mut found);
    found
}

fn walk(path: &str, written: &Value, understood: &Value, found: &mut Vec<String>) {
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => {
            for (key, value) in written {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                match understood.get(key) {
                    Some(known) => walk(&path, value, known, found),
                    None if value.is_null() => {}
                    None => found.push(path),
                }
            }
        }
        (Value::Array(written), Value::Array(understood)) => {
            for (index, (value, known)) in written.iter().zip(understood).enumerate() {
                walk(&format!("{path}[{index}]"), value, known, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_typed_object_lost_is_found_by_its_path() {
        let written = json!({ "spec": { "steps": [{ "setWeight": 1 }, { "setWait": 2 }], "typo": {}, "none": null } });
        let understood = json!({ "spec": { "steps": [{ "setWeight": 1 }, {}] } });
        assert_eq!(
            fields(&written, &understood),
            ["spec.steps[1].setWait", "spec.typo"]
        );
    }
}
