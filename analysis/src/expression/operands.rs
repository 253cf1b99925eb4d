//! The operands of expressions: literals, names, calls, predicates, members, slices.

use super::ast::Node;
use super::lexer::Kind;
use super::parser::Parser;
use super::{ExpressionError, LIMITS, Result};

/// Calls that take a predicate, with how many arguments may come after it.
const PREDICATES: [(&str, usize); 15] = [
    ("all", 0),
    ("none", 0),
    ("any", 0),
    ("one", 0),
    ("filter", 0),
    ("map", 0),
    ("find", 0),
    ("findIndex", 0),
    ("findLast", 0),
    ("findLastIndex", 0),
    ("count", 0),
    ("sum", 0),
    ("groupBy", 0),
    ("sortBy", 1),
    ("reduce", 1),
];

/// Calls whose predicate may be left out.
const PREDICATE_OPTIONAL: [&str; 3] = ["count", "sum", "sortBy"];

impl Parser {
    pub(super) fn primary(&mut self) -> Result<Node> {
        if self.accept("not") || self.accept("!") {
            let operand = Box::new(self.expression(50)?);
            return self.node(Node::Not(operand));
        }
        if self.accept("-") {
            let operand = Box::new(self.expression(90)?);
            return self.node(Node::Negate(operand));
        }
        if self.accept("+") {
            let operand = Box::new(self.expression(90)?);
            return self.node(Node::Plus(operand));
        }
        if self.accept("(") {
            let inside = self.sequence()?;
            self.expect(")")?;
            return self.postfix(inside);
        }
        if self.predicates > 0 && (self.is("#") || self.is(".")) {
            let mut name = String::new();
            if self.accept("#")
                && let Kind::Name(known) = self.kind()
            {
                name.clone_from(known);
                self.at += 1;
            }
            if !matches!(name.as_str(), "" | "acc" | "index") {
                return Err(ExpressionError::at(
                    format!("unknown pointer #{name}"),
                    self.position(),
                ));
            }
            let pointer = self.node(Node::Pointer(name))?;
            return self.postfix(pointer);
        }
        self.accept("::");
        self.secondary()
    }

    fn secondary(&mut self) -> Result<Node> {
        let position = self.position();
        let node = match self.kind().clone() {
            Kind::Name(name) => {
                self.at += 1;
                match name.as_str() {
                    // Literals take no postfix.
                    "true" => return self.node(Node::Bool(true)),
                    "false" => return self.node(Node::Bool(false)),
                    "nil" => return self.node(Node::Nil),
                    _ if self.is("(") => self.call(name, Vec::new(), position)?,
                    _ => self.node(Node::Name(name, position))?,
                }
            }
            Kind::Integer(number) => {
                self.at += 1;
                return self.node(Node::Integer(number));
            }
            Kind::Float(number) => {
                self.at += 1;
                return self.node(Node::Float(number));
            }
            Kind::String(text) => {
                self.at += 1;
                self.node(Node::String(text))?
            }
            Kind::Symbol("[") => {
                self.at += 1;
                let items = self.list("]")?;
                self.node(Node::Array(items))?
            }
            Kind::Symbol("{") => {
                self.at += 1;
                self.map()?
            }
            _ => return self.unexpected(),
        };
        self.postfix(node)
    }

    /// Expressions up to a closing bracket; a comma may stand before it.
    fn list(&mut self, close: &str) -> Result<Vec<Node>> {
        let mut items = Vec::new();
        while !self.accept(close) {
            if !items.is_empty() {
                self.expect(",")?;
                if self.accept(close) {
                    break;
                }
            }
            items.push(self.expression(0)?);
        }
        Ok(items)
    }

    fn map(&mut self) -> Result<Node> {
        let mut pairs = Vec::new();
        while !self.accept("}") {
            if !pairs.is_empty() {
                self.expect(",")?;
                if self.accept("}") {
                    break;
                }
            }
            let key = match self.kind().clone() {
                Kind::Name(name) | Kind::String(name) => {
                    self.at += 1;
                    Node::String(name)
                }
                Kind::Integer(number) => {
                    self.at += 1;
                    Node::String(number.to_string())
                }
                Kind::Symbol("(") => self.expression(0)?,
                _ => {
                    return Err(ExpressionError::at(
                        "a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses",
                        self.position(),
                    ));
                }
            };
            self.expect(":")?;
            let value = self.expression(0)?;
            let key = self.node(key)?;
            pairs.push((key, value));
        }
        self.node(Node::Map(pairs))
    }

