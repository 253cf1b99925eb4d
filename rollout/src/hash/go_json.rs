//! Writes a value as Go would, after reading it into the struct that [`fields`](super::fields) describes.

use serde_json::{Map, Value};

use super::fields::{self, Field, Kind, whole};
use super::quantity;

/// The zero time of Go, which counts as absent.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Writes an object as the struct at this place.
pub(super) fn write_object(out: &mut Vec<u8>, place: usize, object: &Map<String, Value>) {
    out.push(b'{');
    let mut first = true;
    for field in fields::of(place) {
        let value = object.get(&field.name).unwrap_or(&Value::Null);
        if is_left_out(field, value) {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        write_string(out, &field.name);
        out.push(b':');
        write(out, &field.kind, value);
    }
    out.push(b'}');
}

/// Writes a value as the struct at this place; `null` is the struct with nothing set.
pub(super) fn write_struct(out: &mut Vec<u8>, place: usize, value: &Value) {
    match value {
        Value::Object(object) => write_object(out, place, object),
        Value::Null => write_object(out, place, &Map::new()),
        wrong => write_raw(out, wrong),
    }
}

fn is_left_out(field: &Field, value: &Value) -> bool {
    if field.omit_zero && is_zero_time(value) {
        return true;
    }
    field.omit_empty
        && match &field.kind {
            Kind::Struct(_) | Kind::Quantity | Kind::IntOrString | Kind::Time => false,
            Kind::Pointer(inner) if **inner == Kind::Time => is_zero_time(value),
            Kind::Pointer(_) => value.is_null(),
            Kind::String | Kind::Bool | Kind::Int32 | Kind::Int64 => match value {
                Value::Null => true,
                Value::Bool(bool) => !bool,
                Value::String(text) => text.is_empty(),
                Value::Number(number) => whole(number) == Some(0),
                Value::Array(_) | Value::Object(_) => false,
            },
            Kind::List(_) | Kind::Map(_) => match value {
                Value::Null => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(entries) => entries.is_empty(),
                _ => false,
            },
            Kind::Raw => value.is_null(),
        }
}

/// The zero time is written as `null`, and read again as absent.
fn is_zero_time(value: &Value) -> bool {
    value.is_null() || time(value).as_deref() == Some(ZERO_TIME)
}

fn write(out: &mut Vec<u8>, kind: &Kind, value: &Value) {
    match (kind, value) {
        (Kind::Struct(place), _) => write_struct(out, *place, value),
        (Kind::Pointer(_), Value::Null) => out.extend_from_slice(b"null"),
        (Kind::Pointer(inner), _) => write(out, inner, value),
        (Kind::List(inner), Value::Array(items)) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(out, inner, item);
            }
            out.push(b']');
        }
        (Kind::Map(inner), Value::Object(entries)) => {
            out.push(b'{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(out, key);
                out.push(b':');
                write(out, inner, item);
            }
            out.push(b'}');
        }
        (Kind::String, Value::Null) => out.extend_from_slice(b"\"\""),
        (Kind::Bool, Value::Null) => out.extend_from_slice(b"false"),
        (Kind::Int32 | Kind::Int64 | Kind::IntOrString, Value::Null) => out.push(b'0'),
        (Kind::Int32 | Kind::Int64 | Kind::IntOrString, Value::Number(number)) => {
            match whole(number) {
                // Go narrows without a check.
                #[expect(clippy::cast_possible_truncation, reason = "as Go does")]
                Some(number) if *kind == Kind::Int32 => {
                    out.extend_from_slice((number as i32).to_string().as_bytes());
                }
                Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
                None => write_raw(out, value),
            }
        }
        (Kind::Quantity, Value::Null) => out.extend_from_slice(b"\"0\""),
        (Kind::Quantity, Value::String(text)) => match quantity::canonical(text) {
            Some(text) => write_string(out, &text),
            None => write_raw(out, value),
        },
        (Kind::Quantity, Value::Number(number)) => match quantity::canonical(&go_number(number)) {
            Some(text) => write_string(out, &text),
            None => write_raw(out, value),
        },
        (Kind::Time, Value::String(_)) => match time(value) {
            Some(text) => write_string(out, &text),
            None => write_raw(out, value),
        },
        // Any JSON, and values of a wrong type: a template with one still has a hash.
        (_, _) => write_raw(out, value),
    }
}

/// An instant in UTC, to the second below.
fn time(value: &Value) -> Option<String> {
    let instant: jiff::Timestamp = value.as_str()?.parse().ok()?;
    let behind = i64::from(instant.subsec_nanosecond() < 0);
    let whole = jiff::Timestamp::from_second(instant.as_second() - behind).ok()?;
    Some(whole.to_string())
}

/// Any JSON, compact, with sorted keys.
fn write_raw(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(bool) => out.extend_from_slice(bool.to_string().as_bytes()),
        Value::Number(number) => out.extend_from_slice(go_number(number).as_bytes()),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_raw(out, item);
            }
            out.push(b']');
        }
        Value::Object(entries) => {
            out.push(b'{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(out, key);
                out.push(b':');
                write_raw(out, item);
            }
            out.push(b'}');
        }
    }
}

/// A string with Go's escapes, those for HTML included.
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text.bytes().all(is_plain) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    for char in text.chars() {
        match char {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(char)).as_bytes());
            }
            _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Whether a byte of a text is written as it is, whatever is around it: as nearly all of them are.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
}

/// A number as Go writes it: whole numbers that fit 64 signed bits as they are, all others as a float, with an
/// exponent below 1e-6 and from 1e21.
fn go_number(number: &serde_json::Number) -> String {
    if let Some(number) = number.as_i64() {
        return number.to_string();
    }
    let float = number.as_f64().unwrap_or_default();
    if float == 0.0 {
        // A negative zero has become a whole number on its way through the API server.
        return "0".to_owned();
    }
    if !(1e-6..1e21).contains(&float.abs()) {
        // Rust writes the same shortest digits, but no sign before a positive exponent.
        let text = format!("{float:e}");
        return if text.contains("e-") {
            text
        } else {
            text.replace('e', "e+")
        };
    }
    float.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (json, go) in [
            ("1", "1"),
            ("1.0", "1"),
            ("-0.0", "0"),
            ("-0.5", "-0.5"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("1.5e300", "1.5e+300"),
            ("0.000001", "0.000001"),
            ("0.00000012", "1.2e-7"),
            ("18446744073709551615", "18446744073709552000"),
        ] {
            let Value::Number(number) = serde_json::from_str(json).unwrap() else {
                panic!()
            };
            assert_eq!(go_number(&number), go, "{json}");
        }
    }
}
