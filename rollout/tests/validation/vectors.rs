//! What is said about wrong Rollouts, against what the reference implementation says: every vector that
//! `e2e/vectors/validation` has written.

use serde::Deserialize;
use sluice_crds::rollout::Rollout;

use crate::errors_of_one_alone;

const VECTORS: &str = include_str!("../../../e2e/vectors/validation/vectors.json");

#[derive(Deserialize)]
struct Vector {
    name: String,
    rollout: Rollout,
    /// What the reference says.
    errors: Vec<String>,
    /// Why Sluice says something else.
    #[serde(default)]
    why: String,
    /// What Sluice says then.
    #[serde(default)]
    sluice: Vec<String>,
}

/// Errors of the spec alone: no Service and no template exists, and this build's limits do not count.
fn errors_of_the_spec(rollout: &Rollout) -> Vec<String> {
    errors_of_one_alone(rollout)
        .iter()
        .map(ToString::to_string)
        .filter(|error| {
            let missing = error.contains("not found") || error.contains("no template is named");
            !missing
        })
        .collect()
}

/// The reference leaves `canary` and `blueGreen` out of the path, doubles `strategy`, and leaves `metadata` out.
fn with_full_path(error: &str, rollout: &Rollout) -> String {
    let strategy = if rollout.spec.canary().is_some() {
        "canary"
    } else {
        "blueGreen"
    };
    let error = error
        .replacen("spec.strategy.strategy:", "spec.strategy:", 1)
        .replacen("spec.template.labels:", "spec.template.metadata.labels:", 1)
        .replacen(
            "spec.template.annotations:",
            "spec.template.metadata.annotations:",
            1,
        );
    match error.strip_prefix("spec.strategy.") {
        Some(rest) => format!("spec.strategy.{strategy}.{rest}"),
        None => error,
    }
}

#[test]
fn wrong_rollouts_are_told_what_the_reference_tells_them() {
    let vectors: Vec<Vector> = serde_json::from_str(VECTORS).unwrap();
    assert!(vectors.len() >= 100, "{} vectors", vectors.len());
    let mut different = Vec::new();
    for vector in vectors {
        let expected: Vec<String> = if vector.why.is_empty() {
            vector
                .errors
                .iter()
                .map(|error| with_full_path(error, &vector.rollout))
                .collect()
        } else {
            vector.sluice
        };
        let found = errors_of_the_spec(&vector.rollout);
        if found != expected {
            different.push(format!(
                "{}\n  expected {}\n  found    {}",
                vector.name,
                expected.join("\n           "),
                found.join("\n           ")
            ));
        }
    }
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("\n")
    );
}
