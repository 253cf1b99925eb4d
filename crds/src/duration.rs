//! Durations as the API writes them: whole seconds as a number, or a Go duration string such as `"1m30s"`.
//!
//! Go's grammar (`time.ParseDuration`) is signed decimal numbers, each with an optional fraction and a unit:
//! `ns`, `us`/`µs`, `ms`, `s`, `m`, `h`. A bare `"0"` needs no unit. Upstream also takes a bare number in a
//! string (`"180"`) as seconds.

use jiff::SignedDuration;

use crate::IntOrString;

/// Why a duration was not understood; the message names the text and says what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid duration {text:?}: {reason}; write whole seconds (30) or a Go duration (\"30s\", \"5m\", \"1h30m\")"
)]
pub struct DurationError {
    text: String,
    reason: &'static str,
}

/// Parses a Go duration string.
///
/// # Errors
/// When a number or a unit is missing or unknown, or when the value does not fit into 292 years.
pub fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    let error = |reason| DurationError {
        text: text.to_owned(),
        reason,
    };
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(error("it is empty"));
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (whole, after) = rest.split_at(digits);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => {
                let digits = after
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(after.len());
                after.split_at(digits)
            }
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(error("a number is missing"));
        }
        let (unit, after) = unit(after)
            .ok_or_else(|| error("a unit (ns, us, ms, s, m, h) is missing or unknown"))?;
        let too_large = || error("it is too large");
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| too_large())?
        };
        total = whole
            .checked_mul(unit)
            .and_then(|nanos| nanos.checked_add(total))
            .ok_or_else(too_large)?;
        let mut scale = unit;
        for digit in fraction.bytes() {
            scale /= 10;
            total += i128::from(digit - b'0') * scale;
        }
        if total > i128::from(i64::MAX) {
            return Err(too_large());
        }
        rest = after;
    }
    let nanos = i64::try_from(total).map_err(|_| error("it is too large"))?;
    Ok(SignedDuration::from_nanos(if negative {
        -nanos
    } else {
        nanos
    }))
}

fn unit(text: &str) -> Option<(i128, &str)> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    // "ms" before "m": the longer unit wins.
    UNITS
        .iter()
        .find_map(|(name, nanos)| Some((*nanos, text.strip_prefix(name)?)))
}

/// Reads a field that takes both forms, for example `pause.duration`.
///
/// # Errors
/// When it is a string that is neither a number of seconds nor a Go duration.
pub fn parse_int_or_string(value: &IntOrString) -> Result<SignedDuration, DurationError> {
    match value {
        IntOrString::Int(seconds) => Ok(SignedDuration::from_secs(i64::from(*seconds))),
        IntOrString::String(text) => match text.parse::<i32>() {
            Ok(seconds) => Ok(SignedDuration::from_secs(i64::from(seconds))),
            Err(_) => parse(text),
        },
    }
}

/// Writes a duration as Go prints it, to whole seconds: `1h2m3s`, `90s` as `1m30s`, zero as `0s`.
#[must_use]
pub fn format(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let sign = if seconds < 0 { "-" } else { "" };
    let seconds = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("-3s", -3_000),
            ("250ms", 250),
            ("1m0.5s", 60_500),
        ] {
            assert_eq!(
                parse(text).unwrap(),
                SignedDuration::from_millis(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in ["", "-", "5", "5x", "m", "1d", "1h 2m", ".s", "99999999999h"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_pause_takes_a_number_a_numeric_string_and_a_go_duration() {
        for value in [
            IntOrString::Int(180),
            IntOrString::String("180".into()),
            IntOrString::String("3m".into()),
        ] {
            assert_eq!(
                parse_int_or_string(&value).unwrap(),
                SignedDuration::from_secs(180)
            );
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (seconds, text) in [(0, "0s"), (90, "1m30s"), (3600, "1h0m0s"), (-5, "-5s")] {
            assert_eq!(format(SignedDuration::from_secs(seconds)), text);
        }
    }
}
