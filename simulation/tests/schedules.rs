//! Random schedules with fixed seeds: crashes after every write, stale views, conflicts, lost answers, outages, and
//! people who change their minds. `cargo xtask soak` plays many more.

use sluice_simulation::{fixtures, soak};

#[test]
fn no_promise_is_broken_in_the_schedules_of_the_first_seeds() {
    let mut decisions = 0;
    let schedules = 24 * fixtures::NAMES.len() as u64;
    for seed in 0..schedules {
        let coverage = soak::one(seed).unwrap_or_else(|failure| panic!("{failure}"));
        decisions += coverage.all_decisions();
    }
    println!("{schedules} schedules, {decisions} decisions");
    assert!(
        decisions > 50 * schedules,
        "the schedules hardly decide anything: {decisions} decisions in {schedules}"
    );
}

#[test]
fn a_first_deployment_comes_to_rest_healthy() {
    for fixture in fixtures::NAMES {
        let mut cluster = fixtures::cluster(fixture);
        cluster
            .end_well()
            .unwrap_or_else(|broken| panic!("{fixture}: {broken:?}"));
    }
}
