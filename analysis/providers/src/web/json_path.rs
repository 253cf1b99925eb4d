//! The part of JSONPath that picks one value: `{$.data.rows[0]['rate']}`.
//!
//! Fields, quoted fields, and places in lists (from the end when negative). Wildcards, filters, ranges and texts around
//! the braces give more than one value or none; they are refused.

use serde_json::Value;

/// A path to one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Place(i64),
}

/// What is wrong with a path, or where it leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonPathError {
    /// It is not a path of this kind.
    #[error(
        "{text:?} cannot be read at {rest:?}: write fields and places, as in {{$.data.rows[0].rate}}"
    )]
    Parse {
        /// The path.
        text: String,
        /// From where on it cannot be read.
        rest: String,
    },
    /// There is nothing at its end.
    #[error("{text:?} leads to nothing")]
    NotFound {
        /// The path.
        text: String,
    },
}

impl JsonPath {
    /// The path to everything.
    #[must_use]
    pub fn root() -> Self {
        Self {
            text: String::new(),
            steps: Vec::new(),
        }
    }

    /// Reads a path, with or without braces; an empty one is the path to everything.
    ///
    /// # Errors
    /// When it is not a path to one value.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        let trimmed = text.trim();
        let inside = trimmed
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or(trimmed)
            .trim();
        let mut rest = inside.strip_prefix('$').unwrap_or(inside);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or_else(|| JsonPathError::Parse {
                text: text.to_owned(),
                rest: rest.to_owned(),
            })?;
            steps.push(step);
            rest = after;
        }
        if steps.is_empty() {
            return Ok(Self::root());
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    /// The value at the end of the path.
    ///
    /// # Errors
    /// When there is none.
    pub fn find<'a>(&self, value: &'a Value) -> Result<&'a Value, JsonPathError> {
        self.steps
            .iter()
            .try_fold(value, |value, step| match (step, value) {
                (Step::Field(name), Value::Object(fields)) => fields.get(name),
                (Step::Place(place), Value::Array(values)) => {
                    let from_end = i64::try_from(values.len()).ok()?;
                    let place = if *place < 0 { place + from_end } else { *place };
                    values.get(usize::try_from(place).ok()?)
                }
                _ => None,
            })
            .ok_or_else(|| JsonPathError::NotFound {
                text: self.text.clone(),
            })
    }
}

/// One step, and what comes after it.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = match rest.chars().next()? {
            quote @ ('\'' | '"') => {
                let (name, after) = rest.get(1..)?.split_once(quote)?;
                return Some((Step::Field(name.to_owned()), after.strip_prefix(']')?));
            }
            _ => rest.split_once(']')?,
        };
        return Some((Step::Place(inside.trim().parse().ok()?), after));
    }
    let rest = text.strip_prefix('.')?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let plain = !name.is_empty()
        && name
            .chars()
            .all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'));
    plain.then(|| (Step::Field(name.to_owned()), after))
}
