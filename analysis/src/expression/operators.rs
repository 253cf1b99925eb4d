//! Operators on values.

use std::cmp::Ordering;

use jiff::SignedDuration;

use super::ast::Binary;
use super::value::Value;
use super::{ExpressionError, Result};

/// Applies an operator whose operands are both evaluated.
pub(super) fn apply(operator: Binary, left: &Value, right: &Value) -> Result<Value> {
    Ok(match operator {
        Binary::Equal => equal(left, right).into(),
        Binary::NotEqual => (!equal(left, right)).into(),
        Binary::Less | Binary::Greater | Binary::LessOrEqual | Binary::GreaterOrEqual => {
            compare(operator, left, right)?.into()
        }
        Binary::In => contains(left, right)?.into(),
        Binary::Contains => text(operator, left, right, |text, part| text.contains(part))?,
        Binary::StartsWith => text(operator, left, right, |text, part| text.starts_with(part))?,
        Binary::EndsWith => text(operator, left, right, |text, part| text.ends_with(part))?,
        Binary::Matches => matches(left, right)?,
        Binary::Add => add(left, right)?,
        Binary::Subtract => subtract(left, right)?,
        Binary::Multiply => multiply(left, right)?,
        Binary::Divide => {
            let (left, right) = numbers(operator, left, right)?;
            (left / right).into()
        }
        Binary::Power => {
            let (left, right) = numbers(operator, left, right)?;
            left.powf(right).into()
        }
        Binary::Modulo => match (left, right) {
            (Value::Integer(_), Value::Integer(0)) => {
                return Err(ExpressionError::new("integer divide by zero"));
            }
            (Value::Integer(left), Value::Integer(right)) => left.wrapping_rem(*right).into(),
            _ => return Err(mismatch(operator, left, right)),
        },
        // These choose which operand is evaluated, or make lists: the evaluator's.
        Binary::Or | Binary::And | Binary::Coalesce | Binary::Range => {
            return Err(mismatch(operator, left, right));
        }
    })
}

/// That an operator cannot be applied, in Go's words.
pub(super) fn mismatch(operator: Binary, left: &Value, right: &Value) -> ExpressionError {
    ExpressionError::new(format!(
        "invalid operation: {} {} {}",
        left.type_name(),
        operator.symbol(),
        right.type_name()
    ))
}

/// Equality; numbers of both kinds are equal when their values are, and NaN is equal to nothing.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => left == right,
        (Value::Integer(_) | Value::Float(_), Value::Integer(_) | Value::Float(_)) => {
            left.as_number() == right.as_number()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right.iter())
                    .all(|(left, right)| equal(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => left == right,
    }
}

/// How two values are ordered: `None` within numbers when one is NaN.
pub(super) fn order(left: &Value, right: &Value) -> Option<Option<Ordering>> {
    Some(match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        _ => left.as_number()?.partial_cmp(&right.as_number()?),
    })
}

fn compare(operator: Binary, left: &Value, right: &Value) -> Result<bool> {
    let order = order(left, right).ok_or_else(|| mismatch(operator, left, right))?;
    Ok(match operator {
        Binary::Less => order.is_some_and(Ordering::is_lt),
        Binary::Greater => order.is_some_and(Ordering::is_gt),
        Binary::LessOrEqual => order.is_some_and(Ordering::is_le),
        _ => order.is_some_and(Ordering::is_ge),
    })
}

fn contains(needle: &Value, haystack: &Value) -> Result<bool> {
    match haystack {
        Value::Nil => Ok(false),
        Value::Array(values) => Ok(values.iter().any(|value| equal(value, needle))),
        Value::Map(fields) => match needle {
            Value::String(key) => Ok(fields.contains_key(key.as_ref())),
            Value::Nil => Ok(fields.contains_key("")),
            other => Err(ExpressionError::new(format!(
                "cannot use {} as a key of {}",
                other.type_name(),
                haystack.type_name()
            ))),
        },
        other => Err(ExpressionError::new(format!(
            "operator \"in\" not defined on {}",
            other.type_name()
        ))),
    }
}

