//! From text to tokens.

use super::{ExpressionError, Result};

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Integer(i64),
    Float(f64),
    String(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    End,
}

/// A token and where it begins, in characters from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) position: usize,
}

/// Longer ones before their beginnings.
const SYMBOLS: [&str; 34] = [
    "::", "||", "&&", "==", "!=", "<=", ">=", "**", "??", "?.", "..", "|", "<", ">", "!", "+", "-",
    "*", "/", "%", "^", "?", ":", ".", ",", ";", "=", "(", ")", "[", "]", "{", "}", "#",
];

/// Words that are operators.
const WORDS: [&str; 11] = [
    "not",
    "in",
    "or",
    "and",
    "matches",
    "contains",
    "startsWith",
    "endsWith",
    "let",
    "if",
    "else",
];

/// Cuts a text into tokens; the last is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let characters: Vec<char> = text.chars().collect();
    let mut lexer = Lexer { characters, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    tokens.push(Token {
        kind: Kind::End,
        position: lexer.at + 1,
    });
    Ok(tokens)
}

struct Lexer {
    characters: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(ExpressionError::at(message, self.at + 1))
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(ahead, character)| self.peek(ahead) == Some(character))
    }

    fn next(&mut self) -> Result<Option<Token>> {
        self.skip_space()?;
        let position = self.at + 1;
        let Some(first) = self.peek(0) else {
            return Ok(None);
        };
        let kind = if first.is_ascii_digit()
            || first == '.' && self.peek(1).is_some_and(|next| next.is_ascii_digit())
        {
            self.number()?
        } else if first == '\'' || first == '"' {
            self.at += 1;
            Kind::String(self.string(first)?)
        } else if first == '`' {
            self.at += 1;
            Kind::String(self.raw_string()?)
        } else if is_word(first) {
            let word = self.word();
            match WORDS.iter().find(|known| **known == word) {
                Some(known) => Kind::Symbol(known),
                None => Kind::Name(word),
            }
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| self.starts_with(symbol)) {
            self.at += symbol.len();
            Kind::Symbol(symbol)
        } else {
            return self.error(format!("unrecognized character: {first:?}"));
        };
        Ok(Some(Token { kind, position }))
    }

    fn skip_space(&mut self) -> Result<()> {
        loop {
            if self.peek(0).is_some_and(char::is_whitespace) {
                self.at += 1;
            } else if self.starts_with("//") {
                while self.peek(0).is_some_and(|character| character != '\n') {
                    self.at += 1;
                }
            } else if self.starts_with("/*") {
                self.at += 2;
                while !self.starts_with("*/") {
                    if self.peek(0).is_none() {
                        return self.error("unclosed comment");
                    }
                    self.at += 1;
                }
                self.at += 2;
            } else {
                return Ok(());
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(character) = self.peek(0).filter(|character| is_word(*character)) {
            word.push(character);
            self.at += 1;
        }
        word
    }

    fn digits(&mut self, radix: u32, text: &mut String) {
        while let Some(character) = self
            .peek(0)
            .filter(|character| character.is_digit(radix) || *character == '_')
        {
            if character != '_' {
                text.push(character);
            }
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<Kind> {
        let mut text = String::new();
        let radix = match (self.peek(0), self.peek(1)) {
            (Some('0'), Some('x' | 'X')) => 16,
            (Some('0'), Some('o' | 'O')) => 8,
            (Some('0'), Some('b' | 'B')) => 2,
            _ => 10,
        };
        let number = if radix == 10 {
            let mut float = false;
            self.digits(10, &mut text);
            // Two dots are a range.
            if self.peek(0) == Some('.') && self.peek(1) != Some('.') {
                float = true;
                text.push('.');
                self.at += 1;
                self.digits(10, &mut text);
            }
            if let Some('e' | 'E') = self.peek(0) {
                float = true;
                text.push('e');
                self.at += 1;
                if let Some(sign @ ('+' | '-')) = self.peek(0) {
                    text.push(sign);
                    self.at += 1;
                }
                self.digits(10, &mut text);
            }
            if float {
                text.parse()
                    .ok()
                    .filter(|number: &f64| number.is_finite())
                    .map(Kind::Float)
            } else {
                text.parse().ok().map(Kind::Integer)
            }
        } else {
            self.at += 2;
            self.digits(radix, &mut text);
            i64::from_str_radix(&text, radix).ok().map(Kind::Integer)
        };
        match number {
            Some(kind) if !self.peek(0).is_some_and(is_word) => Ok(kind),
            _ => self.error(format!("bad number syntax: {text:?}")),
        }
    }

    fn string(&mut self, quote: char) -> Result<String> {
        let mut text = String::new();
        loop {
            let Some(character) = self.peek(0).filter(|character| *character != '\n') else {
                return self.error("literal not terminated");
            };
            self.at += 1;
            if character == quote {
                return Ok(text);
            }
            if character == '\\' {
                text.push(self.escape(quote)?);
            } else {
                text.push(character);
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<char> {
        let Some(character) = self.peek(0) else {
            return self.error("literal not terminated");
        };
        self.at += 1;
        let code = match character {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'x' => self.code(16, 2)?,
            'u' => self.code(16, 4)?,
            'U' => self.code(16, 8)?,
            // Up to 377, the largest byte.
            '0'..='3' => {
                self.at -= 1;
                self.code(8, 3)?
            }
            other if other == quote || other == '\\' => return Ok(other),
            _ => return self.error("invalid char escape"),
        };
        match char::from_u32(code) {
            Some(character) => Ok(character),
            None => self.error("invalid char escape"),
        }
    }

    fn code(&mut self, radix: u32, length: usize) -> Result<u32> {
        let mut code = 0u32;
        for _ in 0..length {
            let digit = self.peek(0).and_then(|character| character.to_digit(radix));
            let Some(next) = digit.and_then(|digit| code.checked_mul(radix)?.checked_add(digit))
            else {
                return self.error("invalid char escape");
            };
            code = next;
            self.at += 1;
        }
        Ok(code)
    }

    fn raw_string(&mut self) -> Result<String> {
        let mut text = String::new();
        loop {
            let Some(character) = self.peek(0) else {
                return self.error("literal not terminated");
            };
            self.at += 1;
            if character == '`' {
                return Ok(text);
            }
            text.push(character);
        }
    }
}

/// Letters of names; `$` begins `$env`.
fn is_word(character: char) -> bool {
    character == '_' || character == '$' || character.is_alphanumeric()
}
