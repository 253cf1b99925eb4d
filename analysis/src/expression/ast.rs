//! What an expression is made of.

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Program {
    pub(crate) root: Node,
}

/// One part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    /// `[a, b]`
    Array(Vec<Node>),
    /// `{key: value}`
    Map(Vec<(Node, Node)>),
    /// A variable, and where it stands.
    Name(String, usize),
    /// `#`, `#acc`, `#index` in a predicate; empty for `#`.
    Pointer(String),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// Unary `+`.
    Plus(Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// `a < b <= c`: each operand is evaluated once.
    Comparisons(Box<Node>, Vec<(Binary, Node)>),
    /// `condition ? then : otherwise`
    Conditional(Box<[Node; 3]>),
    /// `condition ?: otherwise`
    Elvis(Box<[Node; 2]>),
    /// `base.key`, `base[key]`
    Member {
        base: Box<Node>,
        key: Box<Node>,
        /// `?.`: a base that is nil makes the whole chain nil.
        optional: bool,
    },
    /// `base.name(arguments)`
    Method {
        base: Box<Node>,
        name: String,
        arguments: Vec<Node>,
        optional: bool,
    },
    /// Where the nil of an optional member ends.
    Chain(Box<Node>),
    /// `base[from:to]`
    Slice {
        base: Box<Node>,
        from: Option<Box<Node>>,
        to: Option<Box<Node>>,
    },
    /// `name(arguments)`, and where it stands.
    Call {
        name: String,
        arguments: Vec<Node>,
        position: usize,
    },
    /// The predicate of a call.
    Predicate(Box<Node>),
    /// `let name = value; body`
    Let {
        name: String,
        value: Box<Node>,
        body: Box<Node>,
        position: usize,
    },
    /// `a; b`: the last one counts.
    Sequence(Vec<Node>),
}

impl Node {
    /// The parts of a part.
    pub(crate) fn children(&self) -> Vec<&Node> {
        match self {
            Self::Nil
            | Self::Bool(_)
            | Self::Integer(_)
            | Self::Float(_)
            | Self::String(_)
            | Self::Name(..)
            | Self::Pointer(_) => Vec::new(),
            Self::Array(nodes) | Self::Sequence(nodes) => nodes.iter().collect(),
            Self::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).collect(),
            Self::Not(inside)
            | Self::Negate(inside)
            | Self::Plus(inside)
            | Self::Chain(inside)
            | Self::Predicate(inside) => vec![inside],
            Self::Binary(_, left, right) => vec![left, right],
            Self::Comparisons(first, links) => std::iter::once(first.as_ref())
                .chain(links.iter().map(|(_, right)| right))
                .collect(),
            Self::Conditional(parts) => parts.iter().collect(),
            Self::Elvis(parts) => parts.iter().collect(),
            Self::Member { base, key, .. } => vec![base, key],
            Self::Method {
                base, arguments, ..
            } => std::iter::once(base.as_ref()).chain(arguments).collect(),
            Self::Slice { base, from, to } => std::iter::once(base)
                .chain(from)
                .chain(to)
                .map(AsRef::as_ref)
                .collect(),
            Self::Call { arguments, .. } => arguments.iter().collect(),
            Self::Let { value, body, .. } => vec![value, body],
        }
    }

    /// Whether parts are nested deeper than that. Not recursive, since this is what makes recursion safe.
    pub(super) fn deeper_than(&self, limit: usize) -> bool {
        let mut open = vec![(self, 1)];
        while let Some((node, depth)) = open.pop() {
            if depth > limit {
                return true;
            }
            open.extend(node.children().into_iter().map(|child| (child, depth + 1)));
        }
        false
    }
}

/// An operator between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Coalesce,
}

impl Binary {
    /// The operator that a token stands for.
    pub(crate) fn parse(token: &str) -> Option<Self> {
        Some(match token {
            "or" | "||" => Self::Or,
            "and" | "&&" => Self::And,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            ">" => Self::Greater,
            "<=" => Self::LessOrEqual,
            ">=" => Self::GreaterOrEqual,
            "in" => Self::In,
            "matches" => Self::Matches,
            "contains" => Self::Contains,
            "startsWith" => Self::StartsWith,
            "endsWith" => Self::EndsWith,
            ".." => Self::Range,
            "+" => Self::Add,
            "-" => Self::Subtract,
            "*" => Self::Multiply,
            "/" => Self::Divide,
            "%" => Self::Modulo,
            "**" | "^" => Self::Power,
            "??" => Self::Coalesce,
            _ => return None,
        })
    }

    /// As written in messages.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Matches => "matches",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Range => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::Coalesce => "??",
        }
    }

    /// Binds tighter the higher it is.
    pub(crate) fn precedence(self) -> u16 {
        match self {
            Self::Or => 10,
            Self::And => 15,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::Greater
            | Self::LessOrEqual
            | Self::GreaterOrEqual
            | Self::In
            | Self::Matches
            | Self::Contains
            | Self::StartsWith
            | Self::EndsWith => 20,
            Self::Range => 25,
            Self::Add | Self::Subtract => 30,
            Self::Multiply | Self::Divide | Self::Modulo => 60,
            Self::Power => 100,
            Self::Coalesce => 500,
        }
    }

    /// Whether it may be chained, as in `1 < x < 3`.
    pub(crate) fn chains(self) -> bool {
        matches!(
            self,
            Self::Less | Self::Greater | Self::LessOrEqual | Self::GreaterOrEqual
        )
    }

    /// Whether `not` may stand before it.
    pub(crate) fn negatable(self) -> bool {
        matches!(
            self,
            Self::In | Self::Matches | Self::Contains | Self::StartsWith | Self::EndsWith
        )
    }
}
