//! Decoding a Rollout: never fails in another way than with the path of a field, and loses nothing on the way back.

use sluice_crds::decode::decode;
use sluice_crds::rollout::Rollout;

use crate::mutation;

const SEEDS: [&str; 1] = [include_str!("../seeds/rollout.json")];

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Some(document) = mutation::json(bytes, &SEEDS) else {
        return;
    };
    match decode::<Rollout>(&document) {
        Ok(rollout) => {
            let written = serde_json::to_value(&rollout).expect("a Rollout can be written");
            let again: Rollout = decode(&written).expect("what was written can be read");
            assert_eq!(again, rollout);
            assert_eq!(serde_json::to_value(&again).expect("again"), written);
        }
        Err(error) => assert!(
            !error.field.is_empty() && !error.reason.is_empty(),
            "{error:?}"
        ),
    }
}
