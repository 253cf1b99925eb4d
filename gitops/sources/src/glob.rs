//! The globs of `directory.include` and `directory.exclude`.
//!
//! `*` and `**` match any text, slashes included (`*.yaml` matches `a/b.yaml`), `?` one character, `[a-z]` and `[!a-z]`
//! one of a set, `{a,b}` one of several, `\` takes the next character as it is. They become a regular expression of a
//! kind that runs in linear time.

use regex::{Regex, RegexBuilder};

/// A glob that is ready to match.
#[derive(Debug, Clone)]
pub(crate) struct Glob(Regex);

impl Glob {
    /// Reads a glob.
    ///
    /// # Errors
    /// With the reason when it is malformed or too large.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut pattern = String::from(r"\A");
        let mut depth = 0_usize;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' => {
                    while chars.next_if_eq(&'*').is_some() {}
                    pattern.push_str(".*");
                }
                '?' => pattern.push('.'),
                '{' => {
                    depth += 1;
                    pattern.push_str("(?:");
                }
                '}' if depth > 0 => {
                    depth -= 1;
                    pattern.push(')');
                }
                ',' if depth > 0 => pattern.push('|'),
                '[' => {
                    pattern.push('[');
                    if chars.next_if(|c| matches!(c, '!' | '^')).is_some() {
                        pattern.push('^');
                    }
                    let mut closed = false;
                    for c in chars.by_ref() {
                        match c {
                            ']' => {
                                closed = true;
                                break;
                            }
                            '-' => pattern.push('-'),
                            c => pattern.push_str(&regex::escape(&c.to_string())),
                        }
                    }
                    if !closed {
                        return Err("a `[` is not closed".into());
                    }
                    pattern.push(']');
                }
                '\\' => match chars.next() {
                    Some(c) => pattern.push_str(&regex::escape(&c.to_string())),
                    None => return Err("it ends with a `\\`".into()),
                },
                c => pattern.push_str(&regex::escape(&c.to_string())),
            }
        }
        if depth > 0 {
            return Err("a `{` is not closed".into());
        }
        pattern.push_str(r"\z");
        RegexBuilder::new(&pattern)
            .dot_matches_new_line(true)
            .size_limit(1 << 20)
            .build()
            .map(Self)
            .map_err(|_| "it is malformed or too long".into())
    }

    /// Whether the whole of `text` matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, text: &str) -> bool {
        Glob::new(glob).unwrap().matches(text)
    }

    #[test]
    fn globs_match_as_in_an_application() {
        assert!(matches("*.yaml", "a/b.yaml"));
        assert!(matches("{config.json,env-usw2/*}", "env-usw2/x.yaml"));
        assert!(!matches("{config.json,env-usw2/*}", "env-use1/x.yaml"));
        assert!(matches("**/test?.yml", "a/test1.yml"));
        assert!(matches("[a-c][!x].json", "by.json"));
        assert!(!matches("[a-c][!x].json", "bx.json"));
        assert!(matches(r"\*", "*") && !matches(r"\*", "a"));
        assert!(!matches("a.yaml", "aXyaml"));
    }

    #[test]
    fn malformed_globs_are_refused() {
        for glob in ["[a", "{a", "a\\", "[z-a]"] {
            assert!(Glob::new(glob).is_err(), "{glob}");
        }
    }
}
