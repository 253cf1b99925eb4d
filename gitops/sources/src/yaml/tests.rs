use proptest::prelude::{ProptestConfig, proptest};
use serde_json::json;

use super::*;

fn one(text: &str) -> Value {
    parse_one(text).unwrap()
}

/// Each pair was read off the resolver of Go's `sigs.k8s.io/yaml` 1.6 (YAML 1.1).
#[test]
fn plain_scalars_mean_what_they_mean_to_kubectl() {
    for (text, value) in [
        ("on", json!(true)),
        ("On", json!(true)),
        ("oN", json!("oN")),
        ("yes", json!(true)),
        ("y", json!(true)),
        ("n", json!(false)),
        ("NO", json!(false)),
        ("off", json!(false)),
        ("tRue", json!("tRue")),
        ("~", Value::Null),
        ("null", Value::Null),
        ("nULL", json!("nULL")),
        ("0", json!(0)),
        ("0644", json!(420)),
        ("0o17", json!(15)),
        ("08", json!(8)),
        ("0x1F", json!(31)),
        ("0b101", json!(5)),
        ("-0b11", json!(-3)),
        ("1_000", json!(1000)),
        ("+7", json!(7)),
        ("-12", json!(-12)),
        ("--1", json!("--1")),
        (
            "18446744073709551615",
            json!(18_446_744_073_709_551_615_u64),
        ),
        ("1.0", json!(1)),
        ("1e3", json!(1000)),
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("1.", json!(1)),
        (".", json!(".")),
        ("1.2.3", json!("1.2.3")),
        ("1:30", json!("1:30")),
        ("2001-01-01", json!("2001-01-01")),
        ("100m", json!("100m")),
        ("1Gi", json!("1Gi")),
        ("=", json!("=")),
    ] {
        assert_eq!(one(&format!("a: {text}\n"))["a"], value, "{text}");
    }
}

#[test]
fn quoted_scalars_are_text() {
    assert_eq!(
        one("a: 'on'\nb: \"0644\"\nc: |-\n  yes\n"),
        json!({"a": "on", "b": "0644", "c": "yes"})
    );
}

#[test]
fn tags_decide() {
    assert_eq!(
        one("a: !!str 12\nb: !!int '7'\nc: !!float 2\nd: !Ref x"),
        json!({"a": "12", "b": 7, "c": 2, "d": "x"})
    );
    assert!(parse_one("a: !!int x").is_err());
}

#[test]
fn every_key_becomes_text() {
    assert_eq!(
        one("1: a\non: b\n0x10: c\n'x': d"),
        json!({"1": "a", "true": "b", "16": "c", "x": "d"})
    );
    assert!(parse_one("~: a").is_err());
    assert!(parse_one("[1]: a").is_err());
}

#[test]
fn merge_keys_yield_to_the_keys_of_the_map_itself() {
    let text =
        "base: &b {p: 1, q: 1}\nother: &o {q: 2, r: 2}\nm: {<<: [*b, *o], p: 3}\nk: {'<<': 1}";
    let value = one(text);
    assert_eq!(value["m"], json!({"p": 3, "q": 1, "r": 2}));
    assert_eq!(value["k"], json!({"<<": 1}));
    assert!(parse_one("a: {<<: 1}").is_err());
}

#[test]
fn the_last_of_two_equal_keys_wins_and_is_reported() {
    let documents = parse("a: 1\na: 2", Budget::default()).unwrap();
    assert_eq!(documents[0].value, json!({"a": 2}));
    assert_eq!(documents[0].duplicate_keys, ["a"]);
}

#[test]
fn several_documents_are_kept_apart() {
    let documents = parse(
        "---\na: 1\n---\n# nothing\n---\nb: 2\n...\n",
        Budget::default(),
    )
    .unwrap();
    let values: Vec<_> = documents
        .into_iter()
        .map(|document| document.value)
        .collect();
    assert_eq!(values, [json!({"a": 1}), Value::Null, json!({"b": 2})]);
}

#[test]
fn an_error_names_the_document_and_the_line() {
    let error = parse("a: 1\n---\nb: [1, 2\nc: 3\n", Budget::default()).unwrap_err();
    assert_eq!(error.document, 2);
    assert!(error.line >= 3, "{error:?}");
}

#[test]
fn an_alias_bomb_is_refused_without_being_expanded() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let error = parse(&text, Budget::default()).unwrap_err();
    assert!(error.message.contains("more than the limit"), "{error}");
}

#[test]
fn an_alias_that_repeats_a_long_text_is_refused() {
    let text = format!(
        "a: &a {}\nb: [{}]",
        "x".repeat(1 << 20),
        vec!["*a"; 100].join(", ")
    );
    assert!(parse(&text, Budget::default()).is_err());
}

#[test]
fn an_alias_of_itself_is_refused() {
    assert!(parse("a: &a [*a]", Budget::default()).is_err());
}

#[test]
fn deep_nesting_is_refused() {
    let flow = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    assert!(parse(&flow, Budget::default()).is_err());
    let mut aliases = String::from("a0: &a0 [1]\n");
    for level in 1..200 {
        aliases.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(parse(&aliases, Budget::default()).is_err());
}

#[test]
fn json_is_yaml() {
    assert_eq!(
        one(r#"{"a": [1, true, null, "x\u0041\/"], "b": {"c": 1.5}}"#),
        json!({"a": [1, true, null, "xA/"], "b": {"c": 1.5}})
    );
}

#[test]
fn windows_line_ends_and_byte_order_marks_are_read() {
    assert_eq!(
        one("\u{feff}a: 1\r\nb: |\r\n  x\r\n"),
        json!({"a": 1, "b": "x\n"})
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "[-a-z0-9:&*<>{}\\[\\],'\"|#!~ \n.]{0,200}") {
        let _ = parse(&text, Budget::default());
    }
}
