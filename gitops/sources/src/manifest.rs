//! From text to Kubernetes objects.
//!
//! Input: a file of a directory source, or the output of helm or kustomize. Output: objects with `apiVersion`, `kind`
//! and a name; lists are opened. What is not an object is an error that names file, document and reason, except for
//! files in a directory that do not look like manifests at all (a `values.yaml` beside them), which are skipped with a
//! warning.

use serde_json::Value;

use crate::error::SourceError;
use crate::yaml::{self, Budget};

/// A line that makes a directory source skip its file.
const SKIP_MARKER: &str = "+argocd:skip-file-rendering";

/// Objects of a tool's output.
pub(crate) fn from_tool(
    tool: &str,
    output: &[u8],
    warnings: &mut Vec<String>,
) -> Result<Vec<Value>, SourceError> {
    let file = format!("output of {tool}");
    let text = utf8(&file, output)?;
    let mut objects = Vec::new();
    for (document, value) in documents(&file, text, warnings)? {
        open(&file, document, value, &mut objects)?;
    }
    Ok(objects)
}

/// Objects of one file of a directory.
pub(crate) fn from_file(
    file: &str,
    bytes: &[u8],
    warnings: &mut Vec<String>,
) -> Result<Vec<Value>, SourceError> {
    let text = utf8(file, bytes)?;
    if text.lines().any(is_skip_marker) {
        return Ok(Vec::new());
    }
    let parsed = if file.ends_with(".json") {
        json(file, text)
    } else {
        documents(file, text, warnings)
    };
    let foreign = !looks_like_manifest(text);
    let documents = match parsed {
        Ok(documents) => documents,
        Err(_) if foreign => {
            warnings.push(format!(
                "{file} is not a Kubernetes manifest and was skipped"
            ));
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    if !documents.is_empty() && foreign {
        warnings.push(format!(
            "{file} is not a Kubernetes manifest and was skipped"
        ));
        return Ok(Vec::new());
    }
    let mut objects = Vec::new();
    for (document, value) in documents {
        open(file, document, value, &mut objects)?;
    }
    Ok(objects)
}

fn is_skip_marker(line: &str) -> bool {
    line.trim_start()
        .strip_prefix('#')
        .is_some_and(|comment| comment.trim() == SKIP_MARKER)
}

/// Whether a text is meant to be an object, however malformed.
fn looks_like_manifest(text: &str) -> bool {
    let has = |key: &str| text.contains(&format!("{key}:")) || text.contains(&format!("\"{key}\""));
    has("apiVersion") && has("kind")
}

fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, SourceError> {
    std::str::from_utf8(bytes).map_err(|error| SourceError::ManifestInvalid {
        file: file.to_owned(),
        document: 1,
        message: format!("it is not UTF-8 text (byte {})", error.valid_up_to()),
    })
}

fn documents(
    file: &str,
    text: &str,
    warnings: &mut Vec<String>,
) -> Result<Vec<(usize, Value)>, SourceError> {
    let documents = yaml::parse(text, Budget::default()).map_err(|error| {
        let message = format!("line {}: {}", error.line, error.message);
        SourceError::ManifestInvalid {
            file: file.to_owned(),
            document: error.document,
            message,
        }
    })?;
    let mut values = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        for key in document.duplicate_keys {
            warnings.push(format!(
                "{file}, document {}: the key {key:?} stands twice; the last one counts",
                index + 1
            ));
        }
        if !document.value.is_null() {
            values.push((index + 1, document.value));
        }
    }
    Ok(values)
}

fn json(file: &str, text: &str) -> Result<Vec<(usize, Value)>, SourceError> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let value =
        serde_json::from_str::<Value>(text).map_err(|error| SourceError::ManifestInvalid {
            file: file.to_owned(),
            document: 1,
            message: error.to_string(),
        })?;
    Ok(vec![(1, whole_numbers(value))])
}

/// `1.0` is `1` to Kubernetes.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2^53")]
                Value::from(float as i64)
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, whole_numbers(value)))
            .collect(),
        other => other,
    }
}

/// Opens lists and checks each object.
fn open(
    file: &str,
    document: usize,
    value: Value,
    objects: &mut Vec<Value>,
) -> Result<(), SourceError> {
    let mut pending = vec![value];
    while let Some(mut value) = pending.pop() {
        let is_list = value["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("List"));
        if is_list && let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) {
            pending.extend(std::mem::take(items).into_iter().rev());
            continue;
        }
        check(&value).map_err(|message| SourceError::ManifestInvalid {
            file: file.to_owned(),
            document,
            message,
        })?;
        objects.push(value);
    }
    Ok(())
}

