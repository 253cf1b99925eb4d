//! Functions on numbers.

use std::cmp::Ordering;

use super::super::value::Value;
use super::super::{ExpressionError, Result, operators};
use super::{Function, Gives, argument, invalid, plain};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("abs", 1, 1, Gives::First, |_, values| {
        match argument(values, 0) {
            Value::Integer(number) => Ok(number.wrapping_abs().into()),
            Value::Float(number) => Ok(number.abs().into()),
            other => Err(invalid("abs", other)),
        }
    }),
    plain("ceil", 1, 1, Gives::Float, |_, values| {
        round("ceil", values, f64::ceil)
    }),
    plain("floor", 1, 1, Gives::Float, |_, values| {
        round("floor", values, f64::floor)
    }),
    plain("round", 1, 1, Gives::Float, |_, values| {
        round("round", values, f64::round)
    }),
    plain("max", 1, usize::MAX, Gives::Unknown, |_, values| {
        extreme("max", values, Ordering::Greater)
    }),
    plain("min", 1, usize::MAX, Gives::Unknown, |_, values| {
        extreme("min", values, Ordering::Less)
    }),
    plain("mean", 1, usize::MAX, Gives::Float, |_, values| {
        let numbers = numbers("mean", values)?;
        let total: f64 = numbers.iter().filter_map(Value::as_number).sum();
        Ok(if numbers.is_empty() {
            0.0
        } else {
            total / count(numbers.len())
        }
        .into())
    }),
    plain("median", 1, usize::MAX, Gives::Float, |_, values| {
        let mut numbers: Vec<f64> = numbers("median", values)?
            .iter()
            .filter_map(Value::as_number)
            .collect();
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        let at = |index: usize| numbers.get(index).copied().unwrap_or(0.0);
        Ok(if numbers.is_empty() {
            0.0
        } else if numbers.len() % 2 == 1 {
            at(middle)
        } else {
            f64::midpoint(at(middle - 1), at(middle))
        }
        .into())
    }),
];

fn round(function: &str, values: &[Value], round: fn(f64) -> f64) -> Result<Value> {
    let value = argument(values, 0);
    value
        .as_number()
        .map(|number| round(number).into())
        .ok_or_else(|| invalid(function, value))
}

/// The numbers of the arguments, those in lists included.
fn numbers(function: &str, values: &[Value]) -> Result<Vec<Value>> {
    fn collect(function: &str, values: &[Value], into: &mut Vec<Value>) -> Result<()> {
        for value in values {
            match value {
                Value::Integer(_) | Value::Float(_) => into.push(value.clone()),
                Value::Array(inside) => collect(function, inside, into)?,
                other => return Err(invalid(function, other)),
            }
        }
        Ok(())
    }
    let mut numbers = Vec::new();
    collect(function, values, &mut numbers)?;
    Ok(numbers)
}

fn extreme(function: &str, values: &[Value], wanted: Ordering) -> Result<Value> {
    let mut extreme: Option<Value> = None;
    for number in numbers(function, values)? {
        let better = extreme
            .as_ref()
            .is_none_or(|known| operators::order(&number, known).flatten() == Some(wanted));
        if better {
            extreme = Some(number);
        }
    }
    Ok(extreme.unwrap_or(Value::Nil))
}

#[expect(clippy::cast_precision_loss, reason = "no list has 2^53 elements")]
fn count(length: usize) -> f64 {
    length as f64
}

/// Reads a whole number.
pub(super) fn to_integer(value: &Value) -> Result<Value> {
    Ok(match value {
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => Value::Integer(truncate(*number)),
        Value::String(text) => text
            .parse::<i64>()
            .map(Value::Integer)
            .map_err(|_| ExpressionError::new(format!("invalid operation: int({text})")))?,
        other => {
            return Err(ExpressionError::new(format!(
                "invalid operation: int({})",
                other.type_name()
            )));
        }
    })
}

/// As Go does on the machines that controllers run on: what has no place among whole numbers is the smallest of them.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked, and the fraction is to go"
)]
pub(super) fn truncate(number: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}
