//! JSON pointers (RFC 6901) that are written in the code: looked up without a string for each of their tokens.

use serde_json::Value;

/// The value at a pointer such as `/spec/template/metadata`, in which no token has an escape (`~0`, `~1`).
///
/// The same as [`Value::pointer`], which makes two strings of every token to undo escapes.
#[must_use]
pub fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    debug_assert!(!pointer.contains('~'), "{pointer} has an escape");
    if pointer.is_empty() {
        return Some(value);
    }
    let mut tokens = pointer.strip_prefix('/')?.split('/');
    tokens.try_fold(value, |value, token| match value {
        Value::Object(fields) => fields.get(token),
        Value::Array(items) => items.get(token.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The first token of a pointer, and the pointer that leads on from there.
#[must_use]
pub fn split(pointer: &str) -> Option<(&str, &str)> {
    let path = pointer.strip_prefix('/')?;
    let end = path.find('/').unwrap_or(path.len());
    path.split_at_checked(end)
}

/// The text at a pointer; empty when there is none.
#[must_use]
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_leads_where_the_standard_says() {
        let value = json!({ "a": [{ "b": "x" }, null], "": { "": 1 }, "n": 5 });
        for pointer in [
            "", "/", "//", "/a", "/a/0", "/a/0/b", "/a/0/b/c", "/a/1", "/a/2", "/a/-", "/a/b",
            "/n", "/n/0", "/z", "a",
        ] {
            assert_eq!(at(&value, pointer), value.pointer(pointer), "{pointer}");
        }
        let halves = ["/a/0/b", "/a", "", "a"].map(split);
        assert_eq!(halves, [Some(("a", "/0/b")), Some(("a", "")), None, None]);
        assert_eq!((text(&value, "/a/0/b"), text(&value, "/n")), ("x", ""));
    }
}
