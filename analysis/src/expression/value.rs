//! Values of expressions: what JSON has, and what JSON has not (NaN, infinities, whole numbers apart from others,
//! instants, durations).

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::ops::Deref;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

/// A value. Copies of strings, arrays and maps are cheap.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number, NaN and infinities included.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// A list.
    Array(Arc<List>),
    /// A map.
    Map(Arc<Fields>),
    /// An instant, in UTC.
    Time(Timestamp),
    /// A length of time.
    Duration(SignedDuration),
}

/// The values of a list. What it weighs is known without looking into it, since lists that share their parts can be
/// far larger to walk through than to store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List {
    values: Vec<Value>,
    weight: usize,
    depth: usize,
}

impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.values
    }
}

/// The fields of a map, weighed as a [`List`] is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields {
    fields: BTreeMap<String, Value>,
    weight: usize,
    depth: usize,
}

impl Deref for Fields {
    type Target = BTreeMap<String, Value>;

    fn deref(&self) -> &BTreeMap<String, Value> {
        &self.fields
    }
}

impl Value {
    /// A list of numbers, as a vector of Prometheus is.
    #[must_use]
    pub fn numbers(numbers: impl IntoIterator<Item = f64>) -> Self {
        Self::array(numbers.into_iter().map(Self::Float).collect())
    }

    /// A list.
    #[must_use]
    pub fn array(values: Vec<Self>) -> Self {
        let weight = values
            .iter()
            .map(Self::weight)
            .fold(1, usize::saturating_add);
        let depth = 1 + values.iter().map(Self::depth).max().unwrap_or(0);
        Self::Array(Arc::new(List {
            values,
            weight,
            depth,
        }))
    }

    /// A map.
    #[must_use]
    pub fn map(fields: BTreeMap<String, Self>) -> Self {
        let weight = fields
            .iter()
            .map(|(key, value)| key.len().saturating_add(value.weight()))
            .fold(1, usize::saturating_add);
        let depth = 1 + fields.values().map(Self::depth).max().unwrap_or(0);
        Self::Map(Arc::new(Fields {
            fields,
            weight,
            depth,
        }))
    }

    /// What walking through it costs: values, and bytes of texts.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::String(text) => text.len().saturating_add(1),
            Self::Array(list) => list.weight,
            Self::Map(fields) => fields.weight,
            _ => 1,
        }
    }

    /// How deep lists and maps are nested in it.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Array(list) => list.depth,
            Self::Map(fields) => fields.depth,
            _ => 0,
        }
    }

    /// Reads a JSON value as Go's decoder does: every number is a float.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Self::String(text.as_str().into()),
            serde_json::Value::Array(values) => {
                Self::array(values.iter().map(Self::from_json).collect())
            }
            serde_json::Value::Object(fields) => Self::map(
                fields
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// Reads back what a measurement shows: a number, a list of numbers, JSON, or else a text.
    #[must_use]
    pub fn from_display(text: &str) -> Self {
        let text = text.trim();
        if let Some(number) = go_number(text) {
            return Self::Float(number);
        }
        if let Some(inside) = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let numbers: Option<Vec<f64>> = if inside.trim().is_empty() {
                Some(Vec::new())
            } else {
                inside
                    .split(',')
                    .map(|part| go_number(part.trim()))
                    .collect()
            };
            if let Some(numbers) = numbers {
                return Self::numbers(numbers);
            }
        }
        match serde_json::from_str(text) {
            Ok(json) => Self::from_json(&json),
            Err(_) => Self::String(text.into()),
        }
    }

    /// The name of the type, as Go prints it.
    #[must_use]
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "int",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Array(values)
                if !values.is_empty()
                    && values.iter().all(|value| matches!(value, Self::Float(_))) =>
            {
                "[]float64"
            }
            Self::Array(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
        }
    }

    /// The number, of either kind.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            #[expect(
                clippy::cast_precision_loss,
                reason = "as the Go library does when kinds of numbers meet"
            )]
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

/// Reads a number as `strconv.ParseFloat` does: what is not finite has the same names in Rust, but Go refuses digits that
/// are too large, and knows no sign of NaN. Hexadecimal digits and underscores are refused.
pub(crate) fn go_number(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let refused = if number.is_nan() {
        text.starts_with(['+', '-'])
    } else {
        number.is_infinite() && text.contains(|character: char| character.is_ascii_digit())
    };
    (!refused).then_some(number)
}

/// A number as Prometheus writes it: shortest digits that read back as the same number, without an exponent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberText(pub f64);

impl fmt::Display for NumberText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            f.write_str("NaN")
        } else if self.0.is_infinite() {
            f.write_str(if self.0.is_sign_positive() {
                "+Inf"
            } else {
                "-Inf"
            })
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// As Go's `%v`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("<nil>"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => go_float(*number, f),
            Self::String(text) => f.write_str(text),
            Self::Array(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_char(' ')?;
                    }
                    write!(f, "{value}")?;
                }
                f.write_char(']')
            }
            Self::Map(fields) => {
                f.write_str("map[")?;
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        f.write_char(' ')?;
                    }
                    write!(f, "{key}:{value}")?;
                }
                f.write_char(']')
            }
            Self::Time(time) => write!(f, "{}", time.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC")),
            Self::Duration(duration) => f.write_str(&go_duration(*duration)),
        }
    }
}

/// As `strconv` with `'g'` and the shortest precision: with an exponent below 1e-4 and from 1e6 on.
fn go_float(number: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if !number.is_finite() || number == 0.0 {
        return write!(f, "{}", NumberText(number));
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        write!(f, "{number}")
    } else {
        let sign = if exponent.is_negative() { '-' } else { '+' };
        write!(f, "{digits}e{sign}{:02}", exponent.unsigned_abs())
    }
}

/// As Go prints a `time.Duration`: `1h0m0s`, `1.5s`, `200ms`.
fn go_duration(duration: SignedDuration) -> String {
    let sign = if duration.is_negative() { "-" } else { "" };
    let nanos = duration.as_nanos().unsigned_abs();
    let fraction = |value: u128, unit: u128| {
        let digits = unit.to_string().len() - 1;
        let text = format!("{}.{:0digits$}", value / unit, value % unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanos {
        1..1_000 => format!("{sign}{nanos}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(nanos, 1_000_000)),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let seconds = fraction(nanos % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Self::array(values)
    }
}

impl From<BTreeMap<String, Value>> for Value {
    fn from(fields: BTreeMap<String, Value>) -> Self {
        Self::map(fields)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
