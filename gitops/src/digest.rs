//! Digests: is this the same rendering, is this the same pod template?
//!
//! A digest does not depend on the order of objects, of keys or of files, nor on what this product and others stamp on
//! objects (tracking annotations, the Git revision).

use serde_json::Value;
use sha2::{Digest, Sha256};
use sluice_crds::names;

use crate::key::remove_annotation;

/// Annotations that say where an object comes from, not what it is.
const PROVENANCE: [&str; 5] = [
    names::TRACKING_ID,
    names::GIT_REVISION,
    "argocd.argoproj.io/installation-id",
    names::QUARANTINE,
    names::LIFT_QUARANTINE,
];

/// SHA-256 of a rendering, as 64 hexadecimal digits.
#[must_use]
pub fn rendering<'a>(objects: impl IntoIterator<Item = &'a Value>) -> String {
    let mut texts: Vec<String> = objects
        .into_iter()
        .map(|object| {
            let mut object = object.clone();
            for name in PROVENANCE {
                remove_annotation(&mut object, name);
            }
            canonical(&object)
        })
        .collect();
    texts.sort_unstable();
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.as_bytes());
        hash.update(b"\n");
    }
    hex(&hash.finalize())
}

/// SHA-256 of one value, as 64 hexadecimal digits.
#[must_use]
pub fn value(value: &Value) -> String {
    hex(&Sha256::digest(canonical(value).as_bytes()))
}

/// JSON with sorted keys: `serde_json` keeps its maps sorted.
fn canonical(value: &Value) -> String {
    value.to_string()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_and_provenance_do_not_matter() {
        let a = json!({"kind": "A", "metadata": {"name": "a"}});
        let b = json!({"kind": "B", "metadata": {"name": "b"}});
        let stamped = json!({"kind": "A", "metadata": {"name": "a", "annotations": {names::TRACKING_ID: "x"}}});
        assert_eq!(rendering([&a, &b]), rendering([&b, &stamped]));
    }

    #[test]
    fn content_matters() {
        let one = json!({"kind": "A", "metadata": {"name": "a"}, "spec": {"x": 1}});
        let two = json!({"kind": "A", "metadata": {"name": "a"}, "spec": {"x": 2}});
        assert_ne!(rendering([&one]), rendering([&two]));
        assert_eq!(rendering([&one]).len(), 64);
    }
}
