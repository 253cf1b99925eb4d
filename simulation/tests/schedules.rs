//! Random schedules with fixed seeds: crashes after every write, stale views, conflicts, lost answers, outages, and
//! people who change their minds. `cargo xtask soak` plays many more.

use std::sync::LazyLock;

use sluice_rollout::{Effect, Reason, experiment};
use sluice_simulation::coverage::{Counts, Coverage};
use sluice_simulation::schedule::{Fault, Order, Step};
use sluice_simulation::{fixtures, soak};

/// Schedules of each fixture.
const ROUNDS: u64 = 40;

/// What occurred, or the schedule that broke a promise.
static PLAYED: LazyLock<Result<Coverage, String>> = LazyLock::new(|| {
    let mut all = Coverage::default();
    for seed in 0..ROUNDS * fixtures::NAMES.len() as u64 {
        all.add(&soak::one(seed).map_err(|failure| failure.to_string())?);
    }
    Ok(all)
});

/// The names that never occurred.
fn missing<'a>(counts: &Counts, names: &[&'a str]) -> Vec<&'a str> {
    let never = |name: &&&str| !counts.contains_key(**name);
    names.iter().filter(never).copied().collect()
}

#[test]
fn no_promise_is_broken_in_the_schedules_of_the_first_seeds() {
    let schedules = ROUNDS * fixtures::NAMES.len() as u64;
    let played = PLAYED
        .as_ref()
        .unwrap_or_else(|failure| panic!("{failure}"));
    let decisions = played.all_decisions();
    println!("{schedules} schedules, {decisions} decisions");
    assert!(
        decisions > 20 * schedules,
        "the schedules hardly decide anything: {decisions} decisions in {schedules}"
    );
}

#[test]
fn every_effect_of_a_rollout_and_of_an_experiment_occurs() {
    let played = PLAYED.as_ref().unwrap();
    assert_eq!(missing(&played.effects, Effect::NAMES), [""; 0]);
    let effects = experiment::Effect::NAMES;
    assert_eq!(missing(&played.experiment_effects, effects), [""; 0]);
}

#[test]
fn every_reason_occurs() {
    let played = PLAYED.as_ref().unwrap();
    assert_eq!(missing(&played.reasons, Reason::NAMES), [""; 0]);
}

#[test]
fn every_phase_occurs() {
    let phases = [
        "Rollout Healthy",
        "Rollout Paused",
        "Rollout Progressing",
        "Rollout Degraded",
        "Experiment Pending",
        "Experiment Running",
        "Experiment Successful",
        "Experiment Failed",
        "Experiment Error",
        "Experiment Inconclusive",
        "AnalysisRun Running",
        "AnalysisRun Successful",
        "AnalysisRun Failed",
        "AnalysisRun Error",
        "AnalysisRun Inconclusive",
    ];
    let played = PLAYED.as_ref().unwrap();
    assert_eq!(missing(&played.phases, &phases), [""; 0]);
}

#[test]
fn every_fault_and_every_order_occurs() {
    // Two are left out, since they are rare: a write to an object that is gone, and a patch whose test fails.
    let faults = [
        "clock jump",
        "conflict",
        "crash",
        "crash of pods",
        "dropped plan",
        "lost answer",
        "made already",
        "metrics outage",
        "no answer from the API server",
        "quota",
        "refused by a quota",
        "refused eviction",
        "relist",
        "restart",
        "stale view",
    ];
    let played = PLAYED.as_ref().unwrap();
    assert_eq!(missing(&played.faults, &faults), [""; 0]);
    let orders = [
        "image",
        "undo",
        "abort",
        "retry",
        "promote",
        "promote --full",
        "skip a step",
        "skip all steps",
        "scale",
        "pause",
        "go on",
        "restart",
        "another strategy",
        "invalid spec",
        "valid spec",
        "reset the route",
        "terminate a run",
        "delete a run",
        "terminate an experiment",
        "touch",
    ];
    assert_eq!(missing(&played.orders, &orders), [""; 0]);
}

#[test]
fn the_same_seed_plays_the_same_schedule() {
    for seed in [3, 40, 77] {
        assert_eq!(soak::one(seed), soak::one(seed));
    }
}

#[test]
fn a_first_deployment_ends_well() {
    for fixture in fixtures::NAMES {
        let mut cluster = fixtures::cluster(fixture);
        cluster
            .end_well()
            .unwrap_or_else(|broken| panic!("{fixture}: {broken:?}"));
    }
}

/// A status that is lost while an older revision is gone back to: it skips the steps within its window, as with a status.
#[test]
fn a_rollback_within_its_window_goes_on_without_its_status() {
    let crash = |nth, write| Step::Pass {
        nth,
        fault: Some(Fault::CrashBefore(write)),
    };
    let pass = |nth| Step::Pass { nth, fault: None };
    let steps = [
        Step::Relist,
        crash(4, 5),
        Step::CatchUp,
        Step::Advance { seconds: 2 },
        crash(4, 1),
        Step::Order(Order::Image(1)),
        Step::CatchUp,
        pass(3),
        Step::CatchUp,
        pass(0),
        Step::Workloads,
        Step::Advance { seconds: 7 },
        Step::Workloads,
        Step::CatchUp,
        Step::Due,
        Step::Order(Order::Image(0)),
        Step::CatchUp,
        crash(4, 5),
        Step::CatchUp,
        pass(2),
    ];
    soak::replay("rollback-window", 11_481, &steps).unwrap_or_else(|broken| panic!("{broken:?}"));
}

/// A status that is lost just after the first promotion of a pair: one of its Services selects the stable revision, whose
/// set has no mark yet, and the template is another one already.
#[test]
fn a_pair_of_which_one_service_selects_a_revision_keeps_it() {
    let pass = |nth| Step::Pass { nth, fault: None };
    let steps = [
        Step::Restart,
        pass(4),
        Step::CatchUp,
        pass(0),
        Step::Order(Order::Image(2)),
        Step::Relist,
        pass(2),
        Step::CatchUp,
        Step::Due,
        Step::Workloads,
        Step::Advance { seconds: 4 },
        Step::Workloads,
        Step::Restart,
        Step::Due,
        Step::Order(Order::Image(0)),
    ];
    soak::replay("ping-pong", 28_325, &steps).unwrap_or_else(|broken| panic!("{broken:?}"));
}

/// A Rollout that is scaled to nothing before its first deployment is done, at a second version already: the first one goes
/// although a Service of the pair selects it, since there will be no pods for that Service to go to.
#[test]
fn a_pair_without_pods_waits_for_none() {
    let pass = |nth| Step::Pass { nth, fault: None };
    let steps = [
        Step::CatchUp,
        pass(0),
        Step::CatchUp,
        Step::Due,
        Step::Workloads,
        Step::Advance { seconds: 8 },
        Step::Workloads,
        Step::CatchUp,
        Step::Order(Order::Image(1)),
        pass(3),
        Step::Order(Order::Scale(0)),
    ];
    soak::replay("ping-pong", 70_469, &steps).unwrap_or_else(|broken| panic!("{broken:?}"));
}
