//! The types of a pod template and of a canary step, as Go knows them: read from a data file that a Go program made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde_json::{Map, Value};
use sluice_crds::pod_template::PodTemplate;

use super::quantity;

/// Kind of a field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Bool,
    Int32,
    Int64,
    /// An amount such as `500m` or `1.5Gi`; a number or a string.
    Quantity,
    /// A whole number or a string.
    IntOrString,
    /// An RFC 3339 instant.
    Time,
    /// Any JSON.
    Raw,
    /// A value that tells absent from zero.
    Pointer(Box<Kind>),
    List(Box<Kind>),
    /// A map with string keys.
    Map(Box<Kind>),
    /// A struct, by its place in [`TYPES`].
    Struct(usize),
}

/// One field of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Left out when empty: absent, zero, `false`, or without elements. Structs are never empty.
    pub(super) omit_empty: bool,
    /// Left out when it is the zero time.
    pub(super) omit_zero: bool,
}

/// The structs. Their names are needed only to find where one begins: they refer to each other by place.
struct Types {
    places: BTreeMap<String, usize>,
    fields: Vec<Vec<Field>>,
}

static TYPES: LazyLock<Types> =
    LazyLock::new(|| parse(include_str!("../../data/pod_template_fields.json")));

/// The place of a struct; one that does not exist when the name is unknown.
pub(super) fn place(name: &str) -> usize {
    TYPES.places.get(name).copied().unwrap_or(usize::MAX)
}

/// The fields of the struct at a place, in Go's order; none when there is no such place.
pub(super) fn of(place: usize) -> &'static [Field] {
    TYPES
        .fields
        .get(place)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn parse(data: &str) -> Types {
    let lines: BTreeMap<String, Vec<String>> = serde_json::from_str(data).unwrap_or_default();
    let names = lines.keys().cloned();
    let places = names
        .enumerate()
        .map(|(place, name)| (name, place))
        .collect();
    let field = |line: &String| {
        let mut words = line.split_ascii_whitespace();
        let (name, kind) = (words.next()?, words.next()?);
        let options: Vec<&str> = words.collect();
        Some(Field {
            name: name.to_owned(),
            kind: parse_kind(kind, &places),
            omit_empty: options.contains(&"omitempty"),
            omit_zero: options.contains(&"omitzero"),
        })
    };
    let fields = lines
        .values()
        .map(|lines| lines.iter().filter_map(field).collect());
    Types {
        fields: fields.collect(),
        places,
    }
}

fn parse_kind(text: &str, places: &BTreeMap<String, usize>) -> Kind {
    let inner = |text| Box::new(parse_kind(text, places));
    if let Some(text) = text.strip_prefix('*') {
        Kind::Pointer(inner(text))
    } else if let Some(text) = text.strip_prefix("[]") {
        Kind::List(inner(text))
    } else if let Some(text) = text.strip_prefix("{}") {
        Kind::Map(inner(text))
    } else {
        match text {
            "string" => Kind::String,
            "bool" => Kind::Bool,
            "int32" => Kind::Int32,
            "int64" => Kind::Int64,
            "quantity" => Kind::Quantity,
            "intOrString" => Kind::IntOrString,
            "time" => Kind::Time,
            "raw" => Kind::Raw,
            name => Kind::Struct(places.get(name).copied().unwrap_or(usize::MAX)),
        }
    }
}

/// A field of a pod template whose value has a wrong type, or that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Path below the template, as in `spec.containers[0].ports[0].containerPort`.
    pub path: String,
    /// What is there, shortened.
    pub found: String,
    /// What belongs there.
    pub expected: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected {}, found {}",
            self.path, self.expected, self.found
        )
    }
}

/// Every value of a pod template that Kubernetes would not accept in its place because of its type. Unknown fields are
/// fine: a newer Kubernetes may know them.
#[must_use]
pub fn mismatches(template: &PodTemplate) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let template = template.fields();
    check_fields(&mut found, place("PodTemplateSpec"), template, &Path::Root);
    found
}

/// Where a value is; written out only for one that does not fit.
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
    Key(&'a Path<'a>, &'a str),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(above, name) => write!(f, "{above}.{name}"),
            Self::Index(above, index) => write!(f, "{above}[{index}]"),
            Self::Key(above, key) => write!(f, "{above}[{key}]"),
        }
    }
}

fn check_fields(
    found: &mut Vec<Mismatch>,
    place: usize,
    object: &Map<String, Value>,
    path: &Path<'_>,
) {
    for field in of(place) {
        if let Some(value) = object.get(&field.name) {
            check(found, &field.kind, value, &Path::Field(path, &field.name));
        }
    }
}

