//! When metrics are measured.

use std::collections::BTreeMap;

use sluice_analysis::reason::{Reason, Wait};
use sluice_analysis::{Outcome, Phase, decide};
use sluice_crds::analysis::Metric;

use super::support::{Story, at, error, metric, phase, repeated, result, run, value};

#[test]
fn a_metric_without_an_interval_is_measured_once() {
    let mut story = Story::new(run(vec![metric("rate")]));
    let plan = story.decide();
    assert_eq!(plan.measure.len(), 1);
    assert_eq!(plan.measure[0].number, 1);
    assert_eq!(plan.wake_at, None);
    assert_eq!(plan.status.phase, "Running");
    assert_eq!(plan.status.started_at.as_ref().unwrap().0, at(0));
    story.absorb("rate", value(0.99));
    assert_eq!(phase(&story.run), Phase::Successful);
    assert_eq!(story.decide().measure, []);
}

#[test]
fn the_next_measurement_is_due_an_interval_after_the_last_one_ended() {
    let mut story = Story::new(run(vec![repeated("rate", "1m", 3)]));
    let mut taken_at = Vec::new();
    for seconds in [0, 59, 60, 119, 125, 184, 185] {
        story.seconds = seconds;
        story.step(&mut |_, _| {
            taken_at.push(seconds);
            value(0.99)
        });
    }
    assert_eq!(taken_at, [0, 60, 125]);
    assert_eq!(phase(&story.run), Phase::Successful);
}

#[test]
fn what_is_in_flight_is_not_asked_for_again() {
    let mut story = Story::new(run(vec![metric("a"), metric("b")]));
    story.in_flight.insert("a".to_owned());
    let plan = story.decide();
    let asked: Vec<_> = plan
        .measure
        .iter()
        .map(|request| &request.metric.name)
        .collect();
    assert_eq!(asked, ["b"]);
    assert!(
        plan.reasons.iter().any(
            |reason| matches!(reason, Reason::InFlight { metric, number: 1 } if metric == "a")
        )
    );
}

#[test]
fn a_lost_request_is_asked_for_again() {
    let mut story = Story::new(run(vec![metric("a")]));
    assert_eq!(story.decide().measure.len(), 1);
    // The controller was restarted: nothing is in flight.
    assert_eq!(story.decide().measure.len(), 1);
}

#[test]
fn an_initial_delay_counts_from_the_start_of_the_run() {
    let delayed = Metric {
        initial_delay: Some("5m".to_owned()),
        ..metric("slow")
    };
    let mut story = Story::new(run(vec![delayed, metric("fast")]));
    let plan = story.decide();
    assert_eq!(plan.measure.len(), 1);
    assert_eq!(plan.wake_at, Some(at(300)));
    assert!(plan.reasons.iter().any(|reason| matches!(
        reason,
        Reason::Waiting { metric, until, cause: Wait::InitialDelay } if metric == "slow" && *until == at(300)
    )));
    story.absorb("fast", value(0.99));
    story.seconds = 299;
    assert!(story.decide().measure.is_empty());
    assert_eq!(phase(&story.run), Phase::Running);
    story.seconds = 300;
    assert_eq!(story.decide().measure.len(), 1);
}

#[test]
fn an_error_is_tried_again_after_ten_seconds_or_after_the_interval() {
    for (metric, wait) in [(metric("rate"), 10), (repeated("rate", "1m", 1), 60)] {
        let mut story = Story::new(run(vec![metric]));
        let plan = story.step(&mut |_, _| error("timeout"));
        assert_eq!(plan.wake_at, Some(at(wait)));
        story.seconds = wait - 1;
        assert!(story.decide().measure.is_empty());
        story.seconds = wait;
        assert_eq!(story.decide().measure.len(), 1);
        assert_eq!(story.decide().measure[0].number, 2);
    }
}

#[test]
fn times_are_whole_seconds() {
    let now = "2026-08-17T10:00:00.987654321Z".parse().unwrap();
    let plan = decide(
        &run(vec![metric("a")]),
        &std::collections::BTreeSet::new(),
        now,
    );
    assert_eq!(plan.status.started_at.unwrap().0, at(0));
}

/// A clock that jumps back would otherwise have the run wait until it comes round again.
#[test]
fn r29_a_clock_that_was_set_back_does_not_stop_the_measurements() {
    let mut story = Story::new(run(vec![repeated("rate", "1m", 0)]));
    story.seconds = 7200;
    story.step(&mut |_, _| value(0.99));
    story.seconds = 10;
    assert_eq!(story.decide().measure.len(), 1);
}

#[test]
fn an_interval_of_nothing_is_a_second_and_parts_of_seconds_round_up() {
    for (interval, seconds) in [("0s", 1), ("200ms", 1), ("2s", 2), ("1500ms", 2)] {
        let mut story = Story::new(run(vec![repeated("rate", interval, 0)]));
        let plan = story.step(&mut |_, _| value(0.99));
        assert!(plan.measure.is_empty());
        assert_eq!(plan.wake_at, Some(at(seconds)), "{interval}");
    }
}

#[test]
fn a_measurement_under_way_is_looked_at_again_when_it_says() {
    let mut story = Story::new(run(vec![metric("job")]));
    let resume = |seconds: i64| Outcome::Resume {
        resume_at: Some(at(seconds)),
        metadata: BTreeMap::from([("job-name".to_owned(), "abc".to_owned())]),
    };
    let plan = story.step(&mut |_, _| resume(30));
    assert_eq!(plan.wake_at, Some(at(30)));
    assert_eq!(phase(&story.run), Phase::Running);
    story.seconds = 30;
    let plan = story.decide();
    let under_way = plan.measure[0].resume.clone().unwrap();
    assert_eq!(under_way.metadata.unwrap()["job-name"], "abc");
    assert_eq!(under_way.started_at.unwrap().0, at(0));
    story.absorb(
        "job",
        Outcome::Finished {
            phase: Phase::Successful,
            value: None,
            message: None,
            metadata: BTreeMap::new(),
        },
    );
    let measured = result(&story.run, "job").measurements.unwrap();
    assert_eq!(measured.len(), 1);
    assert_eq!(measured[0].phase, "Successful");
    assert_eq!(measured[0].started_at.as_ref().unwrap().0, at(0));
    assert_eq!(measured[0].finished_at.as_ref().unwrap().0, at(30));
    assert_eq!(measured[0].metadata.as_ref().unwrap()["job-name"], "abc");
    assert_eq!(phase(&story.run), Phase::Successful);
}
