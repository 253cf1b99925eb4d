//! Random schedules with fixed seeds: crashes after every write, stale views, conflicts, lost answers, outages, and
//! people who change their minds.

use sluice_simulation::{fixtures, soak};

#[test]
fn no_promise_is_broken_in_the_schedules_of_the_first_seeds() {
    let played = soak::many(1, |played| played.schedules < 1_350)
        .unwrap_or_else(|failure| panic!("{failure}"));
    println!(
        "{} schedules, {} decisions",
        played.schedules, played.decisions
    );
    assert!(
        played.decisions > 20_000,
        "the schedules hardly decide anything: {played:?}"
    );
}

#[test]
fn a_first_deployment_comes_to_rest_healthy() {
    for fixture in fixtures::NAMES {
        let mut cluster = fixtures::cluster(fixture);
        cluster
            .come_to_rest()
            .unwrap_or_else(|broken| panic!("{fixture}: {broken:?}"));
        let rollout = cluster.rollout().unwrap();
        assert_eq!(
            rollout["status"]["phase"], "Healthy",
            "{fixture}: {}",
            rollout["status"]
        );
    }
}