fn check(found: &mut Vec<Mismatch>, kind: &Kind, value: &Value, path: &Path<'_>) {
    if value.is_null() {
        return;
    }
    let expected = match (kind, value) {
        (Kind::Pointer(inner), _) => return check(found, inner, value, path),
        (Kind::List(inner), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check(found, inner, item, &Path::Index(path, index));
            }
            return;
        }
        (Kind::Map(inner), Value::Object(entries)) => {
            for (key, item) in entries {
                check(found, inner, item, &Path::Key(path, key));
            }
            return;
        }
        (Kind::Struct(place), Value::Object(object)) => {
            return check_fields(found, *place, object, path);
        }
        (Kind::Raw, _) | (Kind::String, Value::String(_)) | (Kind::Bool, Value::Bool(_)) => return,
        (Kind::Int32, Value::Number(number)) if whole(number).is_some_and(is_i32) => return,
        (Kind::Int64, Value::Number(number)) if whole(number).is_some() => return,
        (Kind::IntOrString, Value::String(_)) => return,
        (Kind::IntOrString, Value::Number(number)) if whole(number).is_some_and(is_i32) => return,
        (Kind::Quantity, Value::Number(_)) => return,
        (Kind::Quantity, Value::String(text)) if quantity::canonical(text).is_some() => return,
        (Kind::Time, Value::String(text)) if text.parse::<jiff::Timestamp>().is_ok() => return,
        (Kind::List(_), _) => "a list",
        (Kind::Map(_) | Kind::Struct(_), _) => "an object",
        (Kind::String, _) => "a string",
        (Kind::Bool, _) => "true or false",
        (Kind::Int32, _) => "a 32-bit whole number",
        (Kind::Int64, _) => "a whole number",
        (Kind::IntOrString, _) => "a whole number or a string",
        (Kind::Quantity, _) => "a quantity such as 500m or 1.5Gi",
        (Kind::Time, _) => "an RFC 3339 time",
    };
    found.push(Mismatch {
        path: path.to_string(),
        found: shorten(value),
        expected,
    });
}

fn is_i32(number: i64) -> bool {
    i32::try_from(number).is_ok()
}

/// A number as Go reads it into an integer: whole, whether or not it was written with a fraction of zero.
pub(crate) fn whole(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the bounds are checked first"
        )]
        number
            .as_f64()
            .filter(|float| float.fract() == 0.0 && float.abs() < 9.2e18)
            .map(|float| float as i64)
    })
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 {
        let start: String = text.chars().take(57).collect();
        format!("{start}…")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_struct_that_is_named_is_described() {
        fn named(kind: &Kind) -> Option<usize> {
            match kind {
                Kind::Pointer(inner) | Kind::List(inner) | Kind::Map(inner) => named(inner),
                Kind::Struct(place) => Some(*place),
                _ => None,
            }
        }
        assert!(!of(place("PodTemplateSpec")).is_empty() && !of(place("CanaryStep")).is_empty());
        assert!(of(place("NoSuchStruct")).is_empty());
        for (name, place) in &TYPES.places {
            for field in of(*place) {
                if let Some(inner) = named(&field.kind) {
                    assert!(
                        inner < TYPES.fields.len(),
                        "{name}.{} is of no type",
                        field.name
                    );
                }
            }
        }
    }

    #[test]
    fn wrong_types_are_found_with_their_path() {
        let template = PodTemplate::new(
            serde_json::from_value(serde_json::json!({
                "metadata": {"labels": {"app": 1}},
                "spec": {
                    "containers": [
                        {"name": "a", "ports": [{"containerPort": "80"}], "future": true,
                         "resources": {"limits": {"cpu": "much", "memory": 5}}},
                        "b"
                    ],
                    "hostNetwork": "yes",
                    "terminationGracePeriodSeconds": 30.0,
                    "volumes": {}
                }
            }))
            .unwrap(),
        );
        let found: Vec<String> = mismatches(&template)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "metadata.labels[app]: expected a string, found 1",
                "spec.volumes: expected a list, found {}",
                "spec.containers[0].ports[0].containerPort: expected a 32-bit whole number, found \"80\"",
                "spec.containers[0].resources.limits[cpu]: expected a quantity such as 500m or 1.5Gi, found \"much\"",
                "spec.containers[1]: expected an object, found \"b\"",
                "spec.hostNetwork: expected true or false, found \"yes\"",
            ]
        );
    }
}
