//! Conditions, against what the reference implementation says: every vector that `e2e/vectors/conditions` has written.
//!
//! An error is an error in both; the words differ. Where Sluice answers otherwise on purpose, [`OTHERWISE`] says so.

use jiff::Timestamp;
use serde::Deserialize;
use sluice_analysis::condition::Condition;
use sluice_analysis::expression::Value;

const VECTORS: &str = include_str!("../../e2e/vectors/conditions/vectors.json");

#[derive(Deserialize)]
struct Group {
    about: String,
    results: Vec<serde_json::Value>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    condition: String,
    /// One letter for each result: true, false, error.
    answers: String,
}

/// `(condition, what Sluice answers instead, why)`; `.` where it answers the same.
const OTHERWISE: &[(&str, &str, &str)] = &[
    (
        "isNaN(default(result, 0))",
        ".........F",
        "a whole number is a number that is not NaN, be it a default",
    ),
    (
        "1.5 * duration('1h') == duration('90m')",
        "TT",
        "a fraction of a duration is a duration; there it is a number that no duration equals",
    ),
    ("duration('1h') * 1.5 == duration('90m')", "TT", "the same"),
    (
        "'\\ud800' == ''",
        "EE",
        "half of a pair of surrogates is no character",
    ),
    (
        "date(result.t).Month() == 5",
        "T.",
        "a month and a day of the week are numbers here, and types of their own there",
    ),
    ("date(result.t).Weekday() == 1", "T.", "the same"),
    ("+result.s == 'x'", "E.", "a sign before a text is refused"),
    ("sort(result.m) == []", "E.", "a map is no list"),
    (
        "toPairs(result.m) == [['k', 1]]",
        "T.",
        "numbers are equal by value, wherever they stand",
    ),
    ("result.m == {'k': 1}", "T.", "the same"),
    (
        "first(result.n) == 1",
        "E.",
        "a number has no first element; there it is nil",
    ),
    ("get(result.n, 9) == nil", "E.", "the same"),
    (
        "findIndex(result, # > 0.5) == 0",
        "F..F...",
        "nothing found is nil, which equals no number; there it ends in a failed conversion",
    ),
    ("findLastIndex(result, # > 0.5) >= 0", "F..F...", "the same"),
    (
        "groupBy(result, # > 0.5)[true][0] == 0.99",
        ".EE.EE.",
        "keys of maps are strings here (docs/decisions/0008)",
    ),
];

fn number(text: &str) -> f64 {
    match text {
        "NaN" => f64::NAN,
        "Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse().expect("a number"),
    }
}

fn value(result: &serde_json::Value) -> Value {
    if let Some(text) = result["float"].as_str() {
        return Value::Float(number(text));
    }
    if let Some(numbers) = result["floats"].as_array() {
        let texts = numbers.iter().map(|text| text.as_str().expect("a text"));
        return Value::numbers(texts.map(number).collect::<Vec<_>>());
    }
    result.get("json").map_or(Value::Nil, Value::from_json)
}

fn answer(condition: &str, value: &Value) -> char {
    let now: Timestamp = "2026-08-17T10:00:00Z".parse().expect("a time");
    match Condition::parse(condition).and_then(|condition| condition.evaluate(value, now)) {
        Ok(true) => 'T',
        Ok(false) => 'F',
        Err(_) => 'E',
    }
}

#[test]
fn conditions_mean_what_the_reference_says() {
    let groups: Vec<Group> = serde_json::from_str(VECTORS).expect("vectors");
    let mut count = 0;
    let mut differ = Vec::new();
    for group in &groups {
        let values: Vec<Value> = group.results.iter().map(value).collect();
        for vector in &group.vectors {
            let found: String = values
                .iter()
                .map(|value| answer(&vector.condition, value))
                .collect();
            count += values.len();
            let instead = OTHERWISE
                .iter()
                .find(|(condition, _, _)| *condition == vector.condition);
            let expected: String = match instead {
                Some((_, instead, _)) => vector
                    .answers
                    .chars()
                    .zip(instead.chars())
                    .map(|(theirs, ours)| if ours == '.' { theirs } else { ours })
                    .collect(),
                None => vector.answers.clone(),
            };
            if found != expected {
                differ.push(format!(
                    "{:12} {:60} expected {expected} found {found}",
                    group.about.split(',').next().unwrap_or_default(),
                    vector.condition
                ));
            }
        }
    }
    assert!(count > 2_000, "{count}");
    assert!(
        differ.is_empty(),
        "{} of {count} differ:\n{}",
        differ.len(),
        differ.join("\n")
    );
}
