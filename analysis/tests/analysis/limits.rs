//! When a metric, and with it the run, ends.

use sluice_analysis::{Outcome, Phase, absorb};
use sluice_crds::IntOrString;
use sluice_crds::analysis::Metric;

use super::support::{Story, at, error, phase, repeated, result, run, status, value};

/// One letter for each measurement: `s`uccessful, `f`ailed, `i`nconclusive, `e`rror.
fn outcome(letter: char) -> Outcome {
    match letter {
        's' => value(0.99),
        'f' => value(0.1),
        'i' => value(0.7),
        _ => error("connection refused"),
    }
}

fn metric(change: impl FnOnce(&mut Metric)) -> Metric {
    let mut metric = Metric {
        failure_condition: Some("result[0] < 0.5".to_owned()),
        ..repeated("rate", "10s", 0)
    };
    change(&mut metric);
    metric
}

fn number(number: i32) -> Option<IntOrString> {
    Some(IntOrString::Int(number))
}

/// Plays the letters and gives the phase, the number of measurements that were taken, and the message.
fn play(metric: Metric, letters: &str) -> (Phase, usize, String) {
    let mut story = Story::new(run(vec![metric]));
    let letters: Vec<char> = letters.chars().collect();
    let mut taken = 0;
    while taken < letters.len() && !phase(&story.run).completed() {
        story.step(&mut |_, _| {
            taken += 1;
            outcome(letters[taken - 1])
        });
        story.seconds += 10;
    }
    (
        phase(&story.run),
        taken,
        status(&story.run).message.unwrap_or_default(),
    )
}

#[test]
fn every_limit_is_passed_by_one_more_than_it_allows() {
    let plain = |_: &mut Metric| {};
    let three = |metric: &mut Metric| metric.count = number(3);
    let failures = |limit| move |metric: &mut Metric| metric.failure_limit = number(limit);
    for (change, letters, expected, taken, message) in [
        (
            &plain as &dyn Fn(&mut Metric),
            "sf",
            Phase::Failed,
            2,
            "Metric \"rate\" assessed Failed due to failed (1) > failureLimit (0)",
        ),
        (&plain, "ssss", Phase::Running, 4, ""),
        (
            &failures(2),
            "fsffs",
            Phase::Failed,
            4,
            "Metric \"rate\" assessed Failed due to failed (3) > failureLimit (2)",
        ),
        (&failures(2), "fsfsss", Phase::Running, 6, ""),
        (&failures(-1), "ffffffff", Phase::Running, 8, ""),
        (
            &plain,
            "si",
            Phase::Inconclusive,
            2,
            "Metric \"rate\" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)",
        ),
        (
            &|metric: &mut Metric| metric.inconclusive_limit = number(1),
            "isi",
            Phase::Inconclusive,
            3,
            "Metric \"rate\" assessed Inconclusive due to inconclusive (2) > inconclusiveLimit (1)",
        ),
        (
            &plain,
            "eeeee",
            Phase::Error,
            5,
            "Metric \"rate\" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): \
             \"Error Message: connection refused\"",
        ),
        (&plain, "eeeeseeee", Phase::Running, 9, ""),
        (
            &|metric: &mut Metric| metric.consecutive_error_limit = number(0),
            "e",
            Phase::Error,
            1,
            "Metric \"rate\" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): \
             \"Error Message: connection refused\"",
        ),
        (&three, "sss", Phase::Successful, 3, ""),
        // An error is no measurement, and the last one counts only when it was one.
        (&three, "sesees", Phase::Successful, 6, ""),
    ] {
        let got = play(metric(change), letters);
        assert_eq!(got, (expected, taken, message.to_owned()), "{letters}");
    }
}

#[test]
fn successes_in_a_row_end_a_metric_early() {
    let consecutive = |metric: &mut Metric| {
        metric.consecutive_success_limit = number(3);
        metric.failure_limit = number(-1);
    };
    assert_eq!(play(metric(consecutive), "ssfsss").0, Phase::Successful);
    assert_eq!(play(metric(consecutive), "ssfsss").1, 6);
    assert_eq!(play(metric(consecutive), "ssfss").0, Phase::Running);
    // An error breaks the row as well.
    assert_eq!(play(metric(consecutive), "sses").0, Phase::Running);
}

#[test]
fn a_count_that_ends_without_enough_successes_in_a_row_is_not_successful() {
    let both = |metric: &mut Metric| {
        metric.consecutive_success_limit = number(2);
        metric.failure_limit = number(2);
        metric.count = number(4);
    };
    let (phase, _, message) = play(metric(both), "sfsf");
    assert_eq!(phase, Phase::Inconclusive);
    assert!(
        message.contains("consecutiveSuccess (0) < consecutiveSuccessLimit (2)"),
        "{message}"
    );

    let only = |metric: &mut Metric| {
        metric.failure_limit = number(-1);
        metric.consecutive_success_limit = number(2);
        metric.count = number(4);
    };
    assert_eq!(play(metric(only), "sfsf").0, Phase::Failed);
    assert_eq!(play(metric(only), "sfss").0, Phase::Successful);
}

#[test]
fn a_limit_may_be_a_number_in_a_text() {
    let text = |metric: &mut Metric| metric.failure_limit = Some(IntOrString::String("1".into()));
    assert_eq!(play(metric(text), "fs").0, Phase::Running);
    assert_eq!(play(metric(text), "ff").0, Phase::Failed);
}

#[test]
fn of_several_limits_that_are_passed_the_last_one_counts() {
    let mut story = Story::new(run(vec![metric(|_| {})]));
    story.step(&mut |_, _| outcome('s'));
    // As another controller may have left it.
    let results = story
        .run
        .status
        .as_mut()
        .unwrap()
        .metric_results
        .as_mut()
        .unwrap();
    results[0].failed = Some(1);
    results[0].inconclusive = Some(1);
    story.decide();
    assert_eq!(phase(&story.run), Phase::Inconclusive);
}

#[test]
fn counters_are_left_out_when_zero_and_errors_in_a_row_start_again() {
    let mut story = Story::new(run(vec![metric(|_| {})]));
    let mut letters = "sse".chars();
    for _ in 0..3 {
        let letter = letters.next().unwrap();
        story.step(&mut |_, _| outcome(letter));
        story.seconds += 10;
    }
    let counted = result(&story.run, "rate");
    assert_eq!((counted.count, counted.successful), (Some(2), Some(2)));
    assert_eq!(
        (counted.error, counted.consecutive_error),
        (Some(1), Some(1))
    );
    assert_eq!(counted.consecutive_success, None);
    story.step(&mut |_, _| outcome('s'));
    let counted = result(&story.run, "rate");
    assert_eq!((counted.error, counted.consecutive_error), (Some(1), None));
    assert_eq!((counted.failed, counted.inconclusive), (None, None));
}

#[test]
fn a_metric_that_goes_on_after_an_error_tells_no_message_of_its_own() {
    let run = run(vec![repeated("rate", "10s", 0)]);
    let plan = absorb(&run, "rate", error("connection refused"), at(1));
    let metric = &plan.status.metric_results.as_ref().unwrap()[0];
    assert_eq!(metric.phase, "Running");
    let measured = &metric.measurements.as_ref().unwrap()[0];
    assert_eq!(measured.message.as_deref(), Some("connection refused"));
    assert_eq!(metric.message, None);
}
