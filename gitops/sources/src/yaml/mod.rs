//! YAML as `kubectl apply` reads it.
//!
//! Input: text of one or more documents. Output: one JSON value for each document.
//!
//! Kubernetes' tools read YAML with Go's `sigs.k8s.io/yaml`, which follows YAML 1.1: a plain `on` is a boolean, `0644`
//! is octal, `<<` merges, the last of two equal keys wins and every key becomes a string. A manifest must mean the same
//! here as there, so the scalars are resolved by those rules (`scalar.rs`), which needs the style of each scalar: the
//! event parser gives it.
//!
//! Invariants: no alias expands to more than the budget (an "alias bomb" is an error, in time linear to the budget);
//! nesting is bounded; the same text gives the same values.

mod compose;
mod scalar;

use serde_json::Value;

/// What a text may expand to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Values (scalars, lists and maps) of all documents together, with aliases expanded.
    pub nodes: usize,
    /// Bytes of all scalars together, with aliases expanded.
    pub bytes: usize,
    /// Nesting of lists and maps.
    pub depth: usize,
    /// Documents.
    pub documents: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            nodes: 1_000_000,
            bytes: 64 << 20,
            depth: 100,
            documents: 50_000,
        }
    }
}

/// The text is not YAML, or expands beyond its budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct YamlError {
    /// Document in which it happened, counted from 1.
    pub document: usize,
    /// Line of the text, counted from 1.
    pub line: usize,
    /// Why.
    pub message: String,
}

/// One document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its value; `Null` for an empty one.
    pub value: Value,
    /// Keys that stood twice in one map; the last one counts, as with kubectl.
    pub duplicate_keys: Vec<String>,
}

/// Reads all documents of a text.
///
/// # Errors
/// When it is not YAML or expands beyond the budget.
pub fn parse(text: &str, budget: Budget) -> Result<Vec<Document>, YamlError> {
    compose::compose(text, budget)
}

/// Reads a text that holds one document, such as a kustomization or a chart's `Chart.yaml`.
///
/// # Errors
/// When it is not YAML, expands beyond the budget, or holds several documents.
pub fn parse_one(text: &str) -> Result<Value, YamlError> {
    let mut documents = parse(text, Budget::default())?;
    documents.retain(|document| !document.value.is_null());
    match documents.len() {
        0 => Ok(Value::Null),
        1 => Ok(documents.remove(0).value),
        _ => Err(YamlError {
            document: 2,
            line: 1,
            message: "one document was expected, and there are several".into(),
        }),
    }
}

#[cfg(test)]
mod tests;