/// An operator on two texts; nothing is found in nil.
fn text(
    operator: Binary,
    left: &Value,
    right: &Value,
    found: impl Fn(&str, &str) -> bool,
) -> Result<Value> {
    match (left, right) {
        (Value::Nil, _) | (_, Value::Nil) => Ok(false.into()),
        (Value::String(left), Value::String(right)) => Ok(found(left, right).into()),
        _ => Err(mismatch(operator, left, right)),
    }
}

/// Regular expressions take time in proportion to the text, and their size is bounded by the library.
fn matches(left: &Value, right: &Value) -> Result<Value> {
    match (left, right) {
        (Value::Nil, _) | (_, Value::Nil) => Ok(false.into()),
        (Value::String(text), Value::String(pattern)) => {
            let regex = regex::Regex::new(pattern)
                .map_err(|error| ExpressionError::new(error.to_string()))?;
            Ok(regex.is_match(text).into())
        }
        _ => Err(mismatch(Binary::Matches, left, right)),
    }
}

fn numbers(operator: Binary, left: &Value, right: &Value) -> Result<(f64, f64)> {
    match (left.as_number(), right.as_number()) {
        (Some(left), Some(right)) => Ok((left, right)),
        _ => Err(mismatch(operator, left, right)),
    }
}

fn add(left: &Value, right: &Value) -> Result<Value> {
    Ok(match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => left.wrapping_add(*right).into(),
        (Value::String(left), Value::String(right)) => format!("{left}{right}").into(),
        (Value::Duration(left), Value::Duration(right)) => {
            Value::Duration(left.saturating_add(*right))
        }
        (Value::Time(time), Value::Duration(duration))
        | (Value::Duration(duration), Value::Time(time)) => move_time(*time, *duration)?,
        _ => {
            let (left, right) = numbers(Binary::Add, left, right)?;
            (left + right).into()
        }
    })
}

fn subtract(left: &Value, right: &Value) -> Result<Value> {
    Ok(match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => left.wrapping_sub(*right).into(),
        (Value::Duration(left), Value::Duration(right)) => {
            Value::Duration(left.saturating_sub(*right))
        }
        (Value::Time(left), Value::Time(right)) => Value::Duration(left.duration_since(*right)),
        (Value::Time(time), Value::Duration(duration)) => {
            move_time(*time, SignedDuration::ZERO.saturating_sub(*duration))?
        }
        _ => {
            let (left, right) = numbers(Binary::Subtract, left, right)?;
            (left - right).into()
        }
    })
}

/// A time and a duration.
pub(super) fn move_time(time: jiff::Timestamp, by: SignedDuration) -> Result<Value> {
    time.checked_add(by)
        .map(Value::Time)
        .map_err(|_| ExpressionError::new("time out of range"))
}

fn multiply(left: &Value, right: &Value) -> Result<Value> {
    Ok(match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => left.wrapping_mul(*right).into(),
        (Value::Duration(duration), other) | (other, Value::Duration(duration)) => {
            let factor = match other {
                Value::Duration(other) => nanos(*other),
                other => other
                    .as_number()
                    .ok_or_else(|| mismatch(Binary::Multiply, left, right))?,
            };
            Value::Duration(from_nanos(nanos(*duration) * factor))
        }
        _ => {
            let (left, right) = numbers(Binary::Multiply, left, right)?;
            (left * right).into()
        }
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact below 104 days, and a factor makes it inexact anyway"
)]
fn nanos(duration: SignedDuration) -> f64 {
    duration.as_nanos() as f64
}

/// Casts of floats saturate, so any number gives a duration.
#[expect(clippy::cast_possible_truncation, reason = "a nanosecond is the unit")]
fn from_nanos(nanos: f64) -> SignedDuration {
    SignedDuration::from_nanos(nanos as i64)
}
