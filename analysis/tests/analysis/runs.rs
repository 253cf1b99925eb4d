//! The run as a whole: several metrics, dry run, termination, messages, events, time to live.

use std::collections::BTreeMap;

use sluice_analysis::reason::Reason;
use sluice_analysis::{Outcome, Phase};
use sluice_crds::analysis::{DryRun, MeasurementRetention, Metric, RunSummary, TtlStrategy};

use super::support::{
    Story, argument, at, error, metric, phase, repeated, result, run, status, value,
};

fn dry_run(pattern: &str) -> Option<Vec<DryRun>> {
    Some(vec![DryRun {
        metric_name: pattern.to_owned(),
    }])
}

fn inconclusive(name: &str) -> Metric {
    Metric {
        failure_condition: Some("result[0] < 0.5".to_owned()),
        ..metric(name)
    }
}

#[test]
fn one_bad_metric_ends_the_others() {
    let mut story = Story::new(run(vec![
        repeated("endless", "10s", 0),
        repeated("rate", "10s", 0),
    ]));
    story.step(&mut |name, _| value(if name == "rate" { 0.1 } else { 0.99 }));
    assert_eq!(phase(&story.run), Phase::Failed);
    assert_eq!(result(&story.run, "endless").phase, "Successful");
    assert_eq!(
        status(&story.run).message.unwrap(),
        "Metric \"rate\" assessed Failed due to failed (1) > failureLimit (0)"
    );
    assert_eq!(
        status(&story.run).run_summary.unwrap(),
        RunSummary {
            count: Some(2),
            successful: Some(1),
            failed: Some(1),
            ..RunSummary::default()
        }
    );
    assert_eq!(status(&story.run).completed_at.unwrap().0, at(0));
    assert_eq!(
        story.events,
        [
            "Warning MetricFailed: Metric 'rate' Completed. Result: Failed",
            "Normal MetricSuccessful: Metric 'endless' Completed. Result: Successful",
            "Warning AnalysisRunFailed: Analysis Completed. Result: Failed",
        ]
    );
}

#[test]
fn the_worst_metric_gives_its_phase_to_the_run() {
    let metrics = || {
        vec![
            inconclusive("inconclusive"),
            inconclusive("good"),
            inconclusive("failed"),
        ]
    };
    let mut story = Story::new(run(metrics()));
    story
        .in_flight
        .extend(["inconclusive", "good", "failed"].map(str::to_owned));
    story.decide();
    story.absorb("inconclusive", value(0.7));
    // Worse may come from what is in flight.
    assert_eq!(phase(&story.run), Phase::Running);
    let plan = story.decide();
    assert!(plan.cancel.is_empty());
    assert!(plan.reasons.contains(&Reason::Terminating {
        by: Some("inconclusive".to_owned())
    }));
    story.absorb("failed", value(0.1));
    // Worse than this cannot come.
    assert_eq!(phase(&story.run), Phase::Failed);
    let plan = story.decide();
    assert_eq!(plan.cancel.len(), 1);
    assert_eq!(plan.cancel[0].metric, "good");
}

#[test]
fn a_bad_metric_stops_new_measurements_and_the_run_ends_when_nothing_is_in_flight() {
    let mut story = Story::new(run(vec![inconclusive("a"), repeated("b", "10s", 0)]));
    story.decide();
    story.in_flight.insert("b".to_owned());
    story.absorb("a", value(0.7));
    assert_eq!(phase(&story.run), Phase::Running);
    story.absorb("b", value(0.99));
    let plan = story.decide();
    assert!(plan.measure.is_empty());
    assert_eq!(phase(&story.run), Phase::Inconclusive);
}

#[test]
fn a_good_metric_that_is_in_flight_may_still_fail_the_run() {
    let mut story = Story::new(run(vec![inconclusive("a"), repeated("b", "10s", 0)]));
    story.decide();
    story.absorb("b", value(0.99));
    story.in_flight.insert("b".to_owned());
    story.absorb("a", value(0.7));
    story.decide();
    assert_eq!(result(&story.run, "b").phase, "Running");
    story.absorb("b", value(0.1));
    assert_eq!(phase(&story.run), Phase::Failed);
}

