//! The expression language of conditions: the language of `expr-lang/expr`, as Argo's templates use it.
//!
//! In: a text, variables, the time. Out: a [`Value`] or an [`ExpressionError`]. Pure, and bounded in everything that a
//! text can ask for: length, nesting, steps and memory (see [`Limits`]), because whoever may write a template must not
//! be able to stop the controller.
//!
//! `text` → [`lexer`] → [`parser`] → [`ast`] → [`check`] (names, arities, types that are known beforehand) → [`eval`].
//!
//! What is left out of the Go library is refused with an error, never evaluated to something else: locations other than
//! UTC, layouts of dates, literals of bytes, keys of maps that are not strings, and hexadecimal digits and underscores in
//! texts that are to be numbers.

mod ast;
mod check;
mod eval;
mod functions;
mod lexer;
mod operands;
mod operators;
mod parser;
mod value;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

pub(crate) use ast::{Binary, Node, Program as Tree};
pub use value::{NumberText, Value};

/// What an expression may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text.
    pub length: usize,
    /// Parts of the expression.
    pub nodes: usize,
    /// Nesting of brackets, and operators of one level in a row.
    pub depth: usize,
    /// Nesting of parts, which both of these make.
    pub tree: usize,
    /// Steps of one evaluation.
    pub steps: u64,
    /// Elements and bytes that one evaluation may make.
    pub memory: u64,
}

/// The limits of every expression.
pub const LIMITS: Limits = Limits {
    length: 16 * 1024,
    nodes: 4_000,
    depth: 120,
    tree: 200,
    steps: 5_000_000,
    memory: 1_000_000,
};

/// What is wrong with an expression, or with what it was applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// What is wrong, in the words of the Go library where it has any.
    pub message: String,
    /// Where, in characters from 1; `None` when it came up during evaluation.
    pub position: Option<usize>,
}

impl ExpressionError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            position: None,
        }
    }

    fn at(message: impl Into<String>, position: usize) -> Self {
        Self {
            message: message.into(),
            position: Some(position),
        }
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.position {
            Some(position) => write!(f, " (at character {position})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExpressionError {}

type Result<T> = std::result::Result<T, ExpressionError>;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    tree: Tree,
}

/// What an expression sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Variables by name.
    pub variables: BTreeMap<String, Value>,
    /// What `now()` gives.
    pub now: Timestamp,
}

impl Program {
    /// Parses an expression and checks every name in it; `variables` are the names that it may use.
    ///
    /// # Errors
    /// When the text is not an expression, names something unknown, or is beyond [`LIMITS`].
    pub fn parse(text: &str, variables: &[&str]) -> Result<Self> {
        let tree = parser::parse(text)?;
        let types = variables
            .iter()
            .map(|name| ((*name).to_owned(), check::Type::Unknown))
            .collect();
        check::check(&tree, types)?;
        Ok(Self { tree })
    }

    /// Evaluates the expression.
    ///
    /// # Errors
    /// When an operator or a function cannot be applied, an index is out of range, or a limit is passed.
    pub fn evaluate(&self, environment: &Environment) -> Result<Value> {
        let types = environment
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), check::Type::of(value)))
            .collect();
        check::check(&self.tree, types)?;
        eval::evaluate(&self.tree.root, environment)
    }

    /// The root of the expression.
    pub(crate) fn root(&self) -> &Node {
        &self.tree.root
    }
}

/// Evaluates one part of an expression; parts inside of predicates have no meaning by themselves.
pub(crate) fn evaluate_part(node: &Node, environment: &Environment) -> Result<Value> {
    eval::evaluate(node, environment)
}
