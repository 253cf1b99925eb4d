//! Functions on texts.

use super::super::eval::Evaluator;
use super::super::value::Value;
use super::super::{ExpressionError, Result};
use super::{Function, Gives, integer, plain, text};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("trim", 1, 2, Gives::String, |evaluator, values| {
        let from = text("trim", values, 0)?;
        let trimmed = if values.len() > 1 {
            let characters = text("trim", values, 1)?;
            evaluator.spend(from.len().saturating_mul(characters.len()))?;
            from.trim_matches(|character| characters.contains(character))
        } else {
            from.trim()
        };
        evaluator.text(trimmed.to_owned())
    }),
    plain("trimPrefix", 1, 2, Gives::String, |evaluator, values| {
        let from = text("trimPrefix", values, 0)?;
        let prefix = optional("trimPrefix", values, " ")?;
        evaluator.text(from.strip_prefix(prefix).unwrap_or(from).to_owned())
    }),
    plain("trimSuffix", 1, 2, Gives::String, |evaluator, values| {
        let from = text("trimSuffix", values, 0)?;
        let suffix = optional("trimSuffix", values, " ")?;
        evaluator.text(from.strip_suffix(suffix).unwrap_or(from).to_owned())
    }),
    plain("upper", 1, 1, Gives::String, |evaluator, values| {
        let upper = text("upper", values, 0)?.to_uppercase();
        evaluator.text(upper)
    }),
    plain("lower", 1, 1, Gives::String, |evaluator, values| {
        let lower = text("lower", values, 0)?.to_lowercase();
        evaluator.text(lower)
    }),
    plain("split", 2, 3, Gives::Array, |evaluator, values| {
        split(evaluator, "split", values, false)
    }),
    plain("splitAfter", 2, 3, Gives::Array, |evaluator, values| {
        split(evaluator, "splitAfter", values, true)
    }),
    plain("replace", 3, 4, Gives::String, replace),
    plain("repeat", 2, 2, Gives::String, |evaluator, values| {
        let unit = text("repeat", values, 0)?;
        let count = usize::try_from(integer("repeat", values, 1)?)
            .map_err(|_| ExpressionError::new("invalid argument for repeat (negative count)"))?;
        // Paid for before it is made.
        evaluator.grow(unit.len().saturating_mul(count))?;
        Ok(unit.repeat(count).into())
    }),
    plain("indexOf", 2, 2, Gives::Integer, |_, values| {
        Ok(place(
            text("indexOf", values, 0)?.find(text("indexOf", values, 1)?),
        ))
    }),
    plain("lastIndexOf", 2, 2, Gives::Integer, |_, values| {
        Ok(place(text("lastIndexOf", values, 0)?.rfind(text(
            "lastIndexOf",
            values,
            1,
        )?)))
    }),
    plain("hasPrefix", 2, 2, Gives::Bool, |_, values| {
        Ok(text("hasPrefix", values, 0)?
            .starts_with(text("hasPrefix", values, 1)?)
            .into())
    }),
    plain("hasSuffix", 2, 2, Gives::Bool, |_, values| {
        Ok(text("hasSuffix", values, 0)?
            .ends_with(text("hasSuffix", values, 1)?)
            .into())
    }),
];

fn optional<'a>(function: &str, values: &'a [Value], absent: &'a str) -> Result<&'a str> {
    if values.len() > 1 {
        text(function, values, 1)
    } else {
        Ok(absent)
    }
}

/// The place of a part, in bytes.
fn place(index: Option<usize>) -> Value {
    index.map_or(Value::Integer(-1), Value::from)
}

/// At most `limit` parts: negative for any number, 0 for none.
fn split(
    evaluator: &mut Evaluator<'_>,
    function: &str,
    values: &[Value],
    keep: bool,
) -> Result<Value> {
    let from = text(function, values, 0)?;
    let separator = text(function, values, 1)?;
    let limit = if values.len() > 2 {
        integer(function, values, 2)?
    } else {
        -1
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit == 0 || separator.is_empty() && from.is_empty() {
        return evaluator.array(Vec::new());
    }
    let mut parts: Vec<Value> = Vec::new();
    let mut rest = from;
    loop {
        let cut = if separator.is_empty() {
            // An empty separator cuts after every character.
            rest.char_indices().nth(1).map(|(end, _)| (end, end))
        } else {
            rest.find(separator)
                .map(|start| (start, start + separator.len()))
        };
        let Some((start, end)) = cut.filter(|_| parts.len() + 1 < limit) else {
            parts.push(rest.into());
            return evaluator.array(parts);
        };
        let part = rest.get(..if keep { end } else { start });
        parts.push(part.unwrap_or_default().into());
        rest = rest.get(end..).unwrap_or_default();
    }
}

fn replace(evaluator: &mut Evaluator<'_>, values: &[Value]) -> Result<Value> {
    let from = text("replace", values, 0)?;
    let old = text("replace", values, 1)?;
    let new = text("replace", values, 2)?;
    let limit = if values.len() > 3 {
        integer("replace", values, 3)?
    } else {
        -1
    };
    let found = if old.is_empty() {
        from.chars().count() + 1
    } else {
        from.matches(old).count()
    };
    let count = usize::try_from(limit).map_or(found, |limit| limit.min(found));
    evaluator.grow(count.saturating_mul(new.len()))?;
    let replaced = from.replacen(old, new, count);
    evaluator.text(replaced)
}
