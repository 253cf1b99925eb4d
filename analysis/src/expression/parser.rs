//! From tokens to a tree, by precedence climbing.

use super::ast::{Binary, Node, Program};
use super::lexer::{Kind, Token, tokens};
use super::{ExpressionError, LIMITS, Result};

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
    if root.deeper_than(LIMITS.tree) {
        return Err(ExpressionError::new(format!(
            "the expression is nested deeper than {} levels",
            LIMITS.tree
        )));
    }
    Ok(Program { root })
}

pub(super) struct Parser {
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    nodes: usize,
    depth: usize,
    /// How many predicates are open; `#` has a meaning only inside of one.
    pub(super) predicates: usize,
}

impl Parser {
    pub(super) fn kind(&self) -> &Kind {
        self.tokens
            .get(self.at)
            .map_or(&Kind::End, |token| &token.kind)
    }

    pub(super) fn position(&self) -> usize {
        self.tokens
            .get(self.at)
            .or_else(|| self.tokens.last())
            .map_or(1, |token| token.position)
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self.kind(), Kind::Symbol(known) if *known == symbol)
    }

    pub(super) fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.accept(symbol) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    pub(super) fn unexpected<T>(&self) -> Result<T> {
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
    pub(super) fn node(&mut self, node: Node) -> Result<Node> {
        self.nodes += 1;
        if self.nodes > LIMITS.nodes {
            return Err(ExpressionError::new(
                "compilation failed: expression exceeds maximum allowed nodes",
            ));
        }
        Ok(node)
    }

    pub(super) fn sequence(&mut self) -> Result<Node> {
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

    pub(super) fn expression(&mut self, precedence: u16) -> Result<Node> {
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
            if symbol == "|" {
                if precedence > 0 {
                    break;
                }
                self.one_more(&mut operators)?;
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
            self.one_more(&mut operators)?;
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

    /// Counts an operator of a row.
    fn one_more(&self, operators: &mut usize) -> Result<()> {
        *operators += 1;
        if *operators > LIMITS.depth {
            return Err(ExpressionError::at(
                format!("more than {} operators in a row", LIMITS.depth),
                self.position(),
            ));
        }
        Ok(())
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
}
