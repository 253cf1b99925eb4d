//! Functions that look at each element of a list.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::super::ast::{Binary, Node};
use super::super::eval::{Evaluator, Scope, Stop};
use super::super::value::Value;
use super::super::{ExpressionError, operators};
use super::{Function, Gives, predicate};

/// A function over the elements, the predicate, and what comes after it.
pub(super) type Predicate =
    fn(&mut Evaluator<'_>, &[Value], Option<&Node>, &[Value]) -> Outcome<Value>;

type Outcome<T> = std::result::Result<T, Stop>;

pub(super) const FUNCTIONS: &[Function] = &[
    predicate(
        "all",
        2,
        2,
        Gives::Bool,
        true,
        |evaluator, elements, node, _| Ok((!some(evaluator, elements, node, false)?).into()),
    ),
    predicate(
        "none",
        2,
        2,
        Gives::Bool,
        true,
        |evaluator, elements, node, _| Ok((!some(evaluator, elements, node, true)?).into()),
    ),
    predicate(
        "any",
        2,
        2,
        Gives::Bool,
        true,
        |evaluator, elements, node, _| Ok(some(evaluator, elements, node, true)?.into()),
    ),
    predicate(
        "one",
        2,
        2,
        Gives::Bool,
        true,
        |evaluator, elements, node, _| Ok((tally(evaluator, elements, node)? == 1).into()),
    ),
    predicate(
        "count",
        1,
        2,
        Gives::Integer,
        true,
        |evaluator, elements, node, _| Ok(tally(evaluator, elements, node)?.into()),
    ),
    predicate(
        "filter",
        2,
        2,
        Gives::Array,
        true,
        |evaluator, elements, node, _| {
            let mut kept = Vec::new();
            for (index, element) in elements.iter().enumerate() {
                if holds(evaluator, node, element, index)? {
                    kept.push(element.clone());
                }
            }
            Ok(evaluator.array(kept)?)
        },
    ),
    predicate(
        "map",
        2,
        2,
        Gives::Array,
        false,
        |evaluator, elements, node, _| {
            let values = each(evaluator, elements, node)?;
            Ok(evaluator.array(values)?)
        },
    ),
    predicate(
        "find",
        2,
        2,
        Gives::Unknown,
        true,
        |evaluator, elements, node, _| {
            Ok(place(evaluator, elements, node, false)?
                .and_then(|index| elements.get(index).cloned())
                .unwrap_or(Value::Nil))
        },
    ),
    predicate(
        "findIndex",
        2,
        2,
        Gives::Integer,
        true,
        |evaluator, elements, node, _| Ok(index_or_none(place(evaluator, elements, node, false)?)),
    ),
    predicate(
        "findLast",
        2,
        2,
        Gives::Unknown,
        true,
        |evaluator, elements, node, _| {
            Ok(place(evaluator, elements, node, true)?
                .and_then(|index| elements.get(index).cloned())
                .unwrap_or(Value::Nil))
        },
    ),
    predicate(
        "findLastIndex",
        2,
        2,
        Gives::Integer,
        true,
        |evaluator, elements, node, _| Ok(index_or_none(place(evaluator, elements, node, true)?)),
    ),
    predicate(
        "sum",
        1,
        2,
        Gives::Unknown,
        false,
        |evaluator, elements, node, _| {
            let mut total = Value::Integer(0);
            for value in each(evaluator, elements, node)? {
                total = operators::apply(Binary::Add, &total, &value)?;
            }
            Ok(total)
        },
    ),
    predicate("reduce", 2, 3, Gives::Unknown, false, reduce),
    predicate("groupBy", 2, 2, Gives::Map, false, group_by),
    predicate("sortBy", 1, 3, Gives::Array, false, sort_by),
];

/// Evaluates the predicate for an element; without a predicate, the element itself.
fn apply(
    evaluator: &mut Evaluator<'_>,
    node: Option<&Node>,
    element: &Value,
    index: usize,
    accumulator: Value,
) -> Outcome<Value> {
    evaluator.spend(1)?;
    match node {
        None => Ok(element.clone()),
        Some(node) => evaluator.visit_with(
            node,
            Scope {
                element: element.clone(),
                index,
                accumulator,
            },
        ),
    }
}

fn holds(
    evaluator: &mut Evaluator<'_>,
    node: Option<&Node>,
    element: &Value,
    index: usize,
) -> Outcome<bool> {
    match apply(evaluator, node, element, index, Value::Nil)? {
        Value::Bool(value) => Ok(value),
        other => Err(ExpressionError::new(format!(
            "predicate should return boolean (got {})",
            other.type_name()
        ))
        .into()),
    }
}

/// Whether the predicate has that truth for some element; the rest is not looked at.
fn some(
    evaluator: &mut Evaluator<'_>,
    elements: &[Value],
    node: Option<&Node>,
    wanted: bool,
) -> Outcome<bool> {
    for (index, element) in elements.iter().enumerate() {
        if holds(evaluator, node, element, index)? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

fn tally(evaluator: &mut Evaluator<'_>, elements: &[Value], node: Option<&Node>) -> Outcome<usize> {
    let mut count = 0;
    for (index, element) in elements.iter().enumerate() {
        count += usize::from(holds(evaluator, node, element, index)?);
    }
    Ok(count)
}

/// The place of the first, or the last, element for which the predicate holds.
fn place(
    evaluator: &mut Evaluator<'_>,
    elements: &[Value],
    node: Option<&Node>,
    last: bool,
) -> Outcome<Option<usize>> {
    for step in 0..elements.len() {
        let index = if last {
            elements.len() - 1 - step
        } else {
            step
        };
        let Some(element) = elements.get(index) else {
            continue;
        };
        if holds(evaluator, node, element, index)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn index_or_none(index: Option<usize>) -> Value {
    index.map_or(Value::Integer(-1), Value::from)
}

fn each(
    evaluator: &mut Evaluator<'_>,
    elements: &[Value],
    node: Option<&Node>,
) -> Outcome<Vec<Value>> {
    elements
        .iter()
        .enumerate()
        .map(|(index, element)| apply(evaluator, node, element, index, Value::Nil))
        .collect()
}

fn reduce(
    evaluator: &mut Evaluator<'_>,
    elements: &[Value],
    node: Option<&Node>,
    further: &[Value],
) -> Outcome<Value> {
    let (mut accumulator, skip) = match (further.first(), elements.first()) {
        (Some(initial), _) => (initial.clone(), 0),
        (None, Some(first)) => (first.clone(), 1),
        (None, None) => {
            return Err(ExpressionError::new("reduce of empty array with no initial value").into());
        }
    };
    for (index, element) in elements.iter().enumerate().skip(skip) {
        accumulator = apply(evaluator, node, element, index, accumulator)?;
    }
    Ok(accumulator)
}

fn group_by(
    evaluator: &mut Evaluator<'_>,
    elements: &[Value],
    node: Option<&Node>,
    _: &[Value],
) -> Outcome<Value> {
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let keys = each(evaluator, elements, node)?;
    for (key, element) in keys.into_iter().zip(elements) {
        let Value::String(key) = key else {
            return Err(ExpressionError::new(format!(
                "groupBy needs keys that are strings (got {}): use string(...)",
                key.type_name()
            ))
            .into());
        };
        groups
            .entry(key.to_string())
            .or_default()
            .push(element.clone());
    }
    let mut fields = BTreeMap::new();
    for (key, group) in groups {
        fields.insert(key, evaluator.array(group)?);
    }
    Ok(evaluator.fields(fields)?)
}

fn sort_by(
    evaluator: &mut Evaluator<'_>,
    elements: &[Value],
    node: Option<&Node>,
    further: &[Value],
) -> Outcome<Value> {
    let keys = each(evaluator, elements, node)?;
    let descending = descending(further.first())?;
    let sorted = sort(evaluator, keys, elements.to_vec(), descending)?;
    Ok(evaluator.array(sorted)?)
}

/// Reads an order: `asc` (default) or `desc`.
pub(super) fn descending(order: Option<&Value>) -> Outcome<bool> {
    match order {
        None => Ok(false),
        Some(Value::String(order)) if order.as_ref() == "asc" => Ok(false),
        Some(Value::String(order)) if order.as_ref() == "desc" => Ok(true),
        Some(_) => Err(ExpressionError::new("unknown order, use asc or desc").into()),
    }
}

/// Sorts elements by their keys, which must be comparable; equal ones stay in order.
pub(super) fn sort(
    evaluator: &mut Evaluator<'_>,
    keys: Vec<Value>,
    elements: Vec<Value>,
    descending: bool,
) -> Outcome<Vec<Value>> {
    // Ten compares of each element cover a million of them within a factor of two.
    evaluator.spend(
        keys.iter()
            .map(Value::weight)
            .fold(0, usize::saturating_add),
    )?;
    evaluator.spend(keys.len().saturating_mul(10))?;
    if let Some((left, right)) = keys
        .iter()
        .zip(keys.iter().skip(1))
        .find(|(left, right)| operators::order(left, right).is_none())
    {
        return Err(operators::mismatch(Binary::Less, left, right).into());
    }
    let mut pairs: Vec<(Value, Value)> = keys.into_iter().zip(elements).collect();
    pairs.sort_by(|(left, _), (right, _)| {
        // NaN is ordered by its bits, so that the order is total whatever is sorted.
        let order = match (left.as_number(), right.as_number()) {
            (Some(left), Some(right)) if left.is_nan() || right.is_nan() => left.total_cmp(&right),
            _ => operators::order(left, right)
                .flatten()
                .unwrap_or(Ordering::Equal),
        };
        if descending { order.reverse() } else { order }
    });
    Ok(pairs.into_iter().map(|(_, element)| element).collect())
}
