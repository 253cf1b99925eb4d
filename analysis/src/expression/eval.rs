//! Evaluation of a tree, step by step, within the limits.

use std::collections::BTreeMap;

use super::ast::{Binary, Node};
use super::value::Value;
use super::{Environment, ExpressionError, LIMITS, Result, functions, operators};

/// Evaluates a node.
pub(super) fn evaluate(node: &Node, environment: &Environment) -> Result<Value> {
    let mut evaluator = Evaluator {
        environment,
        variables: Vec::new(),
        scopes: Vec::new(),
        steps: LIMITS.steps,
        memory: LIMITS.memory,
    };
    match evaluator.visit(node) {
        Ok(value) => Ok(value),
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::NilChain) => Ok(Value::Nil),
    }
}

/// Why an evaluation goes no further.
#[derive(Debug)]
pub(super) enum Stop {
    Error(ExpressionError),
    /// An optional member of nil: the chain around it is nil.
    NilChain,
}

impl From<ExpressionError> for Stop {
    fn from(error: ExpressionError) -> Self {
        Self::Error(error)
    }
}

/// What `#`, `#index` and `#acc` are.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) element: Value,
    pub(super) index: usize,
    pub(super) accumulator: Value,
}

pub(super) struct Evaluator<'a> {
    pub(super) environment: &'a Environment,
    /// What `let` declared, the innermost last.
    variables: Vec<(String, Value)>,
    scopes: Vec<Scope>,
    steps: u64,
    memory: u64,
}

