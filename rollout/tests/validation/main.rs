//! What a Rollout is refused for: by the vectors of the reference ([`vectors`]), its selector and pod template
//! ([`template`]), and what it refers to ([`references`]).

mod references;
mod template;
mod vectors;

use std::collections::BTreeMap;

use sluice_analysis::Templates;
use sluice_crds::rollout::Rollout;
use sluice_rollout::validation::{FieldError, validate};
use sluice_rollout::{Settings, World};

/// What is wrong with a Rollout around which there is nothing: no Service, no template, no workload.
fn errors_of_one_alone(rollout: &Rollout) -> Vec<FieldError> {
    validate(&World {
        rollout,
        replica_sets: &[],
        services: &BTreeMap::new(),
        pods: &[],
        analysis_runs: &[],
        experiments: &[],
        templates: &Templates::new(),
        traffic: Ok(&[]),
        workload: None,
        settings: &Settings {
            instance_id: String::new(),
        },
        basis: None,
    })
}
