//! Conditions: what a measured value means.
//!
//! Without conditions a value is successful. With one of the two, the other is its opposite. With both, failure wins,
//! and a value that is neither is inconclusive. A condition that cannot be evaluated is an error of the measurement, not
//! a verdict.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sluice_crds::analysis::Metric;

use crate::expression::{self, Binary, Environment, ExpressionError, Node, Program, Value};
use crate::phase::Phase;
use crate::reason::Comparison;

/// What is wrong with a condition, or with the value that it was applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// The text is not a condition.
    #[error("condition {text:?} cannot be read: {error}")]
    Parse {
        /// The condition, shortened.
        text: String,
        /// What is wrong.
        error: ExpressionError,
    },
    /// The value does not fit.
    #[error("{error}")]
    Evaluate {
        /// What is wrong.
        error: ExpressionError,
    },
    /// There is no value to apply it to.
    #[error(
        "metric result is nil or empty: {error}; the provider returned no data, which a condition can allow for, as in \
         len(result) == 0 || result[0] < 1 or default(result, 0) < 1"
    )]
    NoData {
        /// What is wrong.
        error: ExpressionError,
    },
    /// It gives something else than true or false.
    #[error("expected bool, but got {found}")]
    NotBool {
        /// The type that it gives.
        found: &'static str,
    },
}

/// A condition that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    program: Program,
}

impl Condition {
    /// Reads a condition: an expression over `result`.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        Program::parse(text, &["result"])
            .map(|program| Self { program })
            .map_err(|error| ConditionError::Parse {
                text: text.chars().take(200).collect(),
                error,
            })
    }

    /// Applies the condition to a value.
    ///
    /// # Errors
    /// When the value does not fit, or the expression gives something else than true or false.
    pub fn evaluate(&self, result: &Value, now: Timestamp) -> Result<bool, ConditionError> {
        if let (Value::Nil, Some(operation)) = (result, needs_a_value(self.program.root())) {
            let message = format!("{operation} is not defined on nil");
            return Err(ConditionError::NoData {
                error: ExpressionError {
                    message,
                    position: None,
                },
            });
        }
        match self.program.evaluate(&environment(result, now)) {
            Ok(Value::Bool(value)) => Ok(value),
            Ok(other) => Err(ConditionError::NotBool {
                found: other.type_name(),
            }),
            Err(error) if no_data(result) => Err(ConditionError::NoData { error }),
            Err(error) => Err(ConditionError::Evaluate { error }),
        }
    }

    /// The comparison of two numbers that decides the condition for this value: the first that is false in a
    /// conjunction, the first that is true in a disjunction, otherwise the first.
    #[must_use]
    pub fn comparison(&self, result: &Value, now: Timestamp) -> Option<Comparison> {
        comparison(self.program.root(), &environment(result, now))
    }
}

fn environment(result: &Value, now: Timestamp) -> Environment {
    Environment {
        variables: BTreeMap::from([("result".to_owned(), result.clone())]),
        now,
    }
}

/// What a condition asks of the result that nothing cannot answer, even where it is not reached: whether something is in
/// it, and `get`. The reference refuses both when it reads the condition, since it knows the result by then.
fn needs_a_value(node: &Node) -> Option<&'static str> {
    let is_result = |node: &Node| matches!(node, Node::Name(name, _) if name == "result");
    let here = match node {
        Node::Binary(Binary::In, _, right) if is_result(right) => Some("in"),
        Node::Call {
            name, arguments, ..
        } if name == "get" && arguments.first().is_some_and(is_result) => Some("get"),
        _ => None,
    };
    here.or_else(|| node.children().into_iter().find_map(needs_a_value))
}

