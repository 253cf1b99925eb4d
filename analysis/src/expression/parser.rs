//! From tokens to a tree, by precedence climbing.

use super::ast::{Binary, Node, Program};
use super::lexer::{Kind, Token, tokens};
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

/// Parses a text.
pub(super) fn parse(text: &str) -> Result<Program> {
    if text.len() > LIMITS.length {
        return Err(ExpressionError::new(format!(
            "the expression has {} bytes: at most {} are allowed",
            text.len(),
            LIMITS.length
        )));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        nodes: 0,
        depth: 0,
        predicates: 0,
    };
    let root = parser.sequence()?;
    if parser.kind() != &Kind::End {
        return parser.unexpected();
    }
    Ok(Program { root })
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    nodes: usize,
    depth: usize,
    /// How many predicates are open; `#` has a meaning only inside of one.
    predicates: usize,
}

impl Parser {
    fn kind(&self) -> &Kind {
        self.tokens
            .get(self.at)
            .map_or(&Kind::End, |token| &token.kind)
    }

    fn position(&self) -> usize {
        self.tokens
            .get(self.at)
            .or_else(|| self.tokens.last())
            .map_or(1, |token| token.position)
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.kind(), Kind::Symbol(known) if *known == symbol)
    }

    fn next_is(&self, symbol: &str) -> bool {
        matches!(
            self.tokens.get(self.at + 1).map(|token| &token.kind),
            Some(Kind::Symbol(known)) if *known == symbol
        )
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.accept(symbol) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    fn unexpected<T>(&self) -> Result<T> {
        let token = match self.kind() {
            Kind::End => {
                return Err(ExpressionError::at(
                    "unexpected end of expression",
                    self.position(),
                ));
            }
            Kind::Name(name) => format!("{name:?}"),
            Kind::Integer(number) => number.to_string(),
            Kind::Float(number) => number.to_string(),
            Kind::String(text) => format!("{text:?}"),
            Kind::Symbol(symbol) => format!("{symbol:?}"),
        };
        Err(ExpressionError::at(
            format!("unexpected token {token}"),
            self.position(),
        ))
    }

    /// Counts a node; every node of the tree passes here, so the tree is bounded before it is built.
    fn node(&mut self, node: Node) -> Result<Node> {
        self.nodes += 1;
        if self.nodes > LIMITS.nodes {
            return Err(ExpressionError::new(
                "compilation failed: expression exceeds maximum allowed nodes",
            ));
        }
        Ok(node)
    }

    fn sequence(&mut self) -> Result<Node> {
        let first = self.expression(0)?;
        if !self.is(";") {
            return Ok(first);
        }
        let mut nodes = vec![first];
        while self.accept(";") {
            if self.kind() == &Kind::End {
                break;
            }
            nodes.push(self.expression(0)?);
        }
        self.node(Node::Sequence(nodes))
    }

    fn expression(&mut self, precedence: u16) -> Result<Node> {
        self.depth += 1;
        if self.depth > LIMITS.depth {
            return Err(ExpressionError::at(
                format!(
                    "the expression is nested deeper than {} levels",
                    LIMITS.depth
                ),
                self.position(),
            ));
        }
        let node = self.expression_inside(precedence);
        self.depth -= 1;
        node
    }

    fn expression_inside(&mut self, precedence: u16) -> Result<Node> {
        if precedence == 0 && self.is("let") {
            return self.declaration();
        }
        if precedence == 0 && self.is("if") {
            return self.conditional_if();
        }
        let mut left = self.primary()?;
        let mut after_coalesce = false;
        // Operators of one level make a tree as deep as they are many.
        let mut operators = 0;
        while let Kind::Symbol(symbol) = self.kind() {
            let symbol = *symbol;
            operators += 1;
            if operators > LIMITS.depth {
                return Err(ExpressionError::at(
                    format!("more than {} operators in a row", LIMITS.depth),
                    self.position(),
                ));
            }
            if symbol == "|" {
                if precedence > 0 {
                    break;
                }
                self.at += 1;
                let Kind::Name(name) = self.kind().clone() else {
                    return self.unexpected();
                };
                let position = self.position();
                self.at += 1;
                left = self.call(name, vec![left], position)?;
                left = self.postfix(left)?;
                after_coalesce = false;
                continue;
            }
            let negated = symbol == "not";
            let operator = if negated {
                let following = match self.tokens.get(self.at + 1).map(|token| &token.kind) {
                    Some(Kind::Symbol(symbol)) => Binary::parse(symbol),
                    _ => None,
                };
                match following.filter(|operator| operator.negatable()) {
                    Some(operator) => operator,
                    None => return self.unexpected(),
                }
            } else {
                match Binary::parse(symbol) {
                    Some(operator) => operator,
                    None => break,
                }
            };
            if operator.precedence() < precedence {
                break;
            }
            if after_coalesce && operator != Binary::Coalesce {
                return Err(ExpressionError::at(
                    format!(
                        "Operator ({}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses.",
                        operator.symbol()
                    ),
                    self.position(),
                ));
            }
            self.at += 1 + usize::from(negated);
            left = if operator.chains() {
                self.comparison(left, operator)?
            } else {
                let right = self.expression(operator.precedence() + 1)?;
                self.node(Node::Binary(operator, Box::new(left), Box::new(right)))?
            };
            if negated {
                left = self.node(Node::Not(Box::new(left)))?;
            }
            after_coalesce = operator == Binary::Coalesce;
        }
        if precedence == 0 {
            left = self.conditional(left)?;
        }
        Ok(left)
    }

    /// `a < b <= c` is `a < b && b <= c`.
    fn comparison(&mut self, left: Node, operator: Binary) -> Result<Node> {
        let mut links = vec![(operator, self.expression(operator.precedence() + 1)?)];
        while let Kind::Symbol(symbol) = self.kind() {
            let Some(operator) = Binary::parse(symbol).filter(|operator| operator.chains()) else {
                break;
            };
            self.at += 1;
            links.push((operator, self.expression(operator.precedence() + 1)?));
        }
        if links.len() == 1
            && let Some((operator, right)) = links.pop()
        {
            return self.node(Node::Binary(operator, Box::new(left), Box::new(right)));
        }
        self.node(Node::Comparisons(Box::new(left), links))
    }

    fn declaration(&mut self) -> Result<Node> {
        self.at += 1;
        let position = self.position();
        let Kind::Name(name) = self.kind().clone() else {
            return self.unexpected();
        };
        self.at += 1;
        self.expect("=")?;
        let value = self.expression(0)?;
        self.expect(";")?;
        // A row of declarations nests as deep as it is long.
        self.depth += 1;
        let body = self.sequence()?;
        self.depth -= 1;
        self.node(Node::Let {
            name,
            value: Box::new(value),
            body: Box::new(body),
            position,
        })
    }

    fn conditional_if(&mut self) -> Result<Node> {
        self.at += 1;
        let condition = self.expression(0)?;
        self.expect("{")?;
        let then = self.sequence()?;
        self.expect("}")?;
        self.expect("else")?;
        let otherwise = if self.is("if") {
            self.expression(0)?
        } else {
            self.expect("{")?;
            let otherwise = self.sequence()?;
            self.expect("}")?;
            otherwise
        };
        self.node(Node::Conditional(Box::new([condition, then, otherwise])))
    }

    fn conditional(&mut self, condition: Node) -> Result<Node> {
        if !self.accept("?") {
            return Ok(condition);
        }
        if self.accept(":") {
            let otherwise = self.expression(0)?;
            return self.node(Node::Elvis(Box::new([condition, otherwise])));
        }
        let then = self.expression(0)?;
        self.expect(":")?;
        let otherwise = self.expression(0)?;
        self.node(Node::Conditional(Box::new([condition, then, otherwise])))
    }

    fn primary(&mut self) -> Result<Node> {
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
    fn call(&mut self, name: String, piped: Vec<Node>, position: usize) -> Result<Node> {
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
            if !self.is(",") || self.next_is(")") {
                break;
            }
            self.at += 1;
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

    fn postfix(&mut self, node: Node) -> Result<Node> {
        let mut node = node;
        let mut steps = 0;
        loop {
            steps += 1;
            if steps > LIMITS.depth {
                return Err(ExpressionError::at(
                    format!("more than {} members in a row", LIMITS.depth),
                    self.position(),
                ));
            }
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
