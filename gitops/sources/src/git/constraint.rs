//! Version ranges as `targetRevision` writes them: the syntax of Go's Masterminds/semver, which Helm and Argo CD use.
//!
//! `||` separates alternatives; spaces or commas join conditions. A condition is a version, possibly with `x`, `*` or
//! missing parts, after one of `= != > < >= <= ~ ~> ^`; `a - b` is a span. A pre-release only matches alternatives
//! that mention one.

use std::cmp::Ordering;

use semver::{Prerelease, Version};

/// A version range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Constraint {
    alternatives: Vec<Vec<Condition>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    operator: Operator,
    version: Partial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// A version whose last parts may be open.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Partial {
    floor: Version,
    /// How many of major, minor, patch are given.
    given: u8,
}

impl Constraint {
    /// Reads a range; `None` for anything else, a plain version included: that is the name of a tag.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if version(text).is_some() {
            return None;
        }
        let alternatives = text
            .split("||")
            .map(conditions)
            .collect::<Option<Vec<_>>>()
            .filter(|all| !all.is_empty())?;
        Some(Self { alternatives })
    }

    /// Whether `version` lies in the range.
    pub(crate) fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|conditions| {
            let pre = conditions
                .iter()
                .any(|condition| !condition.version.floor.pre.is_empty());
            (version.pre.is_empty() || pre)
                && conditions
                    .iter()
                    .all(|condition| condition.matches(version))
        })
    }
}

impl Condition {
    fn matches(&self, version: &Version) -> bool {
        let Partial { floor, given } = &self.version;
        let order = version.cmp_precedence(floor);
        match self.operator {
            Operator::Equal if *given == 3 => order == Ordering::Equal,
            Operator::NotEqual if *given == 3 => order != Ordering::Equal,
            Operator::NotEqual => !same(version, floor, *given),
            Operator::Greater if *given == 3 => order == Ordering::Greater,
            Operator::Greater => order == Ordering::Greater && !same(version, floor, *given),
            Operator::Less => order == Ordering::Less,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::LessOrEqual if *given == 3 => order != Ordering::Greater,
            Operator::LessOrEqual => order == Ordering::Less || same(version, floor, *given),
            Operator::Equal | Operator::Tilde => {
                order != Ordering::Less && same(version, floor, (*given).min(2))
            }
            Operator::Caret => {
                let fixed = match (floor.major, floor.minor, *given) {
                    (_, _, 0) => 0,
                    (1.., _, _) | (0, _, 1) => 1,
                    (0, 1.., _) | (0, _, 2) => 2,
                    _ => 3,
                };
                order != Ordering::Less && same(version, floor, fixed)
            }
        }
    }
}

/// Whether the first `parts` of two versions are equal.
fn same(a: &Version, b: &Version, parts: u8) -> bool {
    (parts < 1 || a.major == b.major)
        && (parts < 2 || a.minor == b.minor)
        && (parts < 3 || a.patch == b.patch)
}

/// The conditions of one alternative.
fn conditions(text: &str) -> Option<Vec<Condition>> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        // `>= 1.2` may be written with a space.
        match words.last_mut() {
            Some(last) if last.chars().all(|c| "=!<>~^".contains(c)) => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
    }
    let mut found = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let mut condition = condition(&word)?;
        if words.peek().is_some_and(|next| next == "-") {
            words.next();
            condition.operator = Operator::GreaterOrEqual;
            let upper = partial(&words.next()?)?;
            found.push(condition);
            found.push(Condition {
                operator: Operator::LessOrEqual,
                version: upper,
            });
        } else {
            found.push(condition);
        }
    }
    (!found.is_empty()).then_some(found)
}

fn condition(word: &str) -> Option<Condition> {
    let rest = word.trim_start_matches(['=', '!', '<', '>', '~', '^']);
    let operator = match &word[..word.len() - rest.len()] {
        "" | "=" | "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        ">" => Operator::Greater,
        "<" => Operator::Less,
        ">=" | "=>" => Operator::GreaterOrEqual,
        "<=" | "=<" => Operator::LessOrEqual,
        "~" | "~>" => Operator::Tilde,
        "^" => Operator::Caret,
        _ => return None,
    };
    Some(Condition {
        operator,
        version: partial(rest)?,
    })
}