    /// A call; `piped` is what stands before a `|`.
    pub(super) fn call(&mut self, name: String, piped: Vec<Node>, position: usize) -> Result<Node> {
        self.expect("(")?;
        let arguments = match PREDICATES.iter().find(|(known, _)| *known == name) {
            Some((_, after)) => self.predicate_arguments(&name, piped, *after)?,
            None => {
                let mut arguments = piped;
                arguments.extend(self.list(")")?);
                arguments
            }
        };
        self.node(Node::Call {
            name,
            arguments,
            position,
        })
    }

    fn predicate_arguments(
        &mut self,
        name: &str,
        piped: Vec<Node>,
        after: usize,
    ) -> Result<Vec<Node>> {
        let mut arguments = piped;
        let from_pipe = !arguments.is_empty();
        if !from_pipe {
            if self.is(")") {
                return Err(ExpressionError::at(
                    format!("{name} needs an array and a predicate"),
                    self.position(),
                ));
            }
            arguments.push(self.expression(0)?);
        }
        if self.accept(")") {
            if PREDICATE_OPTIONAL.contains(&name) {
                return Ok(arguments);
            }
            return Err(ExpressionError::at(
                format!("{name} needs a predicate"),
                self.position(),
            ));
        }
        if !from_pipe {
            self.expect(",")?;
        }
        arguments.push(self.predicate()?);
        for _ in 0..after {
            if !self.accept(",") {
                break;
            }
            arguments.push(self.expression(0)?);
        }
        self.accept(",");
        self.expect(")")?;
        Ok(arguments)
    }

    fn predicate(&mut self) -> Result<Node> {
        self.predicates += 1;
        let inside = if self.accept("{") {
            let inside = self.sequence()?;
            self.expect("}")?;
            inside
        } else {
            let inside = self.expression(0)?;
            if self.is(";") {
                return Err(ExpressionError::at(
                    "wrap predicate with brackets { and }",
                    self.position(),
                ));
            }
            inside
        };
        self.predicates -= 1;
        self.node(Node::Predicate(Box::new(inside)))
    }

    pub(super) fn postfix(&mut self, node: Node) -> Result<Node> {
        let mut node = node;
        // One more, to see that there are no more.
        for _ in 0..=LIMITS.depth {
            let optional = self.is("?.");
            if optional || self.is(".") {
                self.at += 1;
                if optional && self.is("[") {
                    self.at += 1;
                    let key = self.expression(0)?;
                    self.expect("]")?;
                    node = self.member(node, key, true)?;
                    continue;
                }
                let name = match self.kind() {
                    Kind::Name(name) => name.clone(),
                    // Words that are operators elsewhere are names here.
                    Kind::Symbol(symbol)
                        if symbol.starts_with(|first: char| first.is_ascii_alphabetic()) =>
                    {
                        (*symbol).to_owned()
                    }
                    _ => return Err(ExpressionError::at("expected name", self.position())),
                };
                self.at += 1;
                if self.accept("(") {
                    let arguments = self.list(")")?;
                    let (base, chained) = unchain(node);
                    node = self.node(Node::Method {
                        base: Box::new(base),
                        name,
                        arguments,
                        optional,
                    })?;
                    if chained || optional {
                        node = Node::Chain(Box::new(node));
                    }
                } else {
                    node = self.member(node, Node::String(name), optional)?;
                }
            } else if self.accept("[") {
                node = self.index(node)?;
            } else {
                return Ok(node);
            }
        }
        Err(ExpressionError::at(
            format!("more than {} members in a row", LIMITS.depth),
            self.position(),
        ))
    }

    fn member(&mut self, base: Node, key: Node, optional: bool) -> Result<Node> {
        let (base, chained) = unchain(base);
        let node = self.node(Node::Member {
            base: Box::new(base),
            key: Box::new(key),
            optional,
        })?;
        Ok(if chained || optional {
            Node::Chain(Box::new(node))
        } else {
            node
        })
    }

    fn index(&mut self, base: Node) -> Result<Node> {
        let mut from = None;
        if !self.is(":") {
            let key = self.expression(0)?;
            if self.accept("]") {
                return self.member(base, key, false);
            }
            from = Some(Box::new(key));
        }
        self.expect(":")?;
        let to = if self.is("]") {
            None
        } else {
            Some(Box::new(self.expression(0)?))
        };
        self.expect("]")?;
        self.node(Node::Slice {
            base: Box::new(base),
            from,
            to,
        })
    }
}
/// A chain goes on with the next member.
fn unchain(node: Node) -> (Node, bool) {
    match node {
        Node::Chain(inside) => (*inside, true),
        other => (other, false),
    }
}
