//! Functions on lists.

use super::super::eval::{Evaluator, Stop};
use super::super::value::Value;
use super::super::{ExpressionError, Result, operators};
use super::{Function, Gives, argument, integer, invalid, list, plain, predicates, text};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("len", 1, 1, Gives::Integer, |_, values| {
        Ok(match argument(values, 0) {
            Value::Array(values) => values.len().into(),
            Value::Map(fields) => fields.len().into(),
            Value::String(text) => text.chars().count().into(),
            other => return Err(invalid("len", other)),
        })
    }),
    plain("first", 1, 1, Gives::Unknown, |_, values| {
        Ok(list("first", values, 0)?
            .first()
            .cloned()
            .unwrap_or(Value::Nil))
    }),
    plain("last", 1, 1, Gives::Unknown, |_, values| {
        Ok(list("last", values, 0)?
            .last()
            .cloned()
            .unwrap_or(Value::Nil))
    }),
    plain("take", 2, 2, Gives::Array, |evaluator, values| {
        let count = usize::try_from(integer("take", values, 1)?)
            .map_err(|_| ExpressionError::new("cannot take less than zero elements"))?;
        let taken = list("take", values, 0)?
            .iter()
            .take(count)
            .cloned()
            .collect();
        evaluator.array(taken)
    }),
    plain("reverse", 1, 1, Gives::Array, |evaluator, values| {
        let reversed = list("reverse", values, 0)?.iter().rev().cloned().collect();
        evaluator.array(reversed)
    }),
    plain("uniq", 1, 1, Gives::Array, |evaluator, values| {
        let mut unique: Vec<Value> = Vec::new();
        for value in list("uniq", values, 0)? {
            evaluator.spend(unique.len().saturating_mul(value.weight()))?;
            if !unique.iter().any(|known| operators::equal(known, value)) {
                unique.push(value.clone());
            }
        }
        evaluator.array(unique)
    }),
    plain(
        "concat",
        1,
        usize::MAX,
        Gives::Array,
        |evaluator, values| {
            let mut all = Vec::new();
            for index in 0..values.len() {
                let part = list("concat", values, index)?;
                evaluator.grow(part.len())?;
                all.extend(part.iter().cloned());
            }
            evaluator.array(all)
        },
    ),
    plain("flatten", 1, 1, Gives::Array, |evaluator, values| {
        let mut flat = Vec::new();
        flatten(list("flatten", values, 0)?, &mut flat);
        evaluator.array(flat)
    }),
    plain("join", 1, 2, Gives::String, |evaluator, values| {
        let glue = if values.len() > 1 {
            text("join", values, 1)?
        } else {
            ""
        };
        let parts = list("join", values, 0)?;
        evaluator.grow(parts.len().saturating_mul(glue.len()))?;
        let mut texts = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Value::String(text) => texts.push(text.as_ref()),
                other => return Err(invalid("join", other)),
            }
        }
        let joined = texts.join(glue);
        evaluator.text(joined)
    }),
    plain("sort", 1, 2, Gives::Array, |evaluator, values| {
        let elements = list("sort", values, 0)?.to_vec();
        let descending = plainly(predicates::descending(values.get(1)))?;
        let sorted = sort(evaluator, elements, descending)?;
        evaluator.array(sorted)
    }),
    plain("get", 2, 2, Gives::Unknown, |_, values| {
        Ok(match (argument(values, 0), argument(values, 1)) {
            (Value::Nil, _) => Value::Nil,
            (Value::Array(list), Value::Integer(index)) => {
                let from_end = i64::try_from(list.len()).unwrap_or(i64::MAX);
                let place = if *index < 0 {
                    index.saturating_add(from_end)
                } else {
                    *index
                };
                usize::try_from(place)
                    .ok()
                    .and_then(|place| list.get(place))
                    .cloned()
                    .unwrap_or(Value::Nil)
            }
            (Value::Map(fields), Value::String(key)) => {
                fields.get(key.as_ref()).cloned().unwrap_or(Value::Nil)
            }
            (other, _) => return Err(invalid("get", other)),
        })
    }),
];

fn sort(
    evaluator: &mut Evaluator<'_>,
    elements: Vec<Value>,
    descending: bool,
) -> Result<Vec<Value>> {
    plainly(predicates::sort(
        evaluator,
        elements.clone(),
        elements,
        descending,
    ))
}

/// These never meet the nil of a chain.
fn plainly<T>(outcome: std::result::Result<T, Stop>) -> Result<T> {
    outcome.map_err(|stop| match stop {
        Stop::Error(error) => error,
        Stop::NilChain => ExpressionError::new("nil outside of a chain"),
    })
}

/// The nesting of a value is bounded.
fn flatten(values: &[Value], into: &mut Vec<Value>) {
    for value in values {
        match value {
            Value::Array(inside) => flatten(inside, into),
            other => into.push(other.clone()),
        }
    }
}
