//! A metrics outage is told apart from a bad release.

use sluice_analysis::Phase;
use sluice_analysis::reason::Reason;
use sluice_analysis::run::explain;
use sluice_crds::analysis::Metric;

use super::support::{Story, at, error, metric, phase, repeated, run, value};

#[test]
fn a_run_holds_while_errors_are_allowed_and_says_so() {
    let mut story = Story::new(run(vec![repeated("success-rate", "10s", 0)]));
    story.step(&mut |_, _| value(0.99));
    for _ in 0..2 {
        story.seconds += 10;
        story.step(&mut |_, _| error("Prometheus unreachable"));
    }
    assert_eq!(phase(&story.run), Phase::Running);
    let reasons = explain(&story.run, at(story.seconds));
    let holding = reasons
        .iter()
        .find(|reason| matches!(reason, Reason::Holding { .. }))
        .unwrap();
    assert_eq!(
        holding,
        &Reason::Holding {
            metric: "success-rate".to_owned(),
            consecutive_errors: 2,
            limit: 4,
            last_error: "Prometheus unreachable".to_owned(),
        }
    );
    assert_eq!(
        holding.to_string(),
        "holding: success-rate could not be measured, Prometheus unreachable (2 of 4 errors in a row allowed)"
    );
    // The last verdict is still there beside it.
    assert!(reasons.iter().any(|reason| {
        reason
            .to_string()
            .starts_with("success-rate 99.00 % >= 95 % is true (measurement 1")
    }));
    story.seconds += 10;
    let plan = story.step(&mut |_, _| value(0.99));
    assert!(
        !plan
            .reasons
            .iter()
            .any(|reason| matches!(reason, Reason::Holding { .. }))
    );
}

#[test]
fn a_failing_metric_is_no_hold() {
    let mut story = Story::new(run(vec![repeated("success-rate", "10s", 0)]));
    for good in [true, true, false] {
        story.step(&mut |_, _| value(if good { 0.99 } else { 0.8 }));
        story.seconds += 10;
    }
    assert_eq!(phase(&story.run), Phase::Failed);
    let sentences: Vec<String> = explain(&story.run, at(story.seconds))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        sentences,
        [
            "success-rate 80.00 % >= 95 % is false (measurement 3: failed 1 of 0 allowed)",
            "success-rate Failed: failed (1) > failureLimit (0)",
            "the run is Failed: Metric \"success-rate\" assessed Failed due to failed (1) > failureLimit (0)",
        ]
    );
}

#[test]
fn of_two_conditions_the_one_that_failed_the_metric_is_told() {
    let both = Metric {
        failure_condition: Some("result[0] < 0.5".to_owned()),
        ..metric("success-rate")
    };
    for (measured, sentence) in [
        (0.1, "success-rate 10.00 % < 50 % is true"),
        (0.99, "success-rate 99.00 % >= 95 % is true"),
    ] {
        let mut story = Story::new(run(vec![both.clone()]));
        story.step(&mut |_, _| value(measured));
        let told = explain(&story.run, at(0))[0].to_string();
        assert!(told.starts_with(sentence), "{told}");
    }
}

/// argo-rollouts#1466: an answer without a single number.
#[test]
fn r17_no_data_is_an_error_and_not_a_verdict() {
    let mut story = Story::new(run(vec![metric("success-rate")]));
    story.step(&mut |_, _| sluice_analysis::Outcome::Value {
        value: sluice_analysis::expression::Value::numbers([]),
        display: "[]".to_owned(),
        metadata: std::collections::BTreeMap::new(),
    });
    assert_eq!(phase(&story.run), Phase::Running);
    let sentences: Vec<String> = explain(&story.run, at(0))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(sentences.len(), 1);
    assert!(
        sentences[0].starts_with(
            "holding: success-rate could not be measured, metric result is nil or empty"
        )
    );
}
