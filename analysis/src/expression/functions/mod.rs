//! The functions of the language, one file for each family, and the functions that Argo adds.

mod arrays;
mod bits;
mod convert;
mod maps;
mod numbers;
mod predicates;
mod texts;
mod times;

use super::ast::Node;
use super::eval::{Evaluator, Stop};
use super::value::Value;
use super::{ExpressionError, Result};

/// What is known of a function before it is called.
#[derive(Clone, Copy)]
pub(super) struct Function {
    name: &'static str,
    /// Fewest arguments, a predicate counted.
    pub(super) least: usize,
    /// Most arguments.
    pub(super) most: usize,
    pub(super) gives: Gives,
    /// Whether its predicate must say true or false.
    pub(super) boolean_predicate: bool,
    body: Body,
}

/// The type of a result, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    Bool,
    Integer,
    Float,
    String,
    Array,
    Map,
    Time,
    Duration,
    /// The type of the first argument.
    First,
    Unknown,
}

#[derive(Clone, Copy)]
enum Body {
    /// Gets values.
    Plain(fn(&mut Evaluator<'_>, &[Value]) -> Result<Value>),
    /// Gets a list, the predicate if there is one, and further arguments.
    Predicate(predicates::Predicate),
}

impl Function {
    /// The number of arguments, in words.
    pub(super) fn arity(&self) -> String {
        match (self.least, self.most) {
            (least, most) if least == most => least.to_string(),
            (least, usize::MAX) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        }
    }
}

const fn plain(
    name: &'static str,
    least: usize,
    most: usize,
    gives: Gives,
    body: fn(&mut Evaluator<'_>, &[Value]) -> Result<Value>,
) -> Function {
    Function {
        name,
        least,
        most,
        gives,
        boolean_predicate: false,
        body: Body::Plain(body),
    }
}

const fn predicate(
    name: &'static str,
    least: usize,
    most: usize,
    gives: Gives,
    boolean_predicate: bool,
    body: predicates::Predicate,
) -> Function {
    Function {
        name,
        least,
        most,
        gives,
        boolean_predicate,
        body: Body::Predicate(body),
    }
}

/// Looks a function up.
pub(super) fn find(name: &str) -> Option<Function> {
    [
        ARGO,
        predicates::FUNCTIONS,
        arrays::FUNCTIONS,
        bits::FUNCTIONS,
        convert::FUNCTIONS,
        maps::FUNCTIONS,
        numbers::FUNCTIONS,
        texts::FUNCTIONS,
        times::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
    .find(|function| function.name == name)
    .copied()
}

/// Calls a function.
pub(super) fn call(
    evaluator: &mut Evaluator<'_>,
    name: &str,
    arguments: &[Node],
) -> std::result::Result<Value, Stop> {
    let Some(function) = find(name) else {
        return Err(ExpressionError::new(format!("unknown name {name}")).into());
    };
    match function.body {
        Body::Plain(body) => {
            let mut values = Vec::with_capacity(arguments.len());
            for argument in arguments {
                values.push(evaluator.visit(argument)?);
            }
            // Most functions walk through what they get.
            for value in &values {
                evaluator.spend(value.weight())?;
            }
            Ok(body(evaluator, &values)?)
        }
        Body::Predicate(body) => {
            let mut first = Value::Nil;
            let mut predicate = None;
            let mut further = Vec::new();
            for (index, argument) in arguments.iter().enumerate() {
                match argument {
                    Node::Predicate(inside) => predicate = Some(inside.as_ref()),
                    other if index == 0 => first = evaluator.visit(other)?,
                    other => further.push(evaluator.visit(other)?),
                }
            }
            let Value::Array(elements) = first else {
                return Err(ExpressionError::new(format!(
                    "builtin {name} takes only array (got {})",
                    first.type_name()
                ))
                .into());
            };
            body(evaluator, &elements, predicate, &further)
        }
    }
}

/// Calls a method.
pub(super) fn method(
    evaluator: &mut Evaluator<'_>,
    base: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value> {
    times::method(evaluator, base, name, arguments)
}

/// An argument has a type that the function does not take.
fn invalid(function: &str, argument: &Value) -> ExpressionError {
    ExpressionError::new(format!(
        "invalid argument for {function} (type {})",
        argument.type_name()
    ))
}

/// An argument of a function that has enough of them.
fn argument(values: &[Value], index: usize) -> &Value {
    values.get(index).unwrap_or(&Value::Nil)
}

/// A number as a place in a list, or as the end of a range: the numbers of JSON are whole only by chance, so the fraction
/// is dropped, as in Go.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Float(number) => Some(numbers::truncate(*number)),
        _ => None,
    }
}

fn text<'a>(function: &str, values: &'a [Value], index: usize) -> Result<&'a str> {
    match argument(values, index) {
        Value::String(text) => Ok(text),
        other => Err(invalid(function, other)),
    }
}

fn integer(function: &str, values: &[Value], index: usize) -> Result<i64> {
    match argument(values, index) {
        Value::Integer(number) => Ok(*number),
        other => Err(invalid(function, other)),
    }
}

fn list<'a>(function: &str, values: &'a [Value], index: usize) -> Result<&'a [Value]> {
    match argument(values, index) {
        Value::Array(values) => Ok(values),
        other => Err(invalid(function, other)),
    }
}

/// What Argo adds to the language. `isNil` and `default` look at their argument; upstream's look at the result of the
/// metric whatever they are given, which is the same for `isNil(result)` and `default(result, x)`.
const ARGO: &[Function] = &[
    plain("asInt", 1, 1, Gives::Integer, |_, values| {
        let text = match argument(values, 0) {
            Value::Integer(number) => return Ok((*number).into()),
            Value::Float(number) => return Ok(Value::Integer(numbers::truncate(*number))),
            _ => text("asInt", values, 0)?,
        };
        text.parse::<i64>().map(Value::Integer).map_err(|_| {
            ExpressionError::new(format!(
                "strconv.ParseInt: parsing {text:?}: invalid syntax"
            ))
        })
    }),
    plain("asFloat", 1, 1, Gives::Float, |_, values| {
        if let Some(number) = argument(values, 0).as_number() {
            return Ok(Value::Float(number));
        }
        let text = text("asFloat", values, 0)?;
        super::value::go_number(text)
            .map(Value::Float)
            .ok_or_else(|| {
                ExpressionError::new(format!(
                    "strconv.ParseFloat: parsing {text:?}: invalid syntax"
                ))
            })
    }),
    plain("isNaN", 1, 1, Gives::Bool, |_, values| {
        float_test("isNaN", values, f64::is_nan)
    }),
    plain("isInf", 1, 1, Gives::Bool, |_, values| {
        float_test("isInf", values, f64::is_infinite)
    }),
    plain("isNil", 1, 1, Gives::Bool, |_, values| {
        Ok((argument(values, 0) == &Value::Nil).into())
    }),
    plain("default", 2, 2, Gives::Unknown, |_, values| {
        Ok(match argument(values, 0) {
            Value::Nil => argument(values, 1).clone(),
            value => value.clone(),
        })
    }),
];

fn float_test(function: &str, values: &[Value], test: fn(f64) -> bool) -> Result<Value> {
    let value = argument(values, 0);
    value
        .as_number()
        .map(|number| test(number).into())
        .ok_or_else(|| {
            ExpressionError::new(format!(
                "cannot use {} as argument (type float64) to call {function}",
                value.type_name()
            ))
        })
}
