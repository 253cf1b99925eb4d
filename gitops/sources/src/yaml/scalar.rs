//! The value of a plain scalar, by the rules of Go's YAML 1.1 resolver (the one under `kubectl` and Argo CD).

use serde_json::{Number, Value};

/// The value of an untagged plain scalar.
pub(super) fn resolve(text: &str) -> Value {
    if let Some(value) = keyword(text) {
        return value;
    }
    match text.bytes().next() {
        Some(b'.') => go_float(text).unwrap_or_else(|| text.into()),
        Some(b'+' | b'-' | b'0'..=b'9') if !is_timestamp(text) => {
            let plain = text.replace('_', "");
            integer(&plain)
                .or_else(|| yaml_float(&plain).then(|| go_float(&plain)).flatten())
                .unwrap_or_else(|| text.into())
        }
        _ => text.into(),
    }
}

/// The value of a scalar with one of the tags of the YAML type repository; `Err` when it does not fit.
pub(super) fn tagged(suffix: &str, text: &str) -> Result<Value, String> {
    let mismatch = || format!("cannot read {text:?} as !!{suffix}");
    match suffix {
        "str" | "binary" | "timestamp" => Ok(text.into()),
        "null" => resolve(text)
            .is_null()
            .then_some(Value::Null)
            .ok_or_else(mismatch),
        "bool" => Some(resolve(text))
            .filter(Value::is_boolean)
            .ok_or_else(mismatch),
        "int" => Some(resolve(text))
            .filter(|value| value.is_i64() || value.is_u64())
            .ok_or_else(mismatch),
        "float" => Some(resolve(text))
            .filter(Value::is_number)
            .ok_or_else(mismatch),
        _ => Ok(text.into()),
    }
}

fn keyword(text: &str) -> Option<Value> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        _ => return None,
    })
}

/// Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`: the base is in the prefix, and a leading `0` means octal.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    // `from_str_radix` takes a sign of its own; Go does not take two.
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        i64::try_from(-i128::from(magnitude)).ok().map(Value::from)
    } else if text.starts_with('+') {
        // Go's ParseUint refuses a sign, so `+` only works for what fits ParseInt.
        i64::try_from(magnitude).ok().map(Value::from)
    } else {
        Some(Value::from(magnitude))
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn yaml_float(text: &str) -> bool {
    fn digits(text: &str) -> (usize, &str) {
        let count = text.bytes().take_while(u8::is_ascii_digit).count();
        (count, &text[count..])
    }
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, rest) = digits(text);
    let rest = match rest.strip_prefix('.') {
        Some(rest) => {
            let (fraction, rest) = digits(rest);
            if whole == 0 && fraction == 0 {
                return false;
            }
            rest
        }
        None if whole == 0 => return false,
        None => rest,
    };
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            let (count, rest) = digits(exponent);
            count > 0 && rest.is_empty()
        }
    }
}

/// A float as it looks after its way through JSON: a whole number is an integer there.
fn go_float(text: &str) -> Option<Value> {
    if !yaml_float(text) {
        return None;
    }
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    // Up to here Go's JSON encoder writes no exponent, and Kubernetes' decoder reads an integer.
    const LARGEST_PLAIN: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= LARGEST_PLAIN {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2^53")]
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

/// What Go's resolver takes for a date stays the text that it is: `2001-01-01` must not become a sum or a number.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 4 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-'
}
