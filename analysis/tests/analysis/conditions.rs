//! The condition language against outcomes of the Go library `expr` as Argo's controller uses it.

use jiff::Timestamp;
use sluice_analysis::Phase;
use sluice_analysis::condition::{self, Condition, ConditionError};
use sluice_analysis::expression::Value;
use sluice_crds::analysis::Metric;

pub(crate) fn now() -> Timestamp {
    "2026-08-17T10:30:15Z".parse().unwrap()
}

pub(crate) fn number(number: f64) -> Value {
    Value::Float(number)
}

pub(crate) fn vector<const N: usize>(numbers: [f64; N]) -> Value {
    Value::numbers(numbers)
}

pub(crate) fn json(text: &str) -> Value {
    Value::from_json(&serde_json::from_str(text).unwrap())
}

pub(crate) fn evaluate(condition: &str, result: &Value) -> Result<bool, ConditionError> {
    Condition::parse(condition)?.evaluate(result, now())
}

#[track_caller]
fn check(vectors: &[(&str, Value, bool)]) {
    for (condition, result, expected) in vectors {
        assert_eq!(
            evaluate(condition, result),
            Ok(*expected),
            "{condition} with {result:?}"
        );
    }
}

/// Each of these is an error in Go, at compile time or at run time; the text is part of our message.
#[track_caller]
fn check_errors(vectors: &[(&str, Value, &str)]) {
    for (condition, result, expected) in vectors {
        let error = evaluate(condition, result)
            .expect_err(condition)
            .to_string();
        assert!(
            error.contains(expected),
            "{condition} with {result:?}: {error}"
        );
    }
}

#[test]
fn conditions_of_prometheus_vectors_and_scalars_give_what_go_gives() {
    check(&[
        ("result[0] >= 0.95", vector([0.96]), true),
        ("result[0] >= 0.95", vector([0.94]), false),
        ("result[0] >= 0.95", vector([0.95]), true),
        ("result >= 0.95", number(0.95), true),
        ("result == 1", number(1.0), true),
        ("result != 1", number(1.0), false),
        ("result[0] > 0 && result[0] < 1", vector([0.5]), true),
        ("result[0] < 0 || result[0] > 1", vector([0.5]), false),
        ("len(result) > 0", vector([]), false),
        ("len(result) == 0 || result[0] < 1", vector([]), true),
        ("len(result) == 0 || result[0] < 1", vector([2.0]), false),
        ("all(result, # < 1000)", vector([1.0, 2.0, 999.0]), true),
        ("all(result, # < 1000)", vector([1.0, 1000.0]), false),
        ("all(result, # < 1000)", vector([]), true),
        ("all(result, {# < 1000})", vector([1.0, 2.0]), true),
        ("any(result, {# > 10})", vector([1.0, 20.0]), true),
        ("any(result, # > 10)", vector([]), false),
        ("none(result, # > 10)", vector([1.0]), true),
        ("one(result, # > 10)", vector([11.0, 12.0]), false),
        (
            "count(result, # > 10) == 2",
            vector([11.0, 12.0, 1.0]),
            true,
        ),
        ("isNaN(result[0])", vector([f64::NAN]), true),
        (
            "isNaN(result[0]) || result[0] >= 0.95",
            vector([f64::NAN]),
            true,
        ),
        ("result[0] >= 0.95", vector([f64::NAN]), false),
        ("result[0] < 0.95", vector([f64::NAN]), false),
        ("result[0] == result[0]", vector([f64::NAN]), false),
        ("isInf(result)", number(f64::INFINITY), true),
        ("isInf(result)", number(f64::NEG_INFINITY), true),
        ("result > 1000000", number(f64::INFINITY), true),
        ("not isNaN(result)", number(0.0), true),
        ("!(result > 1) and result >= 0", number(0.5), true),
        ("result[-1] == 3", vector([1.0, 2.0, 3.0]), true),
        ("result[0:2] == [1, 2]", vector([1.0, 2.0, 3.0]), true),
        ("1 in result", vector([1.0, 2.0]), true),
        ("5 not in result", vector([1.0, 2.0]), true),
        ("mean(result) == 2", vector([1.0, 2.0, 3.0]), true),
        ("median(result) == 2", vector([3.0, 1.0, 2.0]), true),
        (
            "max(result) < 4 && min(result) > 0",
            vector([1.0, 3.0]),
            true,
        ),
        ("sum(result) == 6", vector([1.0, 2.0, 3.0]), true),
        ("0 < result < 1", number(0.5), true),
        ("0 < result < 1", number(1.5), false),
        ("result * 100 >= 95", number(0.95), true),
        ("abs(result) < 0.1", number(-0.05), true),
        ("result > 0.5 ? true : false", number(0.6), true),
        ("let r = result[0]; r > 1 && r < 3", vector([2.0]), true),
        ("isNil(result)", number(1.0), false),
    ]);
}

