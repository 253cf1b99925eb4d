//! What is wrong with an expression before it runs: unknown names, wrong numbers of arguments, and operands whose types
//! are known and do not fit, even where a run might never come by.
//!
//! Types are known of literals and of what follows from them, and of variables whose value is there.

use std::collections::BTreeMap;

use super::ast::{Binary, Node, Program};
use super::functions;
use super::value::Value;
use super::{ExpressionError, Result};

/// What is known about a value before the run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Unknown,
    Nil,
    Bool,
    Integer,
    Float,
    String,
    Array(Box<Type>),
    Map,
    Time,
    Duration,
}

impl Type {
    /// The type of a value. A list of floats is known to hold floats.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(_) => Self::Bool,
            Value::Integer(_) => Self::Integer,
            Value::Float(_) => Self::Float,
            Value::String(_) => Self::String,
            Value::Array(_) if value.type_name() == "[]float64" => Self::array(Self::Float),
            Value::Array(_) => Self::array(Self::Unknown),
            Value::Map(_) => Self::Map,
            Value::Time(_) => Self::Time,
            Value::Duration(_) => Self::Duration,
        }
    }

    fn array(element: Self) -> Self {
        Self::Array(Box::new(element))
    }

    fn name(&self) -> String {
        match self {
            Self::Unknown => "unknown".to_owned(),
            Self::Nil => "nil".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Integer => "int".to_owned(),
            Self::Float => "float64".to_owned(),
            Self::String => "string".to_owned(),
            Self::Array(element) if **element == Self::Unknown => "[]interface {}".to_owned(),
            Self::Array(element) => format!("[]{}", element.name()),
            Self::Map => "map[string]interface {}".to_owned(),
            Self::Time => "time.Time".to_owned(),
            Self::Duration => "time.Duration".to_owned(),
        }
    }

    fn number(&self) -> bool {
        matches!(self, Self::Integer | Self::Float)
    }

    /// Whether it is one of these, or may be.
    fn may_be(&self, types: &[Self]) -> bool {
        *self == Self::Unknown || types.contains(self)
    }

    fn comparable(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unknown | Self::Nil, _) | (_, Self::Unknown | Self::Nil) => true,
            (Self::Array(_), Self::Array(_)) => true,
            _ => self.number() && other.number() || self == other,
        }
    }
}

/// Checks an expression; `variables` are the types of what it may name.
pub(super) fn check(program: &Program, variables: BTreeMap<String, Type>) -> Result<()> {
    let mut checker = Checker {
        variables,
        elements: Vec::new(),
    };
    checker.visit(&program.root).map(|_| ())
}

struct Checker {
    variables: BTreeMap<String, Type>,
    /// Types of `#` in the open predicates.
    elements: Vec<Type>,
}

