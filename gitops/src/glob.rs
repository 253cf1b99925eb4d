//! Globs as the API uses them: `*` and `?`, classes in `[]`, and alternatives in `{a,b}`.

/// Whether the text matches. With a separator, `*` and `?` stop at it and `**` does not.
#[must_use]
pub fn matches(pattern: &str, text: &str, separator: Option<char>) -> bool {
    alternatives(pattern).iter().any(|pattern| {
        let pattern: Vec<char> = pattern.chars().collect();
        let text: Vec<char> = text.chars().collect();
        glob(&pattern, &text, separator)
    })
}

/// As [`matches`], where `*` alone matches everything and `!pattern` matches what the pattern does not.
#[must_use]
pub fn matches_or_denies(pattern: &str, text: &str, separator: Option<char>) -> bool {
    match pattern.strip_prefix('!') {
        Some(denied) => !matches_or_denies(denied, text, separator),
        None => pattern == "*" || matches(pattern, text, separator),
    }
}

/// Whether one of the patterns permits the text and none denies it (`!pattern`). A list of denials alone permits
/// everything else, as upstream.
#[must_use]
pub fn permitted<'a>(
    patterns: impl IntoIterator<Item = &'a str>,
    text: &str,
    separator: Option<char>,
) -> bool {
    let mut permitted = false;
    for pattern in patterns {
        let matched = matches_or_denies(pattern, text, separator);
        if !matched && pattern.starts_with('!') {
            return false;
        }
        permitted |= matched;
    }
    permitted
}

/// Spreads `{a,b}` out; at most 256 patterns, so that nested alternatives cannot eat all memory.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(pattern) = open.pop() {
        match split_alternative(&pattern) {
            Some((before, choices, after)) if done.len() + open.len() + choices.len() <= 256 => {
                open.extend(
                    choices
                        .iter()
                        .map(|choice| format!("{before}{choice}{after}")),
                );
            }
            _ => done.push(pattern),
        }
    }
    done
}

/// The first `{…}` of a pattern: what is before it, the choices, what is after it.
fn split_alternative(pattern: &str) -> Option<(&str, Vec<&str>, &str)> {
    let start = pattern.find('{')?;
    let (before, rest) = (pattern.get(..start)?, pattern.get(start + 1..)?);
    let (mut depth, mut from, mut choices) = (0_u32, 0, Vec::new());
    for (at, character) in rest.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                choices.push(rest.get(from..at)?);
                return Some((before, choices, rest.get(at + 1..)?));
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                choices.push(rest.get(from..at)?);
                from = at + 1;
            }
            _ => {}
        }
    }
    None
}

/// Backtracks to the last `*` only, so the time is bounded by the product of the lengths.
fn glob(pattern: &[char], text: &[char], separator: Option<char>) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize, bool)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (Some('*'), _) => {
                let deep = pattern.get(p + 1) == Some(&'*');
                p += if deep { 2 } else { 1 };
                star = Some((p, t, deep || separator.is_none()));
                continue;
            }
            (None, None) => return true,
            (Some(_), Some(&character)) => {
                if let Some(width) = one(pattern.get(p..).unwrap_or(&[]), character, separator) {
                    p += width;
                    t += 1;
                    continue;
                }
            }
            _ => {}
        }
        match star {
            Some((after, from, crosses)) => match text.get(from) {
                Some(&character) if crosses || Some(character) != separator => {
                    star = Some((after, from + 1, crosses));
                    p = after;
                    t = from + 1;
                }
                _ => return false,
            },
            None => return false,
        }
    }
}

/// Matches one character against the head of the pattern and says how long that head is.
fn one(pattern: &[char], character: char, separator: Option<char>) -> Option<usize> {
    match pattern.first()? {
        '?' => (Some(character) != separator).then_some(1),
        '[' => class(pattern, character),
        '\\' => (pattern.get(1) == Some(&character)).then_some(2),
        &literal => (literal == character).then_some(1),
    }
}

/// `[abc]`, `[a-z]`, `[!a]`; a `[` that is never closed stands for itself.
fn class(pattern: &[char], character: char) -> Option<usize> {
    let Some(end) = pattern
        .iter()
        .skip(1)
        .position(|&c| c == ']')
        .map(|at| at + 1)
    else {
        return (character == '[').then_some(1);
    };
    let body = pattern.get(1..end)?;
    let (negated, body) = match body.first() {
        Some('!' | '^') => (true, body.get(1..)?),
        _ => (false, body),
    };
    let mut found = false;
    let mut rest = body;
    while let Some(&low) = rest.first() {
        if let (Some('-'), Some(&high)) = (rest.get(1), rest.get(2)) {
            found |= (low..=high).contains(&character);
            rest = rest.get(3..).unwrap_or(&[]);
        } else {
            found |= low == character;
            rest = rest.get(1..).unwrap_or(&[]);
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::{matches, permitted};

    #[test]
    fn globs_match_as_the_api_says() {
        for (pattern, text, separator, expected) in [
            ("*", "anything/at all", None, true),
            ("*", "a/b", Some('/'), false),
            ("**", "a/b", Some('/'), true),
            (
                "https://git.example.com/*/x",
                "https://git.example.com/a/x",
                Some('/'),
                true,
            ),
            (
                "https://git.example.com/*/x",
                "https://git.example.com/a/b/x",
                Some('/'),
                false,
            ),
            ("team-?", "team-a", None, true),
            ("team-?", "team-ab", None, false),
            ("team-[a-c]", "team-b", None, true),
            ("team-[!a-c]", "team-b", None, false),
            ("{a,b{1,2}}.yaml", "b2.yaml", None, true),
            ("{a,b}.yaml", "c.yaml", None, false),
            ("a*b*c", "axxbyyc", None, true),
            ("a*b*c", "axxbyyd", None, false),
            ("", "", None, true),
            ("", "a", None, false),
            ("[", "[", None, true),
            ("{a", "{a", None, true),
        ] {
            assert_eq!(
                matches(pattern, text, separator),
                expected,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn a_denied_pattern_wins_wherever_it_stands() {
        assert!(permitted(["*", "!secret"], "open", None));
        assert!(!permitted(["!secret", "*"], "secret", None));
        assert!(permitted(["!secret"], "open", None));
        assert!(!permitted([], "open", None));
    }
}
