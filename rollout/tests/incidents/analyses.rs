//! R15, R16, R20: measurements that were never made, made too early, or could not be made.

use serde_json::json;
use sluice_crds::analysis::MetricResult;

use crate::fixtures::scenes::{measured_beside_the_steps, measured_in_a_step};
use crate::fixtures::{Cluster, analysis, blue_green, rollout};

/// argo-rollouts#1329: an analysis that was told to end before it had measured anything counted as successful.
#[test]
fn r15_an_analysis_that_was_ended_before_it_measured_has_not_succeeded() {
    let mut cluster = measured_in_a_step();
    cluster.settle();
    let run = cluster.runs.last_mut().unwrap();
    run.spec.terminate = Some(true);
    let status = run.status.as_mut().unwrap();
    status.phase = "Successful".to_owned();
    status.metric_results = None;
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Paused", "InconclusiveAnalysisRun")
    );
}

/// argo-rollouts#3873: an inconclusive analysis in the background is no success. It waits for a person, and who goes on is
/// not left without a measurement.
#[test]
fn r15_going_on_from_an_inconclusive_background_analysis_measures_again() {
    let mut cluster = measured_beside_the_steps();
    cluster
        .verdicts
        .insert("errors".into(), ("Inconclusive", ""));
    cluster.settle();
    assert_eq!(cluster.phase(), "Paused");
    let pauses = cluster.status().pause_conditions.clone().unwrap();
    assert_eq!(pauses.len(), 2, "the step's and the analysis's: {pauses:?}");
    cluster.wait(1000);
    cluster.settle();
    assert_eq!(cluster.step(), 1, "time does not help");
    cluster.verdicts.clear();
    cluster.promote();
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (3, 50));
    let names: Vec<&str> = cluster
        .runs
        .iter()
        .map(|run| run.metadata.name.as_deref().unwrap())
        .collect();
    assert!(names[1].ends_with("-2.1"), "{names:?}");
}

/// argo-rollouts#4604: a step's analysis was begun beside a canary that had fewer pods than the step asks for, and it was
/// good.
#[test]
fn r15_an_analysis_is_not_begun_beside_a_canary_that_lacks_pods() {
    let steps = json!([{ "setWeight": 50 }, { "analysis": analysis("errors") }]);
    for routed in [false, true] {
        let mut cluster = Cluster::deployed(rollout(10, steps.clone(), routed));
        cluster.verdicts.insert("errors".into(), ("Successful", ""));
        cluster.few.insert("web:2", 3);
        cluster.set_image("web:2");
        cluster.settle();
        assert_eq!((cluster.runs.len(), cluster.step()), (0, 0));
        cluster.few.clear();
        cluster.settle();
        assert_eq!(
            (cluster.runs.len(), cluster.stable().as_str()),
            (1, "web:2")
        );
    }
}

/// Of a canary's analysis in the background, and of a blue-green's before the switch.
#[test]
fn r16_an_analysis_begins_when_there_is_something_to_measure() {
    let mut canary = rollout(10, json!([{ "setWeight": 10 }, { "pause": {} }]), true);
    canary["spec"]["strategy"]["canary"]["analysis"] = analysis("errors");
    let preview = blue_green(10, json!({ "prePromotionAnalysis": analysis("errors") }));
    for object in [canary, preview] {
        let mut cluster = Cluster::deployed(object);
        cluster.broken.push("web:2");
        cluster.set_image("web:2");
        cluster.settle();
        assert!(cluster.runs.is_empty(), "no pods, nothing to measure");
        cluster.broken.clear();
        cluster.settle();
        assert_eq!(cluster.runs.len(), 1);
        assert_eq!(cluster.set("web:2").available, cluster.pods("web:2"));
        let last = cluster.log.last().unwrap();
        assert!(last.starts_with("measure web-web:2-2"), "{last}");
    }
}

/// A backend that is down, from the start or later, is no verdict: the update holds, says so, and goes on when it is back.
#[test]
fn r20_a_backend_that_is_down_holds_and_says_so() {
    let mut cluster = measured_beside_the_steps();
    cluster.settle();
    let outage = |errors: i32| {
        Some(vec![MetricResult {
            name: "errors".to_owned(),
            phase: "Running".to_owned(),
            consecutive_error: Some(errors),
            count: Some(1),
            ..Default::default()
        }])
    };
    cluster.runs[0].status.as_mut().unwrap().metric_results = outage(2);
    cluster.wait(3600);
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.step(), cluster.weight()),
        ("Paused", 1, 10)
    );
    let name = cluster.runs[0].metadata.name.clone().unwrap();
    assert_eq!(
        cluster.message(),
        format!(
            "CanaryPauseStep; holding: {name} cannot measure: errors: 2 errors in a row (allowed: 4): no answer"
        )
    );
    assert_eq!(cluster.status().abort, None);
    cluster.runs[0].status.as_mut().unwrap().metric_results = outage(0);
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (3, 50));
}