impl Checker {
    fn visit(&mut self, node: &Node) -> Result<Type> {
        Ok(match node {
            Node::Nil => Type::Nil,
            Node::Bool(_) => Type::Bool,
            Node::Integer(_) => Type::Integer,
            Node::Float(_) => Type::Float,
            Node::String(_) => Type::String,
            Node::Array(items) => {
                let mut types = Vec::new();
                for item in items {
                    types.push(self.visit(item)?);
                }
                match types.first() {
                    Some(first) if types.iter().all(|other| other == first) => {
                        Type::array(first.clone())
                    }
                    _ => Type::array(Type::Unknown),
                }
            }
            Node::Map(pairs) => {
                for (key, value) in pairs {
                    self.visit(key)?;
                    self.visit(value)?;
                }
                Type::Map
            }
            Node::Name(name, position) => match self.variables.get(name) {
                Some(known) => known.clone(),
                None if name == "$env" => Type::Map,
                None => {
                    return Err(ExpressionError::at(
                        format!("unknown name {name}"),
                        *position,
                    ));
                }
            },
            Node::Pointer(name) => match name.as_str() {
                "index" => Type::Integer,
                "acc" => Type::Unknown,
                _ => self.elements.last().cloned().unwrap_or(Type::Unknown),
            },
            Node::Not(operand) => {
                let known = self.visit(operand)?;
                if !known.may_be(&[Type::Bool]) {
                    return Err(mismatch("!", &known));
                }
                Type::Bool
            }
            Node::Negate(operand) => self.sign("-", operand)?,
            Node::Plus(operand) => self.sign("+", operand)?,
            Node::Binary(operator, left, right) => {
                if let (Binary::Matches, Node::String(pattern)) = (operator, right.as_ref()) {
                    regex::Regex::new(pattern)
                        .map_err(|error| ExpressionError::new(error.to_string()))?;
                }
                let left = self.visit(left)?;
                let right = self.visit(right)?;
                binary(*operator, &left, &right)?
            }
            Node::Comparisons(first, links) => {
                let mut left = self.visit(first)?;
                for (operator, right) in links {
                    let right = self.visit(right)?;
                    binary(*operator, &left, &right)?;
                    left = right;
                }
                Type::Bool
            }
            Node::Conditional(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                let condition = self.visit(condition)?;
                if !condition.may_be(&[Type::Bool]) {
                    return Err(ExpressionError::new(format!(
                        "non-bool expression (type {}) used as condition",
                        condition.name()
                    )));
                }
                let then = self.visit(then)?;
                let otherwise = self.visit(otherwise)?;
                if then == otherwise {
                    then
                } else {
                    Type::Unknown
                }
            }
            Node::Elvis(parts) => {
                let [condition, otherwise] = parts.as_ref();
                let condition = self.visit(condition)?;
                if !condition.may_be(&[Type::Bool]) {
                    return Err(ExpressionError::new(format!(
                        "non-bool expression (type {}) used as condition",
                        condition.name()
                    )));
                }
                self.visit(otherwise)?;
                Type::Unknown
            }
            Node::Member { base, key, .. } => self.member(base, key)?,
            Node::Method {
                base, arguments, ..
            } => {
                self.visit(base)?;
                for argument in arguments {
                    self.visit(argument)?;
                }
                Type::Unknown
            }
            Node::Chain(inside) => {
                self.visit(inside)?;
                Type::Unknown
            }
            Node::Slice { base, from, to } => {
                let base = self.visit(base)?;
                if !matches!(base, Type::Unknown | Type::String | Type::Array(_)) {
                    return Err(ExpressionError::new(format!(
                        "cannot slice {}",
                        base.name()
                    )));
                }
                for bound in [from, to].into_iter().flatten() {
                    let bound = self.visit(bound)?;
                    if !bound.may_be(&[Type::Integer]) {
                        return Err(ExpressionError::new(format!(
                            "non-integer slice index {}",
                            bound.name()
                        )));
                    }
                }
                base
            }
            Node::Call {
                name,
                arguments,
                position,
            } => self.call(name, arguments, *position)?,
            Node::Predicate(inside) => self.visit(inside)?,
            Node::Let {
                name,
                value,
                body,
                position,
            } => {
                let value = self.visit(value)?;
                if self.variables.contains_key(name) {
                    return Err(ExpressionError::at(
                        format!("cannot redeclare variable {name}"),
                        *position,
                    ));
                }
                self.variables.insert(name.clone(), value);
                let body = self.visit(body);
                self.variables.remove(name);
                body?
            }
            Node::Sequence(nodes) => {
                let mut last = Type::Nil;
                for node in nodes {
                    last = self.visit(node)?;
                }
                last
            }
        })
    }

    fn sign(&mut self, symbol: &str, operand: &Node) -> Result<Type> {
        let known = self.visit(operand)?;
        if known.number() || known == Type::Unknown {
            Ok(known)
        } else {
            Err(mismatch(symbol, &known))
        }
    }

    fn member(&mut self, base: &Node, key: &Node) -> Result<Type> {
        let base = self.visit(base)?;
        let key_type = self.visit(key)?;
        let field = |what: &str| match key {
            Node::String(name) => format!("type {what} has no field {name}"),
            _ => format!("type {what}[{}] is undefined", key_type.name()),
        };
        match &base {
            Type::Unknown => Ok(Type::Unknown),
            Type::Map if key_type.may_be(&[Type::String]) => Ok(Type::Unknown),
            Type::Map => Err(ExpressionError::new(format!(
                "cannot use {} to get an element from {}",
                key_type.name(),
                base.name()
            ))),
            Type::Array(element) if key_type.may_be(&[Type::Integer]) => Ok((**element).clone()),
            Type::Array(_) => Err(ExpressionError::new(format!(
                "array elements can only be selected using an integer (got {})",
                key_type.name()
            ))),
            other => Err(ExpressionError::new(field(&other.name()))),
        }
    }

