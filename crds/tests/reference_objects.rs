//! Objects in which every field of the reference implementation is set (`e2e/vectors/objects`): the types of this crate
//! hold them all, and the definitions prune none.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_crds::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use sluice_crds::experiment::Experiment;
use sluice_crds::rollout::Rollout;
use sluice_crds::{crd, decode};

fn objects() -> Vec<Value> {
    serde_json::from_str(include_str!("../../e2e/vectors/objects/objects.json"))
        .expect("the vectors are JSON")
}

fn again<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    let decoded: T = decode::decode(object).expect("the object decodes");
    serde_json::to_value(decoded).expect("it can be written")
}

#[test]
fn every_field_survives_a_round_trip() {
    for object in objects() {
        let encoded = match object["kind"].as_str().unwrap() {
            "Rollout" => again::<Rollout>(&object),
            "AnalysisTemplate" => again::<AnalysisTemplate>(&object),
            "ClusterAnalysisTemplate" => again::<ClusterAnalysisTemplate>(&object),
            "AnalysisRun" => again::<AnalysisRun>(&object),
            "Experiment" => again::<Experiment>(&object),
            other => panic!("{other}"),
        };
        let mut different = Vec::new();
        compare(&object, &encoded, "", &mut different);
        assert!(
            different.is_empty(),
            "{}:\n{}",
            object["kind"],
            different.join("\n")
        );
    }
}

#[test]
fn every_field_has_a_place_in_the_definition() {
    let definitions = crd::all();
    for object in objects() {
        let definition = definitions
            .iter()
            .find(|definition| object["kind"] == definition.spec.names.kind.as_str())
            .unwrap();
        let mut wrong = Vec::new();
        for key in ["spec", "status"] {
            if let Some(value) = object.get(key) {
                check(
                    &schema(definition).properties.as_ref().unwrap()[key],
                    value,
                    key,
                    &mut wrong,
                );
            }
        }
        assert!(
            wrong.is_empty(),
            "{}:\n{}",
            object["kind"],
            wrong.join("\n")
        );
    }
}

fn schema(definition: &CustomResourceDefinition) -> &JSONSchemaProps {
    let validation = definition.spec.versions[0].schema.as_ref();
    validation
        .and_then(|validation| validation.open_api_v3_schema.as_ref())
        .expect("a schema")
}

/// Finds what an API server would prune or refuse.
fn check(schema: &JSONSchemaProps, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let kept = schema.x_kubernetes_preserve_unknown_fields == Some(true);
    let fits = match (schema.type_.as_deref(), value) {
        (None, Value::Number(_) | Value::String(_)) => {
            kept || schema.x_kubernetes_int_or_string == Some(true)
        }
        (None, _) => kept,
        (Some("object"), Value::Object(_))
        | (Some("array"), Value::Array(_))
        | (Some("string"), Value::String(_))
        | (Some("boolean"), Value::Bool(_)) => true,
        (Some("integer"), Value::Number(number)) => number.is_i64(),
        (Some("number"), Value::Number(_)) => true,
        _ => false,
    };
    if !fits {
        wrong.push(format!("{path}: {value} is no {:?}", schema.type_));
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = format!("{path}.{key}");
                match (
                    schema.properties.as_ref().and_then(|known| known.get(key)),
                    &schema.additional_properties,
                ) {
                    (Some(known), _) => check(known, value, &path, wrong),
                    (None, Some(JSONSchemaPropsOrBool::Schema(values))) => {
                        check(values, value, &path, wrong)
                    }
                    (None, _) if kept => {}
                    (None, _) => wrong.push(format!("{path}: would be pruned")),
                }
            }
        }
        Value::Array(elements) => {
            if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
                for (index, element) in elements.iter().enumerate() {
                    check(items, element, &format!("{path}[{index}]"), wrong);
                }
            }
        }
        _ => {}
    }
}

fn compare(expected: &Value, found: &Value, path: &str, different: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, value) in expected {
                let path = format!("{path}.{key}");
                match found.get(key) {
                    Some(found) => compare(value, found, &path, different),
                    None => different.push(format!("{path}: lost {value}")),
                }
            }
            for (key, value) in found {
                if !expected.contains_key(key) {
                    different.push(format!("{path}.{key}: added {value}"));
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(expected, found, &format!("{path}[{index}]"), different);
            }
        }
        _ if expected == found => {}
        _ => different.push(format!("{path}: {expected} became {found}")),
    }
}