#[test]
fn a_job_that_is_being_looked_at_is_ended_with_the_run() {
    let mut story = Story::new(run(vec![metric("job"), inconclusive("a")]));
    story.decide();
    story.absorb(
        "job",
        Outcome::Resume {
            resume_at: None,
            metadata: BTreeMap::new(),
        },
    );
    story.in_flight.insert("job".to_owned());
    story.absorb("a", value(0.7));
    let plan = story.decide();
    assert_eq!(plan.cancel.len(), 1);
    assert_eq!(phase(&story.run), Phase::Inconclusive);
}

#[test]
fn a_dry_run_metric_decides_nothing_and_is_counted_apart() {
    let mut dry = run(vec![metric("rate"), metric("trial-latency")]);
    dry.spec.dry_run = dry_run("trial-.*");
    let mut story = Story::new(dry);
    story.step(&mut |name, _| value(if name == "rate" { 0.99 } else { 0.1 }));
    assert_eq!(phase(&story.run), Phase::Successful);
    let status = status(&story.run);
    assert_eq!(status.run_summary.unwrap().count, Some(1));
    let counted = status.dry_run_summary.unwrap();
    assert_eq!((counted.count, counted.failed), (Some(1), Some(1)));
    assert_eq!(result(&story.run, "trial-latency").phase, "Failed");
    assert_eq!(result(&story.run, "trial-latency").dry_run, Some(true));
    assert_eq!(result(&story.run, "rate").dry_run, None);
}

#[test]
fn a_bad_dry_run_metric_does_not_keep_the_others_from_being_measured() {
    let mut dry = run(vec![repeated("rate", "10s", 2), metric("trial")]);
    dry.spec.dry_run = dry_run("trial");
    let mut story = Story::new(dry);
    story.step(&mut |name, _| value(if name == "rate" { 0.99 } else { 0.1 }));
    assert_eq!(result(&story.run, "trial").phase, "Failed");
    story.seconds = 10;
    let plan = story.decide();
    assert_eq!(plan.measure.len(), 1);
    assert_eq!(plan.measure[0].metric.name, "rate");
}

#[test]
fn nothing_new_is_begun_while_a_bad_run_waits_for_what_is_in_flight() {
    let late = Metric {
        initial_delay: Some("10s".to_owned()),
        ..metric("late")
    };
    let mut story = Story::new(run(vec![inconclusive("bad"), metric("slow"), late]));
    story.in_flight.extend(["bad", "slow"].map(str::to_owned));
    story.decide();
    story.absorb("bad", value(0.7));
    story.seconds = 10;
    let plan = story.decide();
    assert_eq!(phase(&story.run), Phase::Running);
    assert!(plan.measure.is_empty());
}

#[test]
fn of_two_metrics_that_end_equally_badly_the_first_gives_the_message() {
    let mut story = Story::new(run(vec![inconclusive("a"), inconclusive("b")]));
    story.in_flight.extend(["a", "b"].map(str::to_owned));
    story.decide();
    story.absorb("b", value(0.7));
    story.absorb("a", value(0.7));
    assert_eq!(phase(&story.run), Phase::Inconclusive);
    let message = status(&story.run).message.unwrap();
    assert!(message.starts_with("Metric \"a\""), "{message}");
}

#[test]
fn a_rule_that_matches_no_metric_is_an_error() {
    let mut wrong = run(vec![metric("rate")]);
    wrong.spec.dry_run = dry_run("nope");
    let mut story = Story::new(wrong);
    let plan = story.decide();
    assert_eq!(phase(&story.run), Phase::Error);
    assert!(plan.measure.is_empty());
    let message = status(&story.run).message.unwrap();
    assert!(
        message.contains("Dry-Run metric rule 'nope' matches no metric"),
        "{message}"
    );
    assert_eq!(
        story.events,
        ["Warning AnalysisRunError: Analysis Completed. Result: Error"]
    );
}