    fn call(&mut self, name: &str, arguments: &[Node], position: usize) -> Result<Type> {
        let Some(function) = functions::find(name) else {
            return Err(ExpressionError::at(
                format!("unknown name {name}"),
                position,
            ));
        };
        if arguments.len() < function.least || arguments.len() > function.most {
            return Err(ExpressionError::at(
                format!(
                    "invalid number of arguments for {name} (expected {}, got {})",
                    function.arity(),
                    arguments.len()
                ),
                position,
            ));
        }
        let mut first = Type::Unknown;
        for (index, argument) in arguments.iter().enumerate() {
            if let Node::Predicate(inside) = argument {
                let element = match &first {
                    Type::Array(element) => (**element).clone(),
                    Type::Unknown => Type::Unknown,
                    other => {
                        return Err(ExpressionError::at(
                            format!("builtin {name} takes only array (got {})", other.name()),
                            position,
                        ));
                    }
                };
                self.elements.push(element);
                let predicate = self.visit(inside);
                self.elements.pop();
                let predicate = predicate?;
                if function.boolean_predicate && !predicate.may_be(&[Type::Bool]) {
                    return Err(ExpressionError::at(
                        format!("predicate should return boolean (got {})", predicate.name()),
                        position,
                    ));
                }
            } else {
                let known = self.visit(argument)?;
                if index == 0 {
                    first = known;
                }
            }
        }
        Ok(match function.gives {
            functions::Gives::Bool => Type::Bool,
            functions::Gives::Integer => Type::Integer,
            functions::Gives::Float => Type::Float,
            functions::Gives::String => Type::String,
            functions::Gives::Array => Type::array(Type::Unknown),
            functions::Gives::Map => Type::Map,
            functions::Gives::Time => Type::Time,
            functions::Gives::Duration => Type::Duration,
            functions::Gives::First => first,
            functions::Gives::Unknown => Type::Unknown,
        })
    }
}

fn mismatch(symbol: &str, known: &Type) -> ExpressionError {
    ExpressionError::new(format!(
        "invalid operation: {symbol} (mismatched type {})",
        known.name()
    ))
}

/// The type of an operation, or that its operands do not fit.
fn binary(operator: Binary, left: &Type, right: &Type) -> Result<Type> {
    use Type::{Bool, Duration, Float, Integer, Map, String, Time, Unknown};
    const NUMBERS: [Type; 2] = [Integer, Float];
    let fits = |types: &[Type]| left.may_be(types) && right.may_be(types);
    let known = *left != Unknown && *right != Unknown;
    let ordered = || fits(&NUMBERS) || fits(&[String]) || fits(&[Time]) || fits(&[Duration]);
    let given = match operator {
        Binary::Or | Binary::And => fits(&[Bool]).then_some(Bool),
        Binary::Equal | Binary::NotEqual => left.comparable(right).then_some(Bool),
        Binary::Less | Binary::Greater | Binary::LessOrEqual | Binary::GreaterOrEqual => {
            ordered().then_some(Bool)
        }
        Binary::In => match right {
            Unknown | Map | Type::Nil => Some(Bool),
            Type::Array(element) => left.comparable(element).then_some(Bool),
            _ => None,
        },
        Binary::Matches | Binary::Contains | Binary::StartsWith | Binary::EndsWith => {
            fits(&[String]).then_some(Bool)
        }
        Binary::Range => fits(&[Integer]).then(|| Type::array(Integer)),
        Binary::Add => match (left, right) {
            (Time, Duration) | (Duration, Time) => Some(Time),
            _ if ordered() && !fits(&[Time]) || !known && fits(&[Time, Duration]) => {
                Some(combined(left, right))
            }
            _ => None,
        },
        Binary::Subtract => match (left, right) {
            (Time, Time) => Some(Duration),
            (Time, Duration) => Some(Time),
            _ if fits(&NUMBERS) || fits(&[Duration]) || !known && fits(&[Time, Duration]) => {
                Some(combined(left, right))
            }
            _ => None,
        },
        Binary::Multiply => fits(&[Integer, Float, Duration]).then(|| combined(left, right)),
        Binary::Divide | Binary::Power => fits(&NUMBERS).then_some(Float),
        Binary::Modulo => fits(&[Integer]).then_some(Integer),
        Binary::Coalesce => Some(match (left, right) {
            (Type::Nil, other) | (other, Type::Nil) => other.clone(),
            _ if left == right => left.clone(),
            _ => Unknown,
        }),
    };
    given.ok_or_else(|| {
        ExpressionError::new(format!(
            "invalid operation: {} (mismatched types {} and {})",
            operator.symbol(),
            left.name(),
            right.name()
        ))
    })
}

/// The type of an arithmetic operation on two that fit.
fn combined(left: &Type, right: &Type) -> Type {
    match (left, right) {
        (Type::Unknown, _) | (_, Type::Unknown) => Type::Unknown,
        (Type::Float, other) | (other, Type::Float) if other.number() => Type::Float,
        (Type::Duration, _) | (_, Type::Duration) => Type::Duration,
        _ => left.clone(),
    }
}
