//! Decoding an Application: never fails in another way than with the path of a field, and loses nothing on the way back.

use sluice_crds::application::Application;
use sluice_crds::decode::decode;

use crate::mutation;

const SEEDS: [&str; 1] = [include_str!("../seeds/application.json")];

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Some(document) = mutation::json(bytes, &SEEDS) else {
        return;
    };
    match decode::<Application>(&document) {
        Ok(application) => {
            let written =
                serde_json::to_value(&application).expect("an Application can be written");
            let again: Application = decode(&written).expect("what was written can be read");
            assert_eq!(again, application);
            let _ = (
                again.spec.project(),
                again.spec.sources(),
                again.spec.revision_history_limit(),
            );
        }
        Err(error) => assert!(
            !error.field.is_empty() && !error.reason.is_empty(),
            "{error:?}"
        ),
    }
}