#[test]
fn an_argument_without_a_value_is_an_error_that_names_it() {
    let mut wrong = run(vec![Metric {
        success_condition: Some("result[0] > {{args.least}}".to_owned()),
        ..metric("rate")
    }]);
    wrong.spec.args = Some(vec![argument("other", "1")]);
    let mut story = Story::new(wrong);
    story.decide();
    assert_eq!(phase(&story.run), Phase::Error);
    let message = status(&story.run).message.unwrap();
    assert!(message.starts_with(
        "Unable to resolve metric arguments: metric rate: failed to resolve {{args.least}}"
    ));
}

#[test]
fn a_run_that_is_told_to_terminate_keeps_what_it_knows() {
    let mut story = Story::new(run(vec![
        repeated("rate", "10s", 0),
        repeated("late", "10s", 0),
    ]));
    story.decide();
    story.absorb("rate", value(0.99));
    story.in_flight.insert("late".to_owned());
    story.run.spec.terminate = Some(true);
    let plan = story.decide();
    assert_eq!(phase(&story.run), Phase::Successful);
    assert_eq!(
        status(&story.run).message.as_deref(),
        Some("Run Terminated")
    );
    assert_eq!(plan.cancel.len(), 1);
    assert_eq!(plan.cancel[0].metric, "late");
    assert!(plan.measure.is_empty());
}

#[test]
fn a_run_that_is_terminated_before_it_measured_is_successful_as_upstream() {
    let mut story = Story::new(run(vec![metric("rate")]));
    story.run.spec.terminate = Some(true);
    let plan = story.decide();
    assert!(plan.measure.is_empty());
    assert_eq!(phase(&story.run), Phase::Successful);
    assert_eq!(
        status(&story.run).message.as_deref(),
        Some("Run Terminated")
    );
}

#[test]
fn a_job_under_way_is_ended_with_the_run_and_is_inconclusive() {
    let mut story = Story::new(run(vec![metric("job")]));
    story.step(&mut |_, _| Outcome::Resume {
        resume_at: None,
        metadata: BTreeMap::from([("job-name".to_owned(), "abc".to_owned())]),
    });
    story.run.spec.terminate = Some(true);
    let plan = story.decide();
    let ended = plan.cancel[0].measurement.clone().unwrap();
    assert_eq!(ended.metadata.unwrap()["job-name"], "abc");
    assert_eq!(phase(&story.run), Phase::Inconclusive);
    let measured = result(&story.run, "job").measurements.unwrap();
    assert_eq!(measured[0].phase, "Inconclusive");
    assert_eq!(measured[0].message.as_deref(), Some("Metric Terminated"));
}

#[test]
fn a_job_under_way_is_ended_by_a_decision_and_not_by_an_outcome_of_another_metric() {
    let mut story = Story::new(run(vec![metric("job"), metric("rate")]));
    story.decide();
    story.absorb(
        "job",
        Outcome::Resume {
            resume_at: None,
            metadata: BTreeMap::new(),
        },
    );
    let absorbed = story.absorb("rate", value(0.1));
    assert!(absorbed.cancel.is_empty());
    // The Job is still there, so the run has not ended.
    assert_eq!(phase(&story.run), Phase::Running);
    let decided = story.decide();
    assert_eq!(decided.cancel.len(), 1);
    assert_eq!(phase(&story.run), Phase::Failed);
}

#[test]
fn a_finished_run_absorbs_nothing() {
    let mut story = Story::new(run(vec![metric("rate")]));
    story.step(&mut |_, _| value(0.99));
    let before = story.run.clone();
    story.absorb("rate", value(0.1));
    story.absorb("nope", error("x"));
    story.decide();
    assert_eq!(story.run, before);
}

