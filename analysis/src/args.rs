//! Arguments: `{{args.name}}` in the strings of a metric.
//!
//! Every string of the metric is searched, the keys of maps included. A tag is resolved to the value of the argument,
//! kept when the value is secret (the caller puts it in with [`crate::plan::MeasureRequest::resolve`]), or an error.

use serde_json::{Map, Value};
use sluice_crds::analysis::{Argument, Metric};

use crate::plan::SecretArgument;

/// A tag that cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgError {
    /// There is no such argument, or it has no value.
    #[error(
        "metric {metric}: failed to resolve {{{{{tag}}}}}: declare the argument in the template's args and give it a value"
    )]
    Unresolved {
        /// The metric.
        metric: String,
        /// What stands between the braces.
        tag: String,
    },
    /// Braces are opened and not closed.
    #[error("metric {metric}: {{{{ without }}}} in {text:?}")]
    Unclosed {
        /// The metric.
        metric: String,
        /// The text from the braces on, shortened.
        text: String,
    },
    /// The metric with its arguments in place is not one any more.
    #[error("metric {metric}: with its arguments in place it cannot be read: {reason}")]
    Malformed {
        /// The metric.
        metric: String,
        /// What the decoder says.
        reason: String,
    },
}

/// Puts the arguments of a run into a metric. Tags of secret arguments stay as they are.
///
/// # Errors
/// When a tag names no argument or one without a value.
pub fn resolve_metric(metric: &Metric, args: &[Argument]) -> Result<Metric, ArgError> {
    resolve_with(metric, |tag| {
        let Some(name) = tag.strip_prefix("args.") else {
            return Tag::Unknown;
        };
        match args.iter().find(|argument| argument.name == name) {
            Some(argument) => match (&argument.value, &argument.value_from) {
                (Some(value), _) => Tag::Value(value.clone()),
                (None, Some(from)) if from.secret_key_ref.is_some() => Tag::Keep,
                _ => Tag::Unknown,
            },
            None => Tag::Unknown,
        }
    })
}

/// The secret arguments that a metric uses, in the order in which the run declares them.
#[must_use]
pub fn secret_arguments(metric: &Metric, args: &[Argument]) -> Vec<SecretArgument> {
    let mut used = Vec::new();
    let collected = resolve_with(metric, |tag| {
        used.push(tag.to_owned());
        Tag::Keep
    });
    if collected.is_err() {
        return Vec::new();
    }
    args.iter()
        .filter(|argument| argument.value.is_none())
        .filter_map(|argument| {
            let key = argument.value_from.as_ref()?.secret_key_ref.clone()?;
            used.iter()
                .any(|tag| tag.strip_prefix("args.") == Some(argument.name.as_str()))
                .then(|| SecretArgument {
                    argument: argument.name.clone(),
                    key,
                })
        })
        .collect()
}

/// What becomes of a tag.
enum Tag {
    /// It is replaced.
    Value(String),
    /// It stays.
    Keep,
    /// It is an error.
    Unknown,
}

fn resolve_with(metric: &Metric, mut resolve: impl FnMut(&str) -> Tag) -> Result<Metric, ArgError> {
    let malformed = |error: serde_json::Error| ArgError::Malformed {
        metric: metric.name.clone(),
        reason: error.to_string(),
    };
    let value = serde_json::to_value(metric).map_err(malformed)?;
    let value = replace_in(value, &metric.name, &mut resolve)?;
    serde_json::from_value(value).map_err(malformed)
}

fn replace_in(
    value: Value,
    metric: &str,
    resolve: &mut impl FnMut(&str) -> Tag,
) -> Result<Value, ArgError> {
    Ok(match value {
        Value::String(text) => Value::String(replace(&text, metric, resolve)?),
        Value::Array(values) => Value::Array(
            values
                .into_iter()
                .map(|value| replace_in(value, metric, resolve))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => {
            let mut replaced = Map::new();
            for (key, value) in fields {
                replaced.insert(
                    replace(&key, metric, resolve)?,
                    replace_in(value, metric, resolve)?,
                );
            }
            Value::Object(replaced)
        }
        other => other,
    })
}

/// Replaces the tags of one text. A value is not searched again.
fn replace(
    text: &str,
    metric: &str,
    resolve: &mut impl FnMut(&str) -> Tag,
) -> Result<String, ArgError> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((tag, after)) = after.split_once("}}") else {
            return Err(ArgError::Unclosed {
                metric: metric.to_owned(),
                text: rest
                    .get(before.len()..)
                    .unwrap_or_default()
                    .chars()
                    .take(40)
                    .collect(),
            });
        };
        replaced.push_str(before);
        match resolve(tag.trim()) {
            Tag::Value(value) => replaced.push_str(&value),
            Tag::Keep => {
                replaced.push_str("{{");
                replaced.push_str(tag);
                replaced.push_str("}}");
            }
            Tag::Unknown => {
                return Err(ArgError::Unresolved {
                    metric: metric.to_owned(),
                    tag: tag.trim().to_owned(),
                });
            }
        }
        rest = after;
    }
    replaced.push_str(rest);
    Ok(replaced)
}

/// Whether a text still holds a tag (of a secret argument).
pub(crate) fn has_tag(text: &str) -> bool {
    text.contains("{{")
}

/// Puts values into the arguments that templates declare. What is given and not declared is left out; what is given
/// replaces the default of the template, be it a value or a source.
#[must_use]
pub fn merge(given: &[Argument], declared: &[Argument]) -> Vec<Argument> {
    declared
        .iter()
        .map(|argument| {
            match given
                .iter()
                .find(|candidate| candidate.name == argument.name)
            {
                Some(Argument {
                    value: Some(value), ..
                }) => Argument {
                    name: argument.name.clone(),
                    value: Some(value.clone()),
                    value_from: None,
                },
                Some(Argument {
                    value_from: Some(from),
                    ..
                }) => Argument {
                    name: argument.name.clone(),
                    value: None,
                    value_from: Some(from.clone()),
                },
                _ => argument.clone(),
            }
        })
        .collect()
}
