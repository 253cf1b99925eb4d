//! The requests that a header or mirror route takes: those of the rule that it stands before, and of them the ones that
//! the step describes.
//!
//! Input: the `matches` of a rule of an HTTPRoute or GRPCRoute, and the step's. Output: the `matches` of the new rule,
//! which take exactly the requests that both take; empty when there are none. What the Gateway API has no words for is
//! an error that says so.
//!
//! Every item keeps what the rule's has (path, query parameters, fields that are not known here), so the new rule is
//! always the more specific one and the gateway looks at it first.

use serde_json::{Map, Value, json};
use sluice_crds::rollout::steps::{HeaderRoutingMatch, RouteMatch, StringMatch};
use sluice_crds::split::RouteKind;

use crate::object::{list, text};

/// The most matches that the API accepts in one rule.
const MOST: usize = 64;

/// The matches of the rule for a route that stands before `rule`.
pub(super) fn both(rule: &Value, kind: &RouteKind) -> Result<Vec<Value>, String> {
    let everything = [json!({})];
    let of_rule = match list(rule, &["matches"]) {
        [] => &everything[..],
        matches => matches,
    };
    let mut found = Vec::new();
    for base in of_rule {
        match kind {
            RouteKind::Header(headers) => {
                let mut item = base.clone();
                for header in headers {
                    add_header(&mut item, header)?;
                }
                found.push(item);
            }
            RouteKind::Mirror { matches, .. } => {
                for wanted in matches {
                    if let Some(item) = request(base, wanted)? {
                        found.push(item);
                    }
                }
            }
        }
    }
    if found.len() > MOST {
        return Err(format!(
            "it would have {} matches, and the Gateway API allows {MOST} in a rule",
            found.len()
        ));
    }
    Ok(found)
}

fn add_header(item: &mut Value, header: &HeaderRoutingMatch) -> Result<(), String> {
    let name = header.header_name.as_deref().unwrap_or_default();
    let value = header.header_value.clone().unwrap_or_default();
    header_match(item, name, &value)
}

fn header_match(item: &mut Value, name: &str, value: &StringMatch) -> Result<(), String> {
    let (kind, value) = exact_or_expression(value);
    let wanted = json!({"type": kind, "name": name, "value": value});
    let same = |header: &&Value| {
        text(header, &["name"]).is_some_and(|known| known.eq_ignore_ascii_case(name))
    };
    if let Some(known) = list(item, &["headers"]).iter().find(same) {
        let known = (
            text(known, &["type"]).unwrap_or("Exact"),
            text(known, &["value"]).unwrap_or_default(),
        );
        if known == (kind, value.as_str()) {
            return Ok(());
        }
        return Err(format!(
            "a rule of the route matches the header {name} already: use another header"
        ));
    }
    insert(item, "headers", |headers| {
        let mut all = headers.and_then(Value::as_array).cloned();
        all.get_or_insert_default().push(wanted);
        Value::from(all.unwrap_or_default())
    });
    Ok(())
}

/// What a request must be to fit both; `None` when none can.
fn request(base: &Value, wanted: &RouteMatch) -> Result<Option<Value>, String> {
    let mut item = base.clone();
    if let Some(method) = &wanted.method {
        let method = method.exact.as_deref().unwrap_or_default();
        match text(base, &["method"]) {
            Some(known) if known != method => return Ok(None),
            _ => insert(&mut item, "method", |_| Value::from(method)),
        }
    }
    if let Some(wanted) = &wanted.path {
        match path(base, wanted)? {
            Some((kind, value)) => {
                insert(&mut item, "path", |_| json!({"type": kind, "value": value}));
            }
            None => return Ok(None),
        }
    }
    for (name, value) in wanted.headers.iter().flatten() {
        header_match(&mut item, name, value)?;
    }
    Ok(Some(item))
}

