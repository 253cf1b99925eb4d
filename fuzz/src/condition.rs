//! Conditions: any text is read or refused, and what was read gives the same verdict, or the same error, twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sluice_analysis::condition::Condition;
use sluice_analysis::expression::Value;

/// Pieces that conditions are made of, so that random bytes make some that can be read.
const PIECES: [&str; 48] = [
    "result",
    "[0]",
    ".field",
    " < ",
    " >= ",
    " == ",
    " != ",
    " && ",
    " || ",
    "!",
    "(",
    ")",
    "[",
    "]",
    ", ",
    "0.95",
    "1",
    "-1",
    "0",
    "9223372036854775807",
    "1e308",
    "\"a\"",
    "'b'",
    "nil",
    "true",
    "false",
    "len(",
    "default(",
    "isNaN(",
    "isInf(",
    "asFloat(",
    "asInt(",
    "all(",
    "any(",
    "filter(",
    "map(",
    "{# > 1}",
    " + ",
    " - ",
    " * ",
    " / ",
    " % ",
    " ** ",
    " ? ",
    " : ",
    " in ",
    "..",
    " ?? ",
];

/// Tries one input.
pub fn run(bytes: &[u8]) {
    try_text(&String::from_utf8_lossy(bytes));
    let text: String = bytes
        .iter()
        .filter_map(|byte| PIECES.get(usize::from(*byte) % PIECES.len()))
        .copied()
        .collect();
    try_text(&text);
}

fn try_text(text: &str) {
    match Condition::parse(text) {
        Ok(condition) => {
            for value in values() {
                let first = condition.evaluate(&value, Timestamp::UNIX_EPOCH);
                assert_eq!(
                    first,
                    condition.evaluate(&value, Timestamp::UNIX_EPOCH),
                    "{text:?}"
                );
                let _ = condition.comparison(&value, Timestamp::UNIX_EPOCH);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn values() -> [Value; 6] {
    [
        Value::Nil,
        Value::from(0.5),
        Value::from(f64::NAN),
        Value::from("text"),
        Value::from(vec![Value::from(0.98), Value::from(1_i64)]),
        Value::from(BTreeMap::from([("field".to_owned(), Value::from(true))])),
    ]
}
