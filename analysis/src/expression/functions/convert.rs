//! Functions from one type to another.

use serde_json::{Map, Number};

use super::super::value::{NumberText, Value};
use super::super::{ExpressionError, LIMITS, Result};
use super::{Function, Gives, argument, invalid, numbers, plain, text};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("int", 1, 1, Gives::Integer, |_, values| {
        numbers::to_integer(argument(values, 0))
    }),
    plain("float", 1, 1, Gives::Float, |_, values| {
        let value = argument(values, 0);
        match value {
            Value::String(text) => super::super::value::go_number(text)
                .map(Value::Float)
                .ok_or_else(|| ExpressionError::new(format!("invalid operation: float({text})"))),
            other => other.as_number().map(Value::Float).ok_or_else(|| {
                ExpressionError::new(format!("invalid operation: float({})", other.type_name()))
            }),
        }
    }),
    plain("string", 1, 1, Gives::String, |evaluator, values| {
        let text = argument(values, 0).to_string();
        evaluator.text(text)
    }),
    plain("type", 1, 1, Gives::String, |_, values| {
        Ok(match argument(values, 0) {
            Value::Nil => "nil",
            Value::Bool(_) => "bool",
            Value::Integer(_) => "int",
            Value::Float(_) => "float",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Map(_) => "map",
            Value::Time(_) => "time.Time",
            Value::Duration(_) => "time.Duration",
        }
        .into())
    }),
    plain("toJSON", 1, 1, Gives::String, |evaluator, values| {
        let json = to_json(argument(values, 0))?;
        let text = serde_json::to_string_pretty(&json)
            .map_err(|error| ExpressionError::new(error.to_string()))?;
        evaluator.text(text)
    }),
    plain("fromJSON", 1, 1, Gives::Unknown, |evaluator, values| {
        let json: serde_json::Value = serde_json::from_str(text("fromJSON", values, 0)?)
            .map_err(|error| ExpressionError::new(error.to_string()))?;
        let value = Value::from_json(&json);
        evaluator.grow(value.weight())?;
        if value.depth() > LIMITS.depth {
            return Err(ExpressionError::new("memory budget exceeded"));
        }
        Ok(value)
    }),
    plain("toBase64", 1, 1, Gives::String, |evaluator, values| {
        let encoded = encode(text("toBase64", values, 0)?.as_bytes());
        evaluator.text(encoded)
    }),
    plain("fromBase64", 1, 1, Gives::String, |evaluator, values| {
        let decoded = decode(text("fromBase64", values, 0)?)
            .ok_or_else(|| ExpressionError::new("illegal base64 data"))?;
        evaluator.text(String::from_utf8_lossy(&decoded).into_owned())
    }),
];

fn to_json(value: &Value) -> Result<serde_json::Value> {
    Ok(match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(number) => (*number).into(),
        // A whole float is written without a point.
        Value::Float(number) => match NumberText(*number).to_string().parse::<i64>() {
            Ok(whole) => whole.into(),
            Err(_) => Number::from_f64(*number)
                .map(serde_json::Value::Number)
                .ok_or_else(|| {
                    ExpressionError::new(format!(
                        "json: unsupported value: {}",
                        NumberText(*number)
                    ))
                })?,
        },
        Value::String(text) => text.as_ref().into(),
        Value::Array(values) => values
            .iter()
            .map(to_json)
            .collect::<Result<Vec<_>>>()?
            .into(),
        Value::Map(fields) => serde_json::Value::Object(
            fields
                .iter()
                .map(|(key, value)| Ok((key.clone(), to_json(value)?)))
                .collect::<Result<Map<_, _>>>()?,
        ),
        Value::Time(time) => time.to_string().into(),
        Value::Duration(duration) => match i64::try_from(duration.as_nanos()) {
            Ok(nanos) => nanos.into(),
            Err(_) => return Err(invalid("toJSON", value)),
        },
    })
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| chunk.get(index).copied().unwrap_or(0);
        let group = u32::from_be_bytes([0, byte(0), byte(1), byte(2)]);
        for place in 0..4 {
            if place > chunk.len() {
                text.push('=');
            } else {
                let index = (group >> (18 - 6 * place)) & 63;
                let letter = usize::try_from(index)
                    .ok()
                    .and_then(|index| ALPHABET.get(index));
                text.push(letter.map_or('=', |letter| char::from(*letter)));
            }
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text: Vec<u8> = text
        .bytes()
        .filter(|byte| !matches!(byte, b'\n' | b'\r'))
        .collect();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut group = 0u32;
    let mut letters = 0;
    for byte in text.iter().take(text.len() - padding) {
        let value = ALPHABET.iter().position(|letter| letter == byte)?;
        group = group * 64 + u32::try_from(value).ok()?;
        letters += 1;
        if letters == 4 {
            bytes.extend(group.to_be_bytes().into_iter().skip(1));
            (group, letters) = (0, 0);
        }
    }
    group <<= 6 * padding;
    if padding > 0 {
        bytes.extend(group.to_be_bytes().into_iter().skip(1).take(3 - padding));
    }
    Some(bytes)
}