/// The paths that fit both.
fn path(base: &Value, wanted: &StringMatch) -> Result<Option<(String, String)>, String> {
    let (kind, known) = (
        text(base, &["path", "type"]).unwrap_or("PathPrefix"),
        text(base, &["path", "value"]).unwrap_or("/"),
    );
    let found = |kind: &str, value: &str| Ok(Some((kind.to_owned(), value.to_owned())));
    match (kind, wanted) {
        (
            _,
            StringMatch {
                prefix: Some(prefix),
                ..
            },
        ) if prefix == "/" => found(kind, known),
        (
            "PathPrefix",
            StringMatch {
                exact: Some(exact), ..
            },
        ) if under(exact, known) => found("Exact", exact),
        (
            "PathPrefix",
            StringMatch {
                prefix: Some(prefix),
                ..
            },
        ) if under(prefix, known) => found("PathPrefix", prefix),
        (
            "PathPrefix" | "Exact",
            StringMatch {
                prefix: Some(prefix),
                ..
            },
        ) if under(known, prefix) => found(kind, known),
        (
            "Exact",
            StringMatch {
                exact: Some(exact), ..
            },
        ) if exact == known => found(kind, known),
        ("PathPrefix" | "Exact", StringMatch { regex: None, .. }) => Ok(None),
        (
            "PathPrefix",
            StringMatch {
                regex: Some(regex), ..
            },
        ) if known == "/" => found("RegularExpression", regex),
        (
            "RegularExpression",
            StringMatch {
                regex: Some(regex), ..
            },
        ) if regex == known => found(kind, known),
        _ => Err(format!(
            "a rule of the route matches the path {known} ({kind}), which cannot be combined with \
             the path of the step: match without a path"
        )),
    }
}

/// Whether a path is `prefix` or below it, element by element.
fn under(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A match of a string in the words of the Gateway API, which has no prefix of header values.
fn exact_or_expression(value: &StringMatch) -> (&'static str, String) {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(exact) = given(&value.exact) {
        return ("Exact", exact);
    }
    if let Some(prefix) = given(&value.prefix) {
        let mut expression = String::from("^");
        for letter in prefix.chars() {
            if letter.is_ascii_punctuation() && !matches!(letter, '-' | '_' | '/') {
                expression.push('\\');
            }
            expression.push(letter);
        }
        expression.push_str(".*");
        return ("RegularExpression", expression);
    }
    ("RegularExpression", given(&value.regex).unwrap_or_default())
}

fn insert(item: &mut Value, key: &str, value: impl FnOnce(Option<&Value>) -> Value) {
    if !item.is_object() {
        *item = Value::Object(Map::new());
    }
    if let Some(item) = item.as_object_mut() {
        let value = value(item.get(key));
        item.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sluice_crds::split::RouteKind;

    use super::both;

    fn mirrored(base: Value, wanted: Value) -> Result<Vec<Value>, String> {
        let kind: RouteKind =
            serde_json::from_value(json!({"mirror": {"matches": [wanted], "percentage": null}}))
                .unwrap();
        both(&json!({"matches": [base]}), &kind)
    }

    #[test]
    fn a_route_takes_what_the_rule_and_the_step_both_take() {
        let path = |kind: &str, value: &str| json!({"path": {"type": kind, "value": value}});
        for (base, wanted, both) in [
            (json!({}), json!({"exact": "/a"}), Some(path("Exact", "/a"))),
            (
                path("PathPrefix", "/a"),
                json!({"prefix": "/"}),
                Some(path("PathPrefix", "/a")),
            ),
            (
                path("PathPrefix", "/a"),
                json!({"prefix": "/a/b"}),
                Some(path("PathPrefix", "/a/b")),
            ),
            (
                path("PathPrefix", "/a/b"),
                json!({"prefix": "/a"}),
                Some(path("PathPrefix", "/a/b")),
            ),
            (path("PathPrefix", "/a"), json!({"prefix": "/ab"}), None),
            (path("PathPrefix", "/a"), json!({"exact": "/b"}), None),
            (
                path("Exact", "/a"),
                json!({"exact": "/a"}),
                Some(path("Exact", "/a")),
            ),
            (path("Exact", "/a"), json!({"exact": "/a/b"}), None),
            (
                json!({}),
                json!({"regex": "/a.*"}),
                Some(path("RegularExpression", "/a.*")),
            ),
        ] {
            let found = mirrored(base.clone(), json!({"path": wanted})).unwrap();
            assert_eq!(found.first(), both.as_ref(), "{base} and {wanted}");
        }
        let expression = path("RegularExpression", "/x");
        mirrored(expression, json!({"path": {"prefix": "/a"}})).unwrap_err();
    }

    #[test]
    fn a_header_that_the_rule_matches_already_cannot_be_matched_again() {
        let base = json!({"headers": [{"name": "X-User", "value": "a"}]});
        let same = mirrored(base.clone(), json!({"headers": {"x-user": {"exact": "a"}}}));
        assert_eq!(same.unwrap(), std::slice::from_ref(&base));
        mirrored(base, json!({"headers": {"x-user": {"exact": "b"}}})).unwrap_err();
    }
}
