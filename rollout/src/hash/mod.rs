//! The hashes that name revisions: the same bits as the system that Sluice takes over from, so that existing
//! ReplicaSets keep their names, labels and pods.
//!
//! In: a pod template, or the steps of a canary. Out: a short word such as `6f64d5c5f8`.
//!
//! ```text
//! hash = safe_encode(decimal(FNV-1a 32 of (Go JSON of the typed object, then the collision count)))
//! ```
//!
//! *Go JSON* is what Go's encoder writes after it has read the object into its typed structs: fields in the order of
//! the struct, unknown fields gone, empty optional fields left out, numbers, quantities and times in canonical form
//! (`cpu: "1000m"` becomes `"1"`), and `<`, `>`, `&` escaped. The order comes from `data/pod_template_fields.json`,
//! which a Go program writes by reflection (`e2e/vectors/podtemplate`); nothing is defaulted.
//!
//! Invariants: total (a value of a wrong type is written as it is, so even a malformed template has a stable hash);
//! independent of key order, comments and unknown fields; a changed default of Kubernetes changes no hash.

mod fields;
mod go_json;
mod quantity;

use serde_json::Value;
use sluice_crds::pod_template::PodTemplate;
use sluice_crds::rollout::CanaryStep;

pub(crate) use fields::whole;
pub use fields::{Mismatch, mismatches};

/// Characters of a hash: no vowels and nothing that looks like one, so that no hash is a word.
const SAFE: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The pod-template hash: label of ReplicaSets and pods, and the tail of a ReplicaSet's name.
///
/// `collision_count` is `status.collisionCount`: absent until two templates had the same hash.
#[must_use]
pub fn pod_template_hash(template: &PodTemplate, collision_count: Option<i32>) -> String {
    hash_of_json(&pod_template_json(template), collision_count)
}

/// The same, of a template whose canonical form is known.
pub(crate) fn hash_of_json(json: &[u8], collision_count: Option<i32>) -> String {
    let state = fnv(OFFSET, json);
    let state = match collision_count {
        Some(count) => fnv(fnv(state, &count.to_le_bytes()), &[0; 4]),
        None => state,
    };
    encode(state)
}

/// A longer hash of a template's canonical form than the one that names its ReplicaSet: what tells two templates with the
/// same name apart.
pub(crate) fn digest_of_json(json: &[u8]) -> String {
    let digest = json.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{digest:016x}")
}

/// The canonical form of a pod template: what Go's encoder writes for it. Two templates that differ only in unknown
/// fields, in key order or in how they spell a quantity have the same form.
#[must_use]
pub fn pod_template_json(template: &PodTemplate) -> Vec<u8> {
    let mut bytes = Vec::new();
    go_json::write_object(
        &mut bytes,
        fields::place("PodTemplateSpec"),
        template.fields(),
    );
    bytes
}

/// The hash of a canary's steps, kept in `status.currentStepHash`. No steps have a hash too.
#[must_use]
pub fn steps_hash(steps: &[CanaryStep]) -> String {
    // An empty list is left out on the way through Go, and comes back as `null`.
    if steps.is_empty() {
        return encode(fnv(OFFSET, b"null"));
    }
    let step_type = fields::place("CanaryStep");
    let mut bytes = vec![b'['];
    for (index, step) in steps.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        let value = serde_json::to_value(step).unwrap_or(Value::Null);
        go_json::write_struct(&mut bytes, step_type, &value);
    }
    bytes.push(b']');
    encode(fnv(OFFSET, &bytes))
}

/// Where FNV-1a with 32 bits begins.
const OFFSET: u32 = 2_166_136_261;

/// FNV-1a with 32 bits, continued.
fn fnv(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(16_777_619)
    })
}

/// A hash as a decimal number, each digit replaced by a safe character.
fn encode(hash: u32) -> String {
    hash.to_string()
        .bytes()
        .filter_map(|digit| SAFE.get(usize::from(digit) % SAFE.len()))
        .map(|safe| char::from(*safe))
        .collect()
}