impl Evaluator<'_> {
    /// Pays for work.
    pub(super) fn spend(&mut self, steps: usize) -> Result<()> {
        self.steps = u64::try_from(steps)
            .ok()
            .and_then(|steps| self.steps.checked_sub(steps))
            .ok_or_else(|| ExpressionError::new("the expression takes too many steps"))?;
        Ok(())
    }

    /// Pays for elements or bytes that are made.
    pub(super) fn grow(&mut self, size: usize) -> Result<()> {
        self.memory = u64::try_from(size)
            .ok()
            .and_then(|size| self.memory.checked_sub(size))
            .ok_or_else(|| ExpressionError::new("memory budget exceeded"))?;
        Ok(())
    }

    /// A list that an expression makes: paid for, and neither too heavy nor nested too deep.
    pub(super) fn array(&mut self, values: Vec<Value>) -> Result<Value> {
        self.grow(values.len())?;
        bounded(Value::array(values))
    }

    /// A map that an expression makes.
    pub(super) fn fields(&mut self, fields: BTreeMap<String, Value>) -> Result<Value> {
        self.grow(fields.len())?;
        bounded(Value::map(fields))
    }

    /// A text that an expression makes.
    pub(super) fn text(&mut self, text: String) -> Result<Value> {
        self.grow(text.len())?;
        Ok(text.into())
    }

    pub(super) fn visit(&mut self, node: &Node) -> std::result::Result<Value, Stop> {
        self.spend(1)?;
        Ok(match node {
            Node::Nil => Value::Nil,
            Node::Bool(value) => (*value).into(),
            Node::Integer(number) => (*number).into(),
            Node::Float(number) => (*number).into(),
            Node::String(text) => text.as_str().into(),
            Node::Array(items) => {
                let mut values = Vec::with_capacity(items.len());
                for item in items {
                    values.push(self.visit(item)?);
                }
                self.array(values)?
            }
            Node::Map(pairs) => self.map(pairs)?,
            Node::Name(name, _) => self.name(name)?,
            Node::Pointer(name) => self.pointer(name)?,
            Node::Not(operand) => match self.visit(operand)? {
                Value::Bool(value) => (!value).into(),
                other => return Err(unary("!", &other).into()),
            },
            Node::Negate(operand) => match self.visit(operand)? {
                Value::Integer(number) => number.wrapping_neg().into(),
                Value::Float(number) => (-number).into(),
                other => return Err(unary("-", &other).into()),
            },
            Node::Plus(operand) => match self.visit(operand)? {
                number @ (Value::Integer(_) | Value::Float(_)) => number,
                other => return Err(unary("+", &other).into()),
            },
            Node::Binary(operator, left, right) => self.binary(*operator, left, right)?,
            Node::Comparisons(first, links) => {
                let mut left = self.visit(first)?;
                for (operator, right) in links {
                    let right = self.visit(right)?;
                    if operators::apply(*operator, &left, &right)? == Value::Bool(false) {
                        return Ok(false.into());
                    }
                    left = right;
                }
                true.into()
            }
            Node::Conditional(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                if self.truth(condition)? {
                    self.visit(then)?
                } else {
                    self.visit(otherwise)?
                }
            }
            Node::Elvis(parts) => {
                let [condition, otherwise] = parts.as_ref();
                if self.truth(condition)? {
                    true.into()
                } else {
                    self.visit(otherwise)?
                }
            }
            Node::Member {
                base,
                key,
                optional,
            } => {
                let base = self.visit(base)?;
                if *optional && base == Value::Nil {
                    return Err(Stop::NilChain);
                }
                let key = self.visit(key)?;
                fetch(&base, &key)?
            }
            Node::Method {
                base,
                name,
                arguments,
                optional,
            } => {
                let base = self.visit(base)?;
                if *optional && base == Value::Nil {
                    return Err(Stop::NilChain);
                }
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    values.push(self.visit(argument)?);
                }
                functions::method(self, &base, name, &values)?
            }
            Node::Chain(inside) => match self.visit(inside) {
                Err(Stop::NilChain) => Value::Nil,
                other => other?,
            },
            Node::Slice { base, from, to } => {
                let base = self.visit(base)?;
                let from = self.bound(from.as_deref())?;
                let to = self.bound(to.as_deref())?;
                self.slice(&base, from, to)?
            }
            Node::Call {
                name, arguments, ..
            } => functions::call(self, name, arguments)?,
            Node::Predicate(inside) => self.visit(inside)?,
            Node::Let {
                name, value, body, ..
            } => {
                let value = self.visit(value)?;
                self.variables.push((name.clone(), value));
                let body = self.visit(body);
                self.variables.pop();
                body?
            }
            Node::Sequence(nodes) => {
                let mut last = Value::Nil;
                for node in nodes {
                    last = self.visit(node)?;
                }
                last
            }
        })
    }

    /// Evaluates a predicate for one element.
    pub(super) fn visit_with(
        &mut self,
        node: &Node,
        scope: Scope,
    ) -> std::result::Result<Value, Stop> {
        self.scopes.push(scope);
        let value = self.visit(node);
        self.scopes.pop();
        value
    }

    fn truth(&mut self, condition: &Node) -> std::result::Result<bool, Stop> {
        match self.visit(condition)? {
            Value::Bool(value) => Ok(value),
            other => Err(ExpressionError::new(format!(
                "non-bool expression (type {}) used as condition",
                other.type_name()
            ))
            .into()),
        }
    }

    fn name(&self, name: &str) -> Result<Value> {
        if let Some((_, value)) = self.variables.iter().rfind(|(known, _)| known == name) {
            return Ok(value.clone());
        }
        if name == "$env" {
            return Ok(Value::map(self.environment.variables.clone()));
        }
        self.environment
            .variables
            .get(name)
            .cloned()
            .ok_or_else(|| ExpressionError::new(format!("unknown name {name}")))
    }

    fn pointer(&self, name: &str) -> Result<Value> {
        let Some(scope) = self.scopes.last() else {
            return Err(ExpressionError::new("# has a meaning only in a predicate"));
        };
        Ok(match name {
            "index" => scope.index.into(),
            "acc" => scope.accumulator.clone(),
            _ => scope.element.clone(),
        })
    }

    fn map(&mut self, pairs: &[(Node, Node)]) -> std::result::Result<Value, Stop> {
        let mut fields = BTreeMap::new();
        for (key, value) in pairs {
            let Value::String(key) = self.visit(key)? else {
                return Err(ExpressionError::new("a key of a map must be a string").into());
            };
            let value = self.visit(value)?;
            fields.insert(key.to_string(), value);
        }
        Ok(self.fields(fields)?)
    }

    fn binary(
        &mut self,
        operator: Binary,
        left: &Node,
        right: &Node,
    ) -> std::result::Result<Value, Stop> {
        let left = self.visit(left)?;
        match (operator, &left) {
            (Binary::And, Value::Bool(false)) | (Binary::Or, Value::Bool(true)) => Ok(left),
            (Binary::And | Binary::Or, Value::Bool(_)) => match self.visit(right)? {
                value @ Value::Bool(_) => Ok(value),
                other => Err(operators::mismatch(operator, &left, &other).into()),
            },
            (Binary::Coalesce, Value::Nil) => self.visit(right),
            (Binary::Coalesce, _) => Ok(left),
            _ => {
                let right = self.visit(right)?;
                if operator == Binary::Range {
                    return Ok(self.range(&left, &right)?);
                }
                self.pay(operator, &left, &right)?;
                Ok(operators::apply(operator, &left, &right)?)
            }
        }
    }

    /// Pays for operators whose work grows with their operands.
    fn pay(&mut self, operator: Binary, left: &Value, right: &Value) -> Result<()> {
        match (operator, left, right) {
            (Binary::Add, Value::String(left), Value::String(right)) => {
                self.grow(left.len() + right.len())
            }
            (Binary::Matches, Value::String(text), Value::String(pattern)) => {
                self.spend(text.len() + pattern.len() * 100)
            }
            (_, Value::String(left), Value::String(right)) => self.spend(left.len() + right.len()),
            (Binary::In, needle, Value::Array(values)) => {
                self.spend(values.len().saturating_mul(needle.weight()))
            }
            (Binary::Equal | Binary::NotEqual, _, _) => {
                self.spend(left.weight().min(right.weight()))
            }
            _ => Ok(()),
        }
    }

    fn range(&mut self, from: &Value, to: &Value) -> Result<Value> {
        let (Some(from), Some(to)) = (functions::whole(from), functions::whole(to)) else {
            return Err(operators::mismatch(Binary::Range, from, to));
        };
        let size = i128::from(to) - i128::from(from) + 1;
        // More than can be counted is more than is allowed.
        self.grow(usize::try_from(size.max(0)).unwrap_or(usize::MAX))?;
        Ok(Value::array((from..=to).map(Value::Integer).collect()))
    }

    fn bound(&mut self, node: Option<&Node>) -> std::result::Result<Option<i64>, Stop> {
        match node.map(|node| self.visit(node)).transpose()? {
            None => Ok(None),
            Some(number) if functions::whole(&number).is_some() => Ok(functions::whole(&number)),
            Some(other) => Err(ExpressionError::new(format!(
                "non-integer slice index {}",
                other.type_name()
            ))
            .into()),
        }
    }

    /// Bounds count from the end when negative, and are moved into the range.
    fn slice(&mut self, base: &Value, from: Option<i64>, to: Option<i64>) -> Result<Value> {
        let place = |bound: Option<i64>, absent: usize, length: usize| {
            let Some(bound) = bound else { return absent };
            let length_signed = i64::try_from(length).unwrap_or(i64::MAX);
            let bound = if bound < 0 {
                length_signed.saturating_add(bound)
            } else {
                bound
            };
            usize::try_from(bound.clamp(0, length_signed)).unwrap_or(0)
        };
        let between = |length: usize| {
            let to = place(to, length, length);
            place(from, 0, length).min(to)..to
        };
        match base {
            Value::Array(values) => {
                let part = values.get(between(values.len())).unwrap_or_default();
                self.array(part.to_vec())
            }
            Value::String(text) => {
                let bytes = text.as_bytes();
                let part = bytes.get(between(bytes.len())).unwrap_or_default();
                self.text(String::from_utf8_lossy(part).into_owned())
            }
            other => Err(ExpressionError::new(format!(
                "cannot slice {}",
                other.type_name()
            ))),
        }
    }
}