#[test]
fn conditions_of_json_results_give_what_go_gives() {
    let data = r#"{"ok": true, "successPercent": 0.95, "name": "web", "tags": ["a", "b"], "none": null,
        "items": [{"status": "ok", "n": 1}, {"status": "bad", "n": 2}], "deep": {"er": {"x": 1}}}"#;
    check(&[
        (
            "result.ok && result.successPercent >= 0.90",
            json(data),
            true,
        ),
        ("result.ok == true", json(data), true),
        ("result == true", json("true"), true),
        ("result == 'true'", json(r#""true""#), true),
        ("result.name == 'web'", json(data), true),
        ("result.name == \"api\"", json(data), false),
        ("result['name'] contains 'e'", json(data), true),
        ("result.name startsWith 'we'", json(data), true),
        ("result.name endsWith 'x'", json(data), false),
        ("result.name matches '^w.b$'", json(data), true),
        ("not (result.name matches 'x')", json(data), true),
        ("result.name not contains 'x'", json(data), true),
        ("'a' in result.tags", json(data), true),
        ("'name' in result", json(data), true),
        ("'nope' in result", json(data), false),
        ("result.nope == nil", json(data), true),
        ("result.none == nil", json(data), true),
        ("result.none?.x == nil", json(data), true),
        ("result.nope?.a.b.c == nil", json(data), true),
        ("result.deep.er.x == 1", json(data), true),
        ("(result.nope ?? 5) == 5", json(data), true),
        ("any(result.items, .status == 'bad')", json(data), true),
        ("all(result.items, {.n > 0})", json(data), true),
        (
            "filter(result.items, .n > 1)[0].status == 'bad'",
            json(data),
            true,
        ),
        ("map(result.items, .n) == [1, 2]", json(data), true),
        (
            "len(result.items) == 2 && len(result.name) == 3",
            json(data),
            true,
        ),
        ("result.items | map(.n) | sum() == 3", json(data), true),
        ("asFloat(result) >= 0.9", json(r#""0.95""#), true),
        ("asInt(result) == 95", json(r#""95""#), true),
        ("int(result) == 95", json(r#""95""#), true),
        ("float(result) > 0.9", json(r#""0.95""#), true),
        ("default(result, 0) == 0", Value::Nil, true),
        ("default(result, 0) == 1", number(1.0), true),
        ("isNil(result)", Value::Nil, true),
        ("result == nil", Value::Nil, true),
        ("upper(result) == 'OK'", json(r#""ok""#), true),
        ("trim(result) == 'ok'", json(r#"" ok ""#), true),
        ("split(result, ',')[1] == 'b'", json(r#""a,b""#), true),
        ("result.deep == {er: {x: 1}}", json(data), true),
        ("keys(result.deep)[0] == 'er'", json(data), true),
        ("string(result.items[0].n) == '1'", json(data), true),
        ("type(result) == 'map'", json(data), true),
        ("result == 'a\\u0062c'", json(r#""abc""#), true),
        ("result.nope contains 'x'", json(data), false),
        (
            "find(result.items, .n == 2).status == 'bad'",
            json(data),
            true,
        ),
        ("reduce(result.items, #acc + .n, 0) == 3", json(data), true),
    ]);
}

#[test]
fn operators_bind_and_count_as_in_go() {
    check(&[
        ("1 + 2 * 3 == 7", Value::Nil, true),
        ("-2 ** 2 == -4", Value::Nil, true),
        ("2 ** 3 == 8.0 && 2 ^ 3 == 8", Value::Nil, true),
        ("5 / 2 == 2.5", Value::Nil, true),
        ("7 % 3 == 1 && -7 % 3 == -1", Value::Nil, true),
        ("1..3 == [1, 2, 3]", Value::Nil, true),
        ("true or false and false", Value::Nil, true),
        ("not true == false", Value::Nil, true),
        ("!false && !false", Value::Nil, true),
        ("!!true", Value::Nil, true),
        (
            "0x10 == 16 && 0b11 == 3 && 0o17 == 15 && 1_000 == 1000",
            Value::Nil,
            true,
        ),
        (".5 + .5 == 1e0", Value::Nil, true),
        ("false ? 1 : true ? false : true", Value::Nil, false),
        ("if 1 > 2 { false } else { true }", Value::Nil, true),
        ("(1 / 0) > 5", Value::Nil, true),
        ("`raw \\n` == 'raw \\\\n'", Value::Nil, true),
        ("/* why */ true // because", Value::Nil, true),
        ("'b' > 'a'", Value::Nil, true),
        ("[1, 2][1] == 2 && [1, [2]][1][0] == 2", Value::Nil, true),
        ("{a: 1, 'b-c': 2}['b-c'] == 2", Value::Nil, true),
        ("$env['result'] == nil", Value::Nil, true),
        ("bitand(6, 3) == 2 && bitshl(1, 4) == 16", Value::Nil, true),
        (
            "round(-1.5) == -2 && floor(1.9) == 1 && ceil(1.1) == 2",
            Value::Nil,
            true,
        ),
        ("first([]) == nil && last([1, 2]) == 2", Value::Nil, true),
        (
            "sort([3, 1, 2]) == [1, 2, 3] && sort([1, 2], 'desc') == [2, 1]",
            Value::Nil,
            true,
        ),
        ("sortBy([{n: 2}, {n: 1}], .n)[0].n == 1", Value::Nil, true),
        (
            "findIndex([1, 2, 3], # == 3) == 2 && findLast([1, 2], # > 0) == 2",
            Value::Nil,
            true,
        ),
        ("fromJSON('{\"a\": [1]}').a[0] == 1", Value::Nil, true),
        (
            "toBase64('Hello World') == 'SGVsbG8gV29ybGQ='",
            Value::Nil,
            true,
        ),
        (
            "fromBase64('SGVsbG8gV29ybGQ=') == 'Hello World'",
            Value::Nil,
            true,
        ),
        (
            "concat([1], [2, 3]) == [1, 2, 3] && reverse([1, 2]) == [2, 1]",
            Value::Nil,
            true,
        ),
        (
            "flatten([1, [2, [3]]]) == [1, 2, 3] && uniq([1, 1, 2]) == [1, 2]",
            Value::Nil,
            true,
        ),
        (
            "join(['a', 'b'], '-') == 'a-b' && repeat('ab', 2) == 'abab'",
            Value::Nil,
            true,
        ),
        (
            "indexOf('abcb', 'b') == 1 && lastIndexOf('abcb', 'b') == 3",
            Value::Nil,
            true,
        ),
        (
            "replace('a-b-c', '-', '+') == 'a+b+c' && replace('a-b-c', '-', '+', 1) == 'a+b-c'",
            Value::Nil,
            true,
        ),
        ("map(1..3, # * #index) == [0, 2, 6]", Value::Nil, true),
        (
            "get([1, 2], 5) == nil && get({a: 1}, 'a') == 1",
            Value::Nil,
            true,
        ),
        (
            "string(1000000.0) == '1e+06' && string(0.5) == '0.5'",
            Value::Nil,
            true,
        ),
    ]);
}

#[test]
fn times_and_durations_are_reckoned_from_the_time_that_is_given() {
    check(&[
        (
            "now().Year() == 2026 && now().Hour() == 10",
            Value::Nil,
            true,
        ),
        ("now() - duration('1h') < now()", Value::Nil, true),
        (
            "(now() - date('2026-08-17')).Hours() > 10",
            Value::Nil,
            true,
        ),
        ("duration('90s').Minutes() == 1.5", Value::Nil, true),
        ("duration('1h') > duration('59m')", Value::Nil, true),
        ("date('2026-08-17T10:30:15Z') == now()", Value::Nil, true),
        ("duration('1h30m').String() == '1h30m0s'", Value::Nil, true),
    ]);
    assert_eq!(
        condition::instant("now() - duration(\"5m\")", now()).unwrap(),
        "2026-08-17T10:25:15Z".parse().unwrap()
    );
    assert!(condition::instant("5", now()).is_err());
    assert!(condition::instant("result", now()).is_err());
}

#[test]
fn what_go_refuses_is_an_error_and_never_a_verdict() {
    check_errors(&[
        // The library that was tried first gives nil here, so that the second of these would pass without data.
        (
            "result[0] >= 0.95",
            vector([]),
            "index out of range: 0 (array length is 0)",
        ),
        ("result[0] != 1", vector([]), "index out of range"),
        (
            "result[3] > 1",
            vector([1.0]),
            "index out of range: 3 (array length is 1)",
        ),
        (
            "result >= 0.95",
            Value::Nil,
            "metric result is nil or empty",
        ),
        ("result[0] > 1", Value::Nil, "metric result is nil or empty"),
        ("result.ok", Value::Nil, "metric result is nil or empty"),
        (
            "result >= 0.95",
            vector([0.96]),
            "mismatched types []float64 and float64",
        ),
        (
            "result == 'x'",
            number(1.0),
            "mismatched types float64 and string",
        ),
        (
            "result[0] == 'x'",
            vector([1.0]),
            "mismatched types float64 and string",
        ),
        ("result > 'x'", number(1.0), "mismatched types"),
        ("result + 1", number(1.0), "expected bool, but got float64"),
        ("result", vector([1.0]), "expected bool, but got []float64"),
        ("nope > 1", number(1.0), "unknown name nope"),
        ("false && nope", number(1.0), "unknown name nope"),
        ("nope(1)", number(1.0), "unknown name nope"),
        ("result[0] >", vector([1.0]), "unexpected end of expression"),
        ("result = 1", number(1.0), "unexpected token"),
        ("result.ok", number(1.0), "type float64 has no field ok"),
        (
            "result.a.b == 1",
            json(r#"{"a": 1}"#),
            "cannot fetch b from float64",
        ),
        (
            "result.a.b == 1",
            json(r#"{"x": 1}"#),
            "cannot fetch b from <nil>",
        ),
        (
            "result.a > 1",
            json(r#"{"a": "x"}"#),
            "invalid operation: string > int",
        ),
        (
            "result.a + 1 > 1",
            json(r#"{"a": "x"}"#),
            "invalid operation: string + int",
        ),
        ("asFloat(result) > 1", json(r#""abc""#), "parsing \"abc\""),
        ("asInt(result) > 1", json(r#""1.5""#), "parsing \"1.5\""),
        ("asFloat(result) > 1", json("true"), "asFloat"),
        ("isNaN(result)", json(r#""x""#), "cannot use string"),
        (
            "all(result, # + 1)",
            vector([1.0]),
            "predicate should return boolean (got float64)",
        ),
        (
            "all(result, # < 1)",
            number(1.0),
            "takes only array (got float64)",
        ),
        (
            "len(result) > 1",
            number(1.0),
            "invalid argument for len (type float64)",
        ),
        ("1 % 0 == 1", Value::Nil, "integer divide by zero"),
        ("result.a ?? 1 > 0", json("{}"), "cannot be mixed"),
        ("'a' in 'abc'", Value::Nil, "mismatched types"),
        ("result ? true : false", number(1.0), "used as condition"),
        ("!result", number(1.0), "mismatched type float64"),
        (
            "len()",
            number(1.0),
            "invalid number of arguments for len (expected 1, got 0)",
        ),
        ("trim()", number(1.0), "(expected 1 to 2, got 0)"),
        ("max()", number(1.0), "(expected at least 1, got 0)"),
        (
            "result > 1",
            json(r#"[1, "a"]"#),
            "mismatched types []interface {} and int",
        ),
        ("'unclosed", number(1.0), "literal not terminated"),
        ("result @ 1", number(1.0), "unrecognized character"),
        ("'x' matches '('", Value::Nil, "regex"),
    ]);
}

#[test]
fn a_condition_that_fails_for_want_of_data_says_so_and_any_other_does_not() {
    for (condition, result, no_data) in [
        ("result > 1", Value::Nil, true),
        ("result[0] > 1", vector([]), true),
        ("result.a.b > 1", json("{}"), true),
        ("asInt(result) > 1", json(r#""""#), true),
        ("result[1] > 1", vector([1.0]), false),
        ("result.a.b > 1", json(r#"{"a": 1}"#), false),
        ("asInt(result) > 1", json(r#""x""#), false),
        ("result.a > 1", number(0.0), false),
    ] {
        let error = evaluate(condition, &result).expect_err(condition);
        let told = matches!(error, ConditionError::NoData { .. });
        assert_eq!(told, no_data, "{condition} with {result:?}: {error}");
    }
}

#[test]
fn what_cannot_be_read_is_pointed_at_in_characters_from_one() {
    for (condition, place) in [
        ("# == 1", 1),
        ("1 + nope", 5),
        ("'ä' + nope", 7),
        ("1 + len()", 5),
        ("result @ 1", 8),
        ("result < < 1", 10),
        ("let x = 1; let x = 2; x", 16),
        // What is missing is missed after the end.
        ("1 +", 4),
        ("(1", 3),
        ("'open", 6),
    ] {
        let Err(ConditionError::Parse { error, .. }) = Condition::parse(condition) else {
            panic!("{condition} can be read");
        };
        assert_eq!(error.position, Some(place), "{condition}: {error}");
    }
}

/// The library leaves such numbers in whatever order it meets them.
#[test]
fn numbers_are_sorted_although_one_of_them_is_none() {
    let with_nan = || vector([3.0, f64::NAN, 1.0, 2.0]);
    check(&[
        ("sort(result)[0:3] == [1, 2, 3]", with_nan(), true),
        ("isNaN(sort(result)[3])", with_nan(), true),
        ("sort(result, 'desc')[1:] == [3, 2, 1]", with_nan(), true),
    ]);
}

fn judge(success: Option<&str>, failure: Option<&str>, result: &Value) -> Option<Phase> {
    let metric = Metric {
        success_condition: success.map(str::to_owned),
        failure_condition: failure.map(str::to_owned),
        ..Metric::default()
    };
    condition::judge(&metric, result, now()).ok()
}

#[test]
fn two_conditions_make_three_verdicts() {
    let good = Some("result >= 0.9");
    let bad = Some("result < 0.5");
    for (success, failure, value, phase) in [
        (None, None, 0.1, Some(Phase::Successful)),
        (good, None, 0.95, Some(Phase::Successful)),
        (good, None, 0.7, Some(Phase::Failed)),
        (None, bad, 0.7, Some(Phase::Successful)),
        (None, bad, 0.1, Some(Phase::Failed)),
        (good, bad, 0.95, Some(Phase::Successful)),
        (good, bad, 0.7, Some(Phase::Inconclusive)),
        (good, bad, 0.1, Some(Phase::Failed)),
        // Failure comes first.
        (
            Some("result > 0"),
            Some("result > 0"),
            1.0,
            Some(Phase::Failed),
        ),
        (Some("result.x"), None, 1.0, None),
        (Some(""), Some(""), 1.0, Some(Phase::Successful)),
    ] {
        assert_eq!(
            judge(success, failure, &number(value)),
            phase,
            "{success:?} {failure:?} {value}"
        );
    }
}
