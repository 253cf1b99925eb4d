//! Health of Rollouts, AnalysisRuns and Experiments, against what Argo CD's own scripts say: every vector that
//! `e2e/vectors/health` has written, of objects as Sluice writes them and of others.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use sluice_gitops::health;

const OBJECTS: &str = include_str!("../../../e2e/vectors/health/objects.json");
const SCENES: &str = include_str!("../../../e2e/vectors/health/scenes.json");
const CASES: &str = include_str!("../../../e2e/vectors/health/cases.json");
const VECTORS: &str = include_str!("../../../e2e/vectors/health/vectors.json");

/// What is said about an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Said {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    /// The script fails, with these words.
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    object: Value,
    /// Why Sluice says something else.
    #[serde(default)]
    why: String,
    /// What Sluice says then.
    sluice: Option<Said>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    health: Said,
    /// Of the same Rollout, if its controller wrote no phase.
    without_phase: Option<Said>,
}

fn read(text: &str) -> Vec<Named> {
    serde_json::from_str(text).unwrap()
}

/// Objects that an engine of Sluice wrote.
fn ours() -> Vec<Named> {
    [OBJECTS, SCENES].into_iter().flat_map(read).collect()
}

fn vectors() -> BTreeMap<String, Vector> {
    let vectors: Vec<Vector> = serde_json::from_str(VECTORS).unwrap();
    vectors
        .into_iter()
        .map(|vector| (vector.name.clone(), vector))
        .collect()
}

fn told(object: &Value) -> Said {
    let health = health::of(object).unwrap();
    Said {
        status: health.code.to_string(),
        message: health.message,
        error: String::new(),
    }
}

fn without_phase(object: &Value) -> Value {
    let mut object = object.clone();
    let status = object["status"].as_object_mut().unwrap();
    status.remove("phase");
    status.remove("message");
    object
}

/// Where Sluice says something else about what it has written itself: how an Experiment ended is said in its own words,
/// and one that is inconclusive is not taken for good, of which the script says nothing.
fn on_purpose(object: &Value, said: &Said) -> Option<Said> {
    let bad = ["Failed", "Error", "Inconclusive"].map(Value::from);
    let (phase, message) = (&object["status"]["phase"], &object["status"]["message"]);
    if object["kind"] != "Experiment" || !bad.contains(phase) {
        return None;
    }
    let mut said = said.clone();
    if *phase == bad[2] {
        said.status = "Unknown".to_owned();
    }
    said.message = message.as_str()?.to_owned();
    Some(said)
}

#[test]
fn health_is_as_the_scripts_of_argo_cd_tell_it() {
    let vectors = vectors();
    let mut differ = Vec::new();
    let mut count = 0;
    for named in ours().into_iter().chain(read(CASES)) {
        let Some(vector) = vectors.get(&named.name) else {
            panic!("no answer for {}: run e2e/vectors/health", named.name);
        };
        assert_eq!(
            named.why.is_empty(),
            named.sluice.is_none(),
            "{}: what differs says why, and nothing else does",
            named.name
        );
        let expected = named
            .sluice
            .or_else(|| on_purpose(&named.object, &vector.health));
        if expected.as_ref() == Some(&vector.health) {
            differ.push(format!("{}: does not differ", named.name));
        }
        let expected = expected.unwrap_or_else(|| vector.health.clone());
        let mut compare = |what: &str, found: Said, expected: &Said| {
            count += 1;
            if found != *expected {
                differ.push(format!(
                    "{}{what}:\n  expected {expected:?}\n  found    {found:?}",
                    named.name
                ));
            }
        };
        compare("", told(&named.object), &expected);
        if let Some(expected) = &vector.without_phase {
            compare(
                ", without its phase",
                told(&without_phase(&named.object)),
                expected,
            );
        }
    }
    assert!(count > 200, "{count}");
    assert!(
        differ.is_empty(),
        "{} of {count} differ:\n{}",
        differ.len(),
        differ.join("\n")
    );
}

#[test]
fn every_answer_is_about_an_object() {
    let known = ours().into_iter().chain(read(CASES));
    let known: Vec<String> = known.map(|named| named.name).collect();
    let vectors = vectors();
    let lost: Vec<&String> = vectors
        .keys()
        .filter(|name| !known.contains(name))
        .collect();
    assert!(lost.is_empty(), "run e2e/vectors/health: {lost:?}");
}

#[test]
fn the_phase_of_a_rollout_is_its_health_and_paused_is_suspended() {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for named in ours() {
        if named.object["kind"] != "Rollout" {
            continue;
        }
        let text = |pointer: &str| {
            let value = named.object.pointer(pointer).and_then(Value::as_str);
            value.unwrap_or_default()
        };
        let generation = named.object["metadata"]["generation"].to_string();
        let health = health::of(&named.object).unwrap();
        if text("/status/observedGeneration") != generation {
            assert_eq!(health.code, health::Code::Progressing, "{}", named.name);
            assert_eq!(
                health.message, "Waiting for rollout spec update to be observed",
                "{}",
                named.name
            );
            continue;
        }
        let expected = match text("/status/phase") {
            "Healthy" => health::Code::Healthy,
            "Progressing" => health::Code::Progressing,
            "Degraded" => health::Code::Degraded,
            "Paused" => health::Code::Suspended,
            phase => panic!("{}: a Rollout in the phase {phase}", named.name),
        };
        assert_eq!(health.code, expected, "{}", named.name);
        assert_eq!(health.message, text("/status/message"), "{}", named.name);
        *seen.entry(text("/status/phase").to_owned()).or_default() += 1;
    }
    let phases: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(phases, ["Degraded", "Healthy", "Paused", "Progressing"]);
    assert!(seen.values().all(|count| *count >= 3), "{seen:?}");
}

#[test]
fn the_phase_of_a_run_tells_its_health() {
    let mut seen: BTreeMap<(String, String), &str> = BTreeMap::new();
    for named in ours() {
        let kind = named.object["kind"].as_str().unwrap();
        if kind == "Rollout" {
            continue;
        }
        let phase = named.object["status"]["phase"].as_str().unwrap_or_default();
        let code = health::of(&named.object).unwrap().code.as_str();
        let key = (kind.to_owned(), phase.to_owned());
        assert_eq!(*seen.entry(key).or_insert(code), code, "{}", named.name);
    }
    for kind in ["AnalysisRun", "Experiment"] {
        for (phase, code) in [
            ("Running", "Progressing"),
            ("Successful", "Healthy"),
            ("Failed", "Degraded"),
            ("Error", "Degraded"),
            ("Inconclusive", "Unknown"),
        ] {
            let told = seen.get(&(kind.to_owned(), phase.to_owned()));
            assert_eq!(told, Some(&code), "{kind} {phase}");
        }
    }
}
