//! The hashes against those that Go computes: every vector that `e2e/vectors/podtemplate` has written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use sluice_crds::pod_template::PodTemplate;
use sluice_crds::rollout::CanaryStep;
use sluice_rollout::hash::{mismatches, pod_template_hash, pod_template_json, steps_hash};

const VECTORS: &str = include_str!("../../e2e/vectors/podtemplate/vectors.json");
const QUANTITIES: &str = include_str!("../../e2e/vectors/podtemplate/quantities.json");

#[derive(Deserialize)]
struct Vector {
    name: String,
    template: Option<PodTemplate>,
    #[serde(default)]
    steps: Value,
    json: String,
    hash: String,
    #[serde(default)]
    collisions: BTreeMap<String, String>,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(VECTORS).expect("the vectors are JSON")
}

#[test]
fn templates_are_written_and_hashed_as_go_does() {
    let mut count = 0;
    for vector in vectors() {
        let Some(template) = &vector.template else {
            continue;
        };
        let json = String::from_utf8(pod_template_json(template)).unwrap();
        assert_eq!(json, vector.json, "{}", vector.name);
        assert_eq!(
            pod_template_hash(template, None),
            vector.hash,
            "{}",
            vector.name
        );
        assert_eq!(vector.collisions.len(), 5, "{}", vector.name);
        for (collisions, hash) in &vector.collisions {
            let collisions = collisions.parse().unwrap();
            assert_eq!(
                &pod_template_hash(template, Some(collisions)),
                hash,
                "{}",
                vector.name
            );
        }
        count += 1;
    }
    assert!(count >= 70, "{count} templates");
}

#[test]
fn steps_are_hashed_as_go_does() {
    let mut count = 0;
    for vector in vectors()
        .into_iter()
        .filter(|vector| vector.template.is_none())
    {
        let steps: Option<Vec<CanaryStep>> = serde_json::from_value(vector.steps).unwrap();
        let hash = steps_hash(&steps.unwrap_or_default());
        assert_eq!(hash, vector.hash, "{}: {}", vector.name, vector.json);
        count += 1;
    }
    assert!(count >= 10, "{count} lists of steps");
}

#[test]
fn quantities_take_the_form_that_go_gives_them() {
    let pairs: Vec<(String, Option<String>)> = serde_json::from_str(QUANTITIES).unwrap();
    assert!(pairs.len() > 400);
    for (text, canonical) in pairs {
        let template = PodTemplate::new(
            serde_json::from_value(json!({"spec": {"overhead": {"q": text}}})).unwrap(),
        );
        let json: Value = serde_json::from_slice(&pod_template_json(&template)).unwrap();
        let written = json.pointer("/spec/overhead/q").and_then(Value::as_str);
        assert_eq!(
            written,
            Some(canonical.as_ref().unwrap_or(&text).as_str()),
            "{text:?}"
        );
        assert_eq!(
            mismatches(&template).is_empty(),
            canonical.is_some(),
            "{text:?}"
        );
    }
}

#[test]
fn what_go_accepts_has_no_mismatch() {
    for vector in vectors() {
        // The one place where Go narrows a number without a word.
        if vector.name != "a 32-bit number that wraps" {
            let found = vector.template.as_ref().map(mismatches).unwrap_or_default();
            assert!(found.is_empty(), "{}: {found:?}", vector.name);
        }
    }
}

#[test]
fn a_template_hashes_to_itself_after_a_round_trip() {
    for vector in vectors() {
        let Some(template) = &vector.template else {
            continue;
        };
        let again: PodTemplate = serde_json::from_slice(&pod_template_json(template)).unwrap();
        assert_eq!(
            pod_template_hash(&again, None),
            pod_template_hash(template, None),
            "{}",
            vector.name
        );
    }
}

#[test]
fn a_malformed_template_has_a_stable_hash() {
    let template = |image: &str| {
        PodTemplate::new(
            serde_json::from_value(json!({
                "metadata": [],
                "spec": {"containers": [1, {"name": {}, "image": image}], "overhead": "none"}
            }))
            .unwrap(),
        )
    };
    assert_eq!(
        pod_template_hash(&template("a"), None),
        pod_template_hash(&template("a"), None)
    );
    assert_ne!(
        pod_template_hash(&template("a"), None),
        pod_template_hash(&template("b"), None)
    );
}

#[test]
fn a_binary_amount_below_1024_is_written_as_a_decimal_one() {
    for (written, canonical) in [
        ("0.9765625Ki", "1k"),
        ("0.5Ki", "512"),
        ("1Ki", "1Ki"),
        ("1.5Mi", "1536Ki"),
        ("1024Mi", "1Gi"),
    ] {
        let template: PodTemplate = serde_json::from_value(json!({
            "spec": {"overhead": {"memory": written}}
        }))
        .unwrap();
        let json = String::from_utf8(pod_template_json(&template)).unwrap();
        let expected = format!("{{\"memory\":\"{canonical}\"}}");
        assert!(json.contains(&expected), "{written}: {json}");
    }
}
