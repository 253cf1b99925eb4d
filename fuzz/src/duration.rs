//! Durations: any text is read or refused, and what was read is the same after it was written.

use jiff::SignedDuration;
use sluice_crds::{IntOrString, duration};

/// Characters that durations are made of, so that random bytes hit some.
const LETTERS: &[char] = &[
    '0', '1', '2', '5', '9', '.', '-', '+', 'h', 'm', 's', 'n', 'u', 'µ', 'μ', ' ', 'd', '٣', '😀',
];

/// Tries one input.
pub fn run(bytes: &[u8]) {
    try_text(&String::from_utf8_lossy(bytes));
    let text: String = bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .collect();
    try_text(&text);
    if let Some(seconds) = bytes.first_chunk::<4>() {
        let seconds = i32::from_le_bytes(*seconds);
        let read = duration::parse_int_or_string(&IntOrString::Int(seconds));
        assert_eq!(read, Ok(SignedDuration::from_secs(i64::from(seconds))));
    }
}

fn try_text(text: &str) {
    let _ = duration::parse_int_or_string(&IntOrString::String(text.to_owned()));
    match duration::parse(text) {
        Ok(read) => {
            let written = duration::format(read);
            let again = duration::parse(&written).expect("what was written can be read");
            assert_eq!(
                again,
                SignedDuration::from_secs(read.as_secs()),
                "{text:?} {written:?}"
            );
        }
        Err(error) => assert!(error.to_string().contains("invalid duration"), "{error}"),
    }
}