fn partial(text: &str) -> Option<Partial> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (core, pre) = match text
        .split_once('+')
        .map_or(text, |(text, _)| text)
        .split_once('-')
    {
        Some((core, pre)) => (core, Prerelease::new(pre).ok()?),
        None => (
            text.split_once('+').map_or(text, |(text, _)| text),
            Prerelease::EMPTY,
        ),
    };
    let mut numbers = [0_u64; 3];
    let mut given = 0_u8;
    let mut open = false;
    let parts: Vec<&str> = core.split('.').collect();
    if parts.len() > 3 {
        return None;
    }
    for (slot, part) in numbers.iter_mut().zip(parts) {
        if matches!(part, "x" | "X" | "*") {
            open = true;
        } else if open || part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        } else {
            *slot = part.parse().ok()?;
            given += 1;
        }
    }
    let [major, minor, patch] = numbers;
    let mut floor = Version::new(major, minor, patch);
    floor.pre = pre;
    Some(Partial { floor, given })
}

/// A version as tags write it: `v` before it and missing parts are fine.
pub(crate) fn version(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    let core_end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, suffix) = text.split_at(core_end);
    let padded = match core.split('.').count() {
        1 => format!("{core}.0.0{suffix}"),
        2 => format!("{core}.0{suffix}"),
        _ => return None,
    };
    Version::parse(&padded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, matching: &[&str], foreign: &[&str]) {
        let constraint = Constraint::parse(range).unwrap_or_else(|| panic!("{range} is not read"));
        for text in matching {
            assert!(
                constraint.matches(&version(text).unwrap()),
                "{text} should match {range}"
            );
        }
        for text in foreign {
            assert!(
                !constraint.matches(&version(text).unwrap()),
                "{text} should not match {range}"
            );
        }
    }

    #[test]
    fn operators_compare() {
        check(">=1.2.3", &["1.2.3", "2.0.0"], &["1.2.2", "1.3.0-rc.1"]);
        check("> 1.2.3", &["1.2.4"], &["1.2.3"]);
        check("<2", &["1.9.9"], &["2.0.0"]);
        check("<=1.2", &["1.2.9", "1.0.0"], &["1.3.0"]);
        check(">1.2", &["1.3.0"], &["1.2.9"]);
        check("!=1.2.3", &["1.2.4"], &["1.2.3"]);
        check("!=1.2.x", &["1.3.0"], &["1.2.9"]);
        check("=1.2", &["1.2.0", "1.2.9"], &["1.3.0"]);
    }

    #[test]
    fn tilde_and_caret_widen() {
        check("~1.2.3", &["1.2.3", "1.2.9"], &["1.2.2", "1.3.0"]);
        check("~1", &["1.0.0", "1.9.0"], &["2.0.0"]);
        check("~>2.3", &["2.3.5"], &["2.4.0"]);
        check("^1.2.3", &["1.2.3", "1.9.0"], &["1.2.2", "2.0.0"]);
        check("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0"]);
        check("^0.0.3", &["0.0.3"], &["0.0.4", "0.1.0"]);
        check("^0.0", &["0.0.9"], &["0.1.0"]);
        check("^0", &["0.9.9"], &["1.0.0"]);
    }

    #[test]
    fn wildcards_spans_and_alternatives_are_read() {
        check("1.x", &["1.0.0", "1.9.9"], &["2.0.0"]);
        check("1.2.*", &["1.2.7"], &["1.3.0"]);
        check("*", &["0.0.1", "9.0.0"], &["1.0.0-rc.1"]);
        check("1.2 - 1.4.5", &["1.2.0", "1.4.5"], &["1.1.9", "1.4.6"]);
        check(">=1.0, <2.0 || >=3.0", &["1.5.0", "3.0.0"], &["2.5.0"]);
        check(">=1 <2", &["1.5.0"], &["2.0.0"]);
        check("v1.x", &["1.1.0"], &["2.0.0"]);
    }

    #[test]
    fn pre_releases_need_to_be_asked_for() {
        check(
            ">=1.0.0-0",
            &["1.0.0-rc.1", "1.0.0", "2.0.0-beta"],
            &["0.9.0"],
        );
        check(">=1.0.0-0 <2.0.0", &["1.5.0-rc.1"], &["0.9.0"]);
    }

    #[test]
    fn names_and_plain_versions_are_not_ranges() {
        for text in [
            "",
            "main",
            "HEAD",
            "v1.2.3",
            "1.2.3",
            "1.2",
            "release-1.2",
            "feature/x",
            "deadbeef",
            "x.1",
            "1.2.3.4",
            ">",
            "-",
        ] {
            assert_eq!(Constraint::parse(text), None, "{text:?}");
        }
    }
}
