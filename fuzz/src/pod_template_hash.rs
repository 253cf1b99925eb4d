//! Pod-template hashes: every template has one, however malformed; it is a safe word, and it depends on what the template
//! means and on nothing else.

use serde_json::Value;
use sluice_crds::pod_template::PodTemplate;
use sluice_rollout::hash::{mismatches, pod_template_hash, pod_template_json};

use crate::mutation;

const SEEDS: [&str; 1] = [include_str!("../seeds/pod_template.json")];

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Some(Value::Object(fields)) = mutation::json(bytes, &SEEDS) else {
        return;
    };
    let mut template = PodTemplate::new(fields);
    let hash = pod_template_hash(&template, None);
    for count in [None, Some(0), Some(-1), Some(i32::MAX)] {
        let hash = pod_template_hash(&template, count);
        let safe = hash
            .bytes()
            .all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte));
        assert!((1..=10).contains(&hash.len()) && safe, "{hash}");
    }
    let written = pod_template_json(&template);
    if mismatches(&template).is_empty() {
        let read = serde_json::from_slice(&written).expect("Go JSON is JSON");
        assert_eq!(
            written,
            pod_template_json(&PodTemplate::new(read)),
            "not stable"
        );
    }
    // A field that Kubernetes does not know means nothing.
    template
        .fields_mut()
        .insert("unknownField".to_owned(), Value::Bool(true));
    assert_eq!(pod_template_hash(&template, None), hash);
}