/// Why a value is not an object of Kubernetes.
fn check(value: &Value) -> Result<(), String> {
    if !value.is_object() {
        return Err("it is not a map with apiVersion, kind and metadata".into());
    }
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let kind = value["kind"].as_str().unwrap_or_default();
    if !text(&value["kind"]) {
        return Err("kind is missing or not text".into());
    }
    if !text(&value["apiVersion"]) {
        return Err(format!("{kind}: apiVersion is missing or not text"));
    }
    let metadata = &value["metadata"];
    if !metadata.is_object() {
        return Err(format!("{kind}: metadata is missing"));
    }
    if !text(&metadata["name"]) && !text(&metadata["generateName"]) {
        let reason = if metadata["name"].is_null() {
            "is missing"
        } else {
            "is not text; put it in quotes"
        };
        return Err(format!("{kind}: metadata.name {reason}"));
    }
    if !metadata["namespace"].is_null() && !metadata["namespace"].is_string() {
        return Err(format!(
            "{kind}: metadata.namespace is not text; put it in quotes"
        ));
    }
    let name = metadata["name"]
        .as_str()
        .or(metadata["generateName"].as_str())
        .unwrap_or_default();
    for field in ["labels", "annotations"] {
        match &metadata[field] {
            Value::Null => {}
            Value::Object(entries) => {
                let wrong = entries
                    .iter()
                    .find(|(_, value)| !value.is_string() && !value.is_null());
                if let Some((key, value)) = wrong {
                    return Err(format!(
                        "{kind}/{name}: metadata.{field}[{key:?}] is {value}, not text; put it in quotes"
                    ));
                }
            }
            _ => return Err(format!("{kind}/{name}: metadata.{field} is not a map")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (Result<Vec<Value>, SourceError>, Vec<String>) {
        let mut warnings = Vec::new();
        let result = from_file(name, text.as_bytes(), &mut warnings);
        (result, warnings)
    }

    const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

    #[test]
    fn empty_documents_are_left_out_and_lists_are_opened() {
        let text = format!(
            "---\n# c\n---\n{CONFIG}---\napiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Secret, metadata: {{name: b}}}}\n- {{apiVersion: v1, kind: Secret, metadata: {{name: c}}}}\n"
        );
        let names: Vec<_> = file("x.yaml", &text)
            .0
            .unwrap()
            .iter()
            .map(|o| o["metadata"]["name"].clone())
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn a_file_that_is_no_manifest_is_skipped_with_a_warning() {
        for text in ["replicas: 3\n", "{{ .Values.x }}: [\n", "- a\n- b\n"] {
            let (objects, warnings) = file("values.yaml", text);
            assert_eq!(objects.unwrap(), Vec::<Value>::new());
            assert!(warnings[0].contains("values.yaml"), "{warnings:?}");
        }
        assert!(
            file("package.json", "{\"name\": \"x\"}")
                .0
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_malformed_manifest_is_an_error_that_says_where() {
        let (result, _) = file(
            "apps/x.yaml",
            &format!("{CONFIG}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: 12}}\n"),
        );
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains("apps/x.yaml, document 2") && message.contains("metadata.name"),
            "{message}"
        );
        let (result, _) = file(
            "x.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a\n",
        );
        assert_eq!(result.unwrap_err().kind(), "ManifestInvalid");
        let (result, _) = file("x.json", "{\"apiVersion\": \"v1\", \"kind\": \"Secret\", ");
        assert_eq!(result.unwrap_err().kind(), "ManifestInvalid");
    }

    #[test]
    fn an_annotation_that_is_not_text_is_named() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, annotations: {wave: 1}}\n";
        let message = file("x.yaml", text).0.unwrap_err().to_string();
        assert!(
            message.contains("metadata.annotations[\"wave\"] is 1, not text"),
            "{message}"
        );
    }

    #[test]
    fn the_marker_skips_a_file() {
        assert!(
            file(
                "x.yaml",
                &format!("# +argocd:skip-file-rendering\n{CONFIG}")
            )
            .0
            .unwrap()
            .is_empty()
        );
    }

    #[test]
    fn a_key_that_stands_twice_is_a_warning() {
        let (objects, warnings) = file("x.yaml", &format!("{CONFIG}data: {{}}\ndata: {{a: b}}\n"));
        assert_eq!(objects.unwrap()[0]["data"]["a"], "b");
        assert!(warnings[0].contains("\"data\""), "{warnings:?}");
    }

    #[test]
    fn whole_numbers_of_json_are_integers() {
        let text =
            r#"{"apiVersion":"v1","kind":"X","metadata":{"name":"a"},"spec":{"n":1.0,"f":1.5}}"#;
        let objects = file("x.json", text).0.unwrap();
        assert_eq!(objects[0]["spec"].to_string(), r#"{"f":1.5,"n":1}"#);
    }
}
