//! What a condition compared, in numbers that people read.

use sluice_analysis::condition::{self, Condition};
use sluice_analysis::expression::Value;

use super::conditions::{json, now, number, vector};

#[test]
fn a_condition_tells_the_comparison_that_decided() {
    let sentence = |condition: &str, result: Value| {
        Condition::parse(condition)
            .unwrap()
            .comparison(&result, now())
            .map(|comparison| comparison.to_string())
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        sentence("result[0] >= 0.95", vector([0.8])),
        text("0.8 >= 0.95 is false")
    );
    assert_eq!(
        sentence("0.95 <= result", number(0.8)),
        text("0.8 >= 0.95 is false")
    );
    assert_eq!(
        sentence("result > 0 && result < 10", number(20.0)),
        text("20 < 10 is false")
    );
    assert_eq!(
        sentence("isNaN(result) || result > 0.5", number(0.2)),
        text("0.2 > 0.5 is false")
    );
    // Of two that are false, and of none, the first.
    assert_eq!(
        sentence("result > 0 && result > 5", number(-1.0)),
        text("-1 > 0 is false")
    );
    assert_eq!(
        sentence("result > 0 && result < 10", number(-1.0)),
        text("-1 > 0 is false")
    );
    assert_eq!(
        sentence("result > 0 && result < 10", number(5.0)),
        text("5 > 0 is true")
    );
    assert_eq!(
        sentence("!(result > 1)", number(2.0)),
        text("2 > 1 is true")
    );
    assert_eq!(
        sentence("result[0] < result[1]", vector([1.0, 2.0])),
        text("1 < 2 is true")
    );
    assert_eq!(sentence("all(result, # < 5)", vector([9.0])), None);
}

#[test]
fn shares_of_one_are_shown_as_percentages_and_other_numbers_are_not() {
    let sentence = |name: &str, condition: &str, value: f64| {
        let mut comparison = Condition::parse(condition)
            .unwrap()
            .comparison(&number(value), now())
            .unwrap();
        comparison.share = condition::is_share(name, &comparison);
        comparison.to_string()
    };
    for (name, condition, value, expected) in [
        (
            "success-rate",
            "result >= 0.95",
            0.8,
            "80.00 % >= 95 % is false",
        ),
        ("error-rate", "result <= 0", 0.013, "1.30 % <= 0 % is false"),
        ("error-ratio", "result < 0.07", 0.0, "0.00 % < 7 % is true"),
        (
            "availability",
            "result >= 1",
            1.0,
            "100.00 % >= 100 % is true",
        ),
        ("errors", "result < 1", 0.0, "0 < 1 is true"),
        ("errors", "result < 0.05", 0.1, "10.00 % < 5 % is false"),
        ("latency-seconds", "result < 0.5", 0.3, "0.3 < 0.5 is true"),
        ("request-rate", "result > 0.5", 0.3, "0.3 > 0.5 is false"),
        ("success-rate", "result >= 95", 80.0, "80 >= 95 is false"),
        ("success-rate", "result >= 95", 0.8, "0.8 >= 95 is false"),
        ("error-rate", "result < 0.05", 3.0, "3 < 0.05 is false"),
        ("errors", "result <= 0", 0.4, "0.4 <= 0 is false"),
    ] {
        assert_eq!(sentence(name, condition, value), expected);
    }
}

#[test]
fn a_displayed_value_reads_back_as_the_same_value() {
    for value in [
        number(0.95),
        number(f64::INFINITY),
        number(f64::NEG_INFINITY),
        vector([]),
        vector([1.0, -2.5]),
    ] {
        let text = match &value {
            Value::Array(values) => format!(
                "[{}]",
                values
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            other => other.to_string(),
        };
        assert_eq!(Value::from_display(&text), value, "{text}");
    }
    assert!(matches!(Value::from_display("NaN"), Value::Float(number) if number.is_nan()));
    assert_eq!(Value::from_display("ok"), Value::from("ok"));
    assert_eq!(Value::from_display(r#"{"a":1}"#), json(r#"{"a":1}"#));
}