fn no_data(result: &Value) -> bool {
    match result {
        Value::Nil => true,
        Value::Array(values) => values.is_empty(),
        Value::Map(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Judges a value by the conditions of a metric.
///
/// # Errors
/// When a condition cannot be read or evaluated.
pub fn judge(metric: &Metric, result: &Value, now: Timestamp) -> Result<Phase, ConditionError> {
    let holds = |condition: &Option<String>| {
        condition
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(|text| Condition::parse(text)?.evaluate(result, now))
            .transpose()
    };
    let success = holds(&metric.success_condition)?;
    let failure = holds(&metric.failure_condition)?;
    Ok(match (success, failure) {
        (_, Some(true)) | (Some(false), None) => Phase::Failed,
        (None | Some(true), None) | (None | Some(true), Some(false)) => Phase::Successful,
        (Some(false), Some(false)) => Phase::Inconclusive,
    })
}

/// Reads a bound of a range query: an expression that gives an instant, such as `now() - duration("5m")`.
///
/// # Errors
/// When the expression cannot be read or evaluated, or gives something else than an instant.
pub fn instant(text: &str, now: Timestamp) -> Result<Timestamp, ExpressionError> {
    let environment = Environment {
        variables: BTreeMap::new(),
        now,
    };
    match Program::parse(text, &[])?.evaluate(&environment)? {
        Value::Time(time) => Ok(time),
        other => Err(ExpressionError {
            message: format!("expected time.Time, but got {}", other.type_name()),
            position: None,
        }),
    }
}

/// Whether both sides of a comparison are shares of one, to be shown as percentages: neither is above 1, and the name
/// of the metric says so. `error-rate` and `availability` do; `errors` does only with a limit between 0 and 1.
#[must_use]
pub fn is_share(metric: &str, comparison: &Comparison) -> bool {
    let name = metric.to_ascii_lowercase();
    let named = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let share = |number: f64| (0.0..=1.0).contains(&number);
    let fraction = comparison.limit > 0.0 && comparison.limit < 1.0;
    share(comparison.value)
        && share(comparison.limit)
        && (named(&["ratio", "share", "availability"])
            || named(&["success", "error", "fail"]) && (named(&["rate"]) || fraction))
}

fn comparison(node: &Node, environment: &Environment) -> Option<Comparison> {
    match node {
        Node::Binary(operator @ (Binary::And | Binary::Or), left, right) => {
            let wanted = *operator == Binary::Or;
            let left = comparison(left, environment);
            let right = comparison(right, environment);
            match (left, right) {
                (Some(left), Some(right)) if left.holds != wanted && right.holds == wanted => {
                    Some(right)
                }
                (left, right) => left.or(right),
            }
        }
        Node::Not(inside) => comparison(inside, environment),
        Node::Binary(operator, left, right) => {
            let operator = match operator {
                Binary::Less
                | Binary::LessOrEqual
                | Binary::Greater
                | Binary::GreaterOrEqual
                | Binary::Equal
                | Binary::NotEqual => *operator,
                _ => return None,
            };
            let number = |node| {
                expression::evaluate_part(node, environment)
                    .ok()?
                    .as_number()
            };
            let (value, limit) = (number(left)?, number(right)?);
            // The measured side comes first in a sentence.
            let turned = !mentions_result(left) && mentions_result(right);
            let (value, limit, symbol) = if turned {
                (limit, value, turn(operator))
            } else {
                (value, limit, operator.symbol())
            };
            let holds = expression::evaluate_part(node, environment).ok()? == Value::Bool(true);
            Some(Comparison {
                value,
                operator: symbol,
                limit,
                holds,
                share: false,
            })
        }
        _ => None,
    }
}

/// The operator of the comparison with its sides exchanged.
fn turn(operator: Binary) -> &'static str {
    match operator {
        Binary::Less => ">",
        Binary::LessOrEqual => ">=",
        Binary::Greater => "<",
        Binary::GreaterOrEqual => "<=",
        other => other.symbol(),
    }
}

fn mentions_result(node: &Node) -> bool {
    matches!(node, Node::Name(name, _) if name == "result")
        || node.children().into_iter().any(mentions_result)
}