/// Nothing that an expression makes is nested deeper than what it could have been given, or costs more to walk through
/// than a whole evaluation may.
fn bounded(value: Value) -> Result<Value> {
    let heavy = u64::try_from(value.weight()).map_or(true, |weight| weight > LIMITS.steps);
    if heavy || value.depth() > LIMITS.depth {
        return Err(ExpressionError::new("memory budget exceeded"));
    }
    Ok(value)
}

fn unary(symbol: &str, operand: &Value) -> ExpressionError {
    ExpressionError::new(format!(
        "invalid operation: {symbol} {}",
        operand.type_name()
    ))
}

/// An element of a list or of a map. A list has no element out of its range; a map has nil under a key that it does
/// not hold.
fn fetch(base: &Value, key: &Value) -> Result<Value> {
    match (base, key) {
        (Value::Array(values), Value::Integer(_) | Value::Float(_)) => {
            let index = &functions::whole(key).unwrap_or(0);
            let length = values.len();
            let from_end = i64::try_from(length).unwrap_or(i64::MAX);
            let place = if *index < 0 {
                index.saturating_add(from_end)
            } else {
                *index
            };
            usize::try_from(place)
                .ok()
                .and_then(|place| values.get(place))
                .cloned()
                .ok_or_else(|| {
                    ExpressionError::new(format!(
                        "index out of range: {place} (array length is {length})"
                    ))
                })
        }
        (Value::Map(fields), Value::String(key)) => {
            Ok(fields.get(key.as_ref()).cloned().unwrap_or(Value::Nil))
        }
        _ => Err(ExpressionError::new(format!(
            "cannot fetch {key} from {}",
            base.type_name()
        ))),
    }
}