#[test]
fn ten_measurements_are_kept_unless_a_rule_says_otherwise() {
    let mut kept = run(vec![repeated("many", "1s", 0), repeated("few", "1s", 0)]);
    kept.spec.measurement_retention = Some(vec![MeasurementRetention {
        metric_name: "f.w".to_owned(),
        limit: 2,
    }]);
    let mut story = Story::new(kept);
    story.play(14, &mut |_, number| value(1.0 + f64::from(number)));
    let many = result(&story.run, "many");
    assert_eq!(
        (many.count, many.measurements.as_ref().unwrap().len()),
        (Some(15), 10)
    );
    // The newest are kept.
    assert_eq!(many.measurements.unwrap()[9].value.as_deref(), Some("[16]"));
    assert_eq!(result(&story.run, "few").measurements.unwrap().len(), 2);
}

#[test]
fn a_finished_run_goes_when_its_time_is_over() {
    let ttl = |completion, failure, success| {
        Some(TtlStrategy {
            seconds_after_completion: completion,
            seconds_after_failure: failure,
            seconds_after_success: success,
        })
    };
    for (strategy, good, expected) in [
        (ttl(Some(60), None, None), true, Some(60)),
        (ttl(Some(60), Some(5), None), true, Some(60)),
        (ttl(Some(60), Some(5), None), false, Some(5)),
        (ttl(Some(60), None, Some(7)), true, Some(7)),
        (ttl(None, Some(5), None), true, None),
        (None, true, None),
    ] {
        let mut finished = run(vec![metric("rate")]);
        finished.spec.ttl_strategy = strategy.clone();
        let mut story = Story::new(finished);
        let plan = story.step(&mut |_, _| value(if good { 0.99 } else { 0.1 }));
        assert_eq!(plan.wake_at, expected.map(at), "{strategy:?}");
        assert!(!plan.delete);
        if let Some(seconds) = expected {
            story.seconds = seconds - 1;
            assert!(!story.decide().delete);
            story.seconds = seconds;
            let plan = story.decide();
            assert!(plan.delete);
            assert!(matches!(plan.reasons.last(), Some(Reason::Expired { .. })));
        }
    }
}

#[test]
fn the_resolved_query_is_told() {
    let mut told = run(vec![{
        let mut metric = metric("rate");
        metric.provider.prometheus.as_mut().unwrap().query =
            Some("rate({{ args.what }}[5m])".to_owned());
        metric
    }]);
    told.spec.args = Some(vec![argument("what", "requests{job=\"web\"}")]);
    let mut story = Story::new(told);
    let plan = story.step(&mut |_, _| value(0.99));
    assert!(plan.measure.is_empty());
    assert_eq!(
        result(&story.run, "rate").metadata.unwrap()["ResolvedPrometheusQuery"],
        "rate(requests{job=\"web\"}[5m])"
    );
}

/// argo-rollouts#4832: an argument whose value is empty.
#[test]
fn r17_an_empty_value_is_a_value() {
    let mut told = run(vec![{
        let mut metric = metric("rate");
        metric.provider.prometheus.as_mut().unwrap().query = Some("up{{args.suffix}}".to_owned());
        metric
    }]);
    told.spec.args = Some(vec![argument("suffix", "")]);
    let plan = Story::new(told).decide();
    let query = plan.measure[0].metric.provider.prometheus.as_ref().unwrap();
    assert_eq!(query.query.as_deref(), Some("up"));
}

#[test]
fn a_provider_that_judges_by_itself_is_believed_only_when_it_is_through() {
    let finished = |phase| Outcome::Finished {
        phase,
        value: None,
        message: Some("said so".to_owned()),
        metadata: BTreeMap::new(),
    };
    for (given, expected) in [
        (Phase::Successful, "Successful"),
        (Phase::Failed, "Failed"),
        (Phase::Inconclusive, "Inconclusive"),
        (Phase::Running, "Error"),
    ] {
        let mut story = Story::new(run(vec![repeated("job", "10s", 0)]));
        story.step(&mut |_, _| finished(given));
        let measured = result(&story.run, "job").measurements.unwrap();
        assert_eq!(measured[0].phase, expected);
    }
}
