//! Arguments of an analysis, as the Rollout gives them: values, pod-template hashes, fields of the Rollout itself.

use serde_json::Value;
use sluice_crds::analysis::Argument;
use sluice_crds::rollout::canary::AnalysisRunArgument;

use crate::seen::Seen;
use crate::validation::FieldError;
use crate::world::ReplicaSet;

/// Gives every argument its value; one that names no source is left to the templates.
///
/// # Errors
/// A field that the Rollout does not have, or a hash of an unknown side.
pub(crate) fn resolve(
    seen: &Seen<'_>,
    args: &[AnalysisRunArgument],
    field: &str,
) -> Result<Vec<Argument>, FieldError> {
    // Encoded once and only when an argument asks for a field.
    let mut object = None;
    let mut resolved = Vec::new();
    for (index, argument) in args.iter().enumerate() {
        let error = |key: &str, message: String| FieldError {
            field: format!("{field}.args[{index}].valueFrom.{key}"),
            message: format!("argument '{}': {message}", argument.name),
        };
        let from = argument.value_from.as_ref();
        let hash = from.and_then(|from| from.pod_template_hash_value.as_deref());
        let path = from.and_then(|from| from.field_ref.as_ref());
        let value = match (&argument.value, hash, path) {
            (Some(value), _, _) => Some(value.clone()),
            (None, Some("Latest"), _) => Some(seen.sets.hash.clone()),
            (None, Some("Stable"), _) => Some(
                seen.sets
                    .stable
                    .and_then(ReplicaSet::hash)
                    .unwrap_or_default()
                    .to_owned(),
            ),
            (None, Some(other), _) => {
                let message = format!("{other:?} is no side: write Stable or Latest");
                return Err(error("podTemplateHashValue", message));
            }
            (None, None, Some(reference)) => {
                let object = object.get_or_insert_with(|| {
                    serde_json::to_value(seen.world.rollout).unwrap_or_default()
                });
                let value = at(object, &reference.field_path).ok_or_else(|| {
                    let message = format!("the Rollout has no field {:?}", reference.field_path);
                    error("fieldRef.fieldPath", message)
                })?;
                Some(value)
            }
            (None, None, None) => None,
        };
        if let Some(value) = value {
            resolved.push(Argument {
                name: argument.name.clone(),
                value: Some(value),
                value_from: None,
            });
        }
    }
    Ok(resolved)
}

/// The text of a field: `metadata.name`, `metadata.labels['app']`, `status.albs[0].loadBalancer.name`.
pub(crate) fn at(object: &Value, path: &str) -> Option<String> {
    let mut value = object;
    let mut rest = path
        .trim_start_matches("{")
        .trim_end_matches("}")
        .trim_start_matches('.');
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (key, after) = match inner.strip_prefix(['\'', '"']) {
                Some(quoted) => {
                    let end = quoted.find(['\'', '"'])?;
                    let (key, after) = quoted.split_at_checked(end)?;
                    (key, after.get(1..)?.strip_prefix(']')?)
                }
                None => inner.split_once(']')?,
            };
            value = match value {
                Value::Array(items) => items.get(key.parse::<usize>().ok()?)?,
                _ => value.get(key)?,
            };
            rest = after.trim_start_matches('.');
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, after) = rest.split_at_checked(end)?;
            value = value.get(key)?;
            rest = after.strip_prefix('.').unwrap_or(after);
        }
    }
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_by_their_path() {
        let object = json!({
            "metadata": { "name": "web", "labels": { "app.kubernetes.io/name": "shop" } },
            "spec": { "replicas": 5 },
            "status": { "albs": [{ "loadBalancer": { "name": "lb" } }] }
        });
        for (path, value) in [
            ("metadata.name", Some("web")),
            ("{.metadata.name}", Some("web")),
            ("metadata.labels['app.kubernetes.io/name']", Some("shop")),
            ("metadata.labels[\"app.kubernetes.io/name\"]", Some("shop")),
            ("spec.replicas", Some("5")),
            ("status.albs[0].loadBalancer.name", Some("lb")),
            ("status.albs[1].loadBalancer.name", None),
            ("metadata.labels['absent']", None),
            ("metadata.labels['open", None),
            ("spec.replicas.more", None),
        ] {
            assert_eq!(at(&object, path).as_deref(), value, "{path}");
        }
    }
}
