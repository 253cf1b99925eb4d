//! What can be the name of an object or of a namespace. A text that somebody else wrote is asked before it becomes a part of
//! a path.

/// Whether a text can be the name of an object: lower-case letters, digits, dashes and dots, a letter or a digit at both
/// ends, at most 253 (RFC 1123 subdomain, but for what is beside a dot).
#[must_use]
pub fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && is_made_of(text, is_plain, |byte| b"-.".contains(&byte))
}

/// Whether a text can be the name of a namespace: lower-case letters, digits and dashes, a letter or a digit at both ends,
/// at most 63 (RFC 1123 label).
#[must_use]
pub fn is_namespace_name(text: &str) -> bool {
    text.len() <= 63 && is_dns_label(text)
}

/// Whether a text is a label of RFC 1123, but for its length: lower-case letters, digits and dashes, a letter or a digit at
/// both ends.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    is_made_of(text, is_plain, |byte| byte == b'-')
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Not empty, `plain` at both ends, `plain` or `inner` between.
#[must_use]
pub fn is_made_of(text: &str, plain: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| plain(*byte))
        && bytes.last().is_some_and(|byte| plain(*byte))
        && bytes.iter().all(|byte| plain(*byte) || inner(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_plain_characters_and_not_too_long() {
        for (text, of_object, of_namespace) in [
            ("a", true, true),
            ("a-1", true, true),
            ("1.b", true, false),
            ("a.b", true, false),
            ("", false, false),
            ("..", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("a.", false, false),
            ("A", false, false),
            ("a_b", false, false),
            ("a/b", false, false),
            ("a?b", false, false),
            ("a%2fb", false, false),
            ("ä", false, false),
        ] {
            assert_eq!(is_object_name(text), of_object, "{text}");
            assert_eq!(is_namespace_name(text), of_namespace, "{text}");
        }
        let long = |length| "a".repeat(length);
        assert!(is_object_name(&long(253)) && !is_object_name(&long(254)));
        assert!(is_namespace_name(&long(63)) && !is_namespace_name(&long(64)));
    }
}
