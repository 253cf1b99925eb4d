//! Analyses: of a step and in the background; their verdicts, and what a retry measures.

use serde_json::json;
use sluice_crds::IntOrString;
use sluice_crds::analysis::MetricResult;

use crate::blue_green::waiting;
use crate::fixtures::scenes::{measured_beside_the_steps, measured_in_a_step};
use crate::fixtures::{Cluster, analysis, blue_green, rollout};

#[test]
fn the_whole_story_with_a_background_analysis() {
    let mut cluster = measured_beside_the_steps();
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.step()), (10, 1));
    assert_eq!(cluster.log.last().unwrap(), "measure web-web:2-2");
    let run = &cluster.runs[0];
    assert_eq!(run.metadata.namespace.as_deref(), Some("shop"));
    let labels = run.metadata.labels.as_ref().unwrap();
    assert_eq!(labels["rollout-type"], "Background");
    assert_eq!(labels["app"], "web");
    assert_eq!(
        run.metadata.annotations.as_ref().unwrap()["rollout.argoproj.io/revision"],
        "2"
    );
    let known = cluster
        .status()
        .canary
        .clone()
        .unwrap()
        .current_background_analysis_run_status
        .unwrap();
    assert_eq!(
        (Some(&known.name), known.status.as_deref()),
        (run.metadata.name.as_ref(), Some("Running"))
    );
    cluster.run_until("promoted", |cluster| cluster.phase() == "Healthy");
    assert_eq!(cluster.weights, [10, 50, 100, 0]);
    assert_eq!(
        cluster.runs[0].spec.terminate,
        Some(true),
        "it ends with the update"
    );
    let canary = cluster.status().canary.clone().unwrap();
    assert_eq!(canary.current_background_analysis_run_status, None);
}

#[test]
fn a_failed_background_analysis_takes_the_traffic_back_and_says_why() {
    let mut cluster = measured_beside_the_steps();
    cluster.verdicts.insert(
        "errors".into(),
        (
            "Failed",
            "Metric \"errors\" assessed Failed due to failed (3) > failureLimit (2)",
        ),
    );
    cluster.settle();
    assert_eq!(cluster.weights, [10, 0]);
    assert_eq!(
        cluster.message(),
        "RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: \
         Metric \"errors\" assessed Failed due to failed (3) > failureLimit (2)"
    );
    assert!(cluster.event_reasons().contains(&"AnalysisRunFailed"));
    // The fix.
    cluster.verdicts.clear();
    cluster.set_image("web:4");
    cluster.run_until("promoted", |cluster| cluster.phase() == "Healthy");
    assert_eq!(cluster.stable(), "web:4");
}

#[test]
fn a_step_waits_for_its_analysis() {
    let mut cluster = measured_in_a_step();
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (1, 10));
    assert_eq!(cluster.log.last().unwrap(), "measure web-web:2-2-1");
    assert_eq!(
        cluster.runs[0].metadata.labels.as_ref().unwrap()["step-index"],
        "1"
    );
    cluster.wait(100_000);
    cluster.settle();
    assert_eq!(cluster.phase(), "Progressing", "an analysis takes its time");
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (3, 50));
    assert_eq!(cluster.runs.len(), 1);
}

#[test]
fn a_retry_measures_again() {
    let mut cluster = measured_in_a_step();
    cluster
        .verdicts
        .insert("errors".into(), ("Error", "no answer"));
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase error/failed: no answer"
    );
    for number in 1..=2 {
        cluster.retry();
        cluster.settle();
        assert_eq!(cluster.phase(), "Degraded");
        let name = cluster.runs.last().unwrap().metadata.name.clone().unwrap();
        assert!(name.ends_with(&format!("-2-1.{number}")), "{name}");
    }
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.retry();
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.step()), ("Paused", 3));
}

#[test]
fn changed_steps_measure_again() {
    let mut cluster = measured_in_a_step();
    cluster.verdicts.insert("errors".into(), ("Failed", ""));
    cluster.settle();
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.edit_canary(|canary| {
        canary.steps.as_mut().unwrap()[0].set_weight = Some(20);
    });
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.step(), cluster.runs.len()),
        ("Paused", 3, 2)
    );
}

#[test]
fn an_inconclusive_analysis_waits_for_a_person() {
    let mut cluster = measured_in_a_step();
    cluster
        .verdicts
        .insert("errors".into(), ("Inconclusive", ""));
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Paused", "InconclusiveAnalysisRun")
    );
    assert_eq!((cluster.step(), cluster.weight()), (1, 10));
    let before = cluster.log.len();
    cluster.scale(20);
    cluster.settle();
    assert_eq!(cluster.log.len(), before, "nothing is scaled meanwhile");
    // What `promote` writes in this case.
    cluster.patch_status(|status| {
        status.pause_conditions = None;
        status.controller_pause = Some(false);
        status.current_step_index = Some(2);
    });
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (3, 50));
}

#[test]
fn a_person_goes_on_in_spite_of_a_metrics_outage() {
    let mut cluster = measured_beside_the_steps();
    cluster.settle();
    cluster.runs[0].status.as_mut().unwrap().metric_results = Some(vec![MetricResult {
        name: "errors".to_owned(),
        consecutive_error: Some(1),
        ..Default::default()
    }]);
    cluster.settle();
    cluster.promote();
    cluster.settle();
    assert_eq!(
        cluster.step(),
        2,
        "over the pause, and not over the next step"
    );
}

#[test]
fn runs_of_an_overtaken_update_are_ended() {
    let mut cluster = measured_beside_the_steps();
    cluster.settle();
    cluster.set_image("web:3");
    cluster.settle();
    assert_eq!(cluster.runs.len(), 2);
    assert_eq!(cluster.runs[0].spec.terminate, Some(true));
    assert_eq!(cluster.runs[1].spec.terminate, None);
}

#[test]
fn arguments_are_resolved_from_the_rollout() {
    let mut step = analysis("errors");
    step["args"] = json!([
        { "name": "stable", "valueFrom": { "podTemplateHashValue": "Stable" } },
        { "name": "canary", "valueFrom": { "podTemplateHashValue": "Latest" } },
        { "name": "app", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
        { "name": "limit", "value": "5" }
    ]);
    let mut cluster = Cluster::deployed(rollout(2, json!([{ "analysis": step }]), false));
    let spec = json!({
        "args": [{ "name": "stable" }, { "name": "canary" }, { "name": "app" }, { "name": "limit", "value": "1" }],
        "metrics": [{ "name": "errors", "provider": { "prometheus": { "address": "http://p", "query": "{{args.app}}" } } }]
    });
    cluster
        .templates
        .insert("errors", serde_json::from_value(spec).unwrap());
    cluster.set_image("web:2");
    cluster.settle();
    let args = cluster.runs[0].spec.args.clone().unwrap();
    let value = |name: &str| {
        args.iter()
            .find(|arg| arg.name == name)
            .unwrap()
            .value
            .clone()
    };
    assert_eq!(value("stable").as_deref(), cluster.set("web:1").hash());
    assert_eq!(value("canary").as_deref(), cluster.set("web:2").hash());
    assert_eq!(value("app").as_deref(), Some("web"));
    assert_eq!(value("limit").as_deref(), Some("5"));
}

#[test]
fn one_that_is_ended_by_hand_counts_if_it_has_measured() {
    let end = |measured: i32| {
        let mut cluster = measured_in_a_step();
        cluster.settle();
        let run = &mut cluster.runs[0];
        run.spec.terminate = Some(true);
        let status = run.status.get_or_insert_default();
        status.phase = "Successful".to_owned();
        let result = json!([{ "name": "errors", "phase": "Successful", "count": measured }]);
        status.metric_results = serde_json::from_value(result).unwrap();
        cluster.settle();
        (cluster.step(), cluster.message().to_owned())
    };
    assert_eq!(end(1), (3, "CanaryPauseStep".to_owned()));
    assert_eq!(end(0), (1, "InconclusiveAnalysisRun".to_owned()));
}

#[test]
fn the_background_is_not_measured_before_there_are_pods_to_measure() {
    let mut object = rollout(4, json!([{ "setWeight": 50 }, { "pause": {} }]), false);
    object["spec"]["strategy"]["canary"]["analysis"] = analysis("errors");
    let mut cluster = Cluster::deployed(object);
    cluster.broken.push("web:2");
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.runs.len(), 0);
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(cluster.runs.len(), 1);
}

#[test]
fn the_active_revision_is_measured_after_the_switch_only_while_it_has_pods() {
    let fields = json!({ "postPromotionAnalysis": analysis("errors") });
    let mut cluster = Cluster::deployed(blue_green(4, fields));
    cluster.set_image("web:2");
    cluster.pass_until("switched", |it| it.selected("web-active") == "web:2");
    cluster.broken.push("web:2");
    cluster.tick();
    cluster.settle();
    assert_eq!(cluster.runs.len(), 0);
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(cluster.runs.len(), 1);
}

#[test]
fn an_analysis_before_the_switch_that_is_ordered_after_the_gate_is_not_begun() {
    let mut cluster = waiting(json!({ "previewReplicaCount": 1 }));
    cluster.few.insert("web:2", 1);
    cluster.promote();
    cluster.settle();
    assert_eq!(cluster.selected("web-active"), "web:1", "it is not whole");
    let mut strategy = serde_json::to_value(&cluster.rollout.spec.strategy).unwrap();
    strategy["blueGreen"]["prePromotionAnalysis"] = analysis("errors");
    cluster.set_strategy(strategy);
    cluster.settle();
    assert_eq!(cluster.runs.len(), 0);
}

#[test]
fn of_the_runs_of_another_controller_the_one_that_the_status_names_counts() {
    let mut cluster = measured_in_a_step();
    cluster.settle();
    let run = &mut cluster.runs[0].metadata;
    let annotations = run.annotations.as_mut().unwrap();
    annotations.remove("sluice.dev/attempt");
    let name = run.name.clone().unwrap();
    let mut earlier = cluster.runs[0].clone();
    earlier.metadata.name = Some(format!("{name}.1"));
    let failed = json!({ "phase": "Failed", "metricResults": [] });
    earlier.status = serde_json::from_value(failed).unwrap();
    cluster.runs.push(earlier);
    cluster.settle();
    assert_eq!((cluster.step(), cluster.runs.len()), (1, 2));
    assert_eq!(cluster.runs[0].spec.terminate, None);
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.settle();
    assert_eq!(cluster.step(), 3);
}

#[test]
fn an_outage_is_one_of_metrics_that_decide_and_is_told_with_their_limit() {
    let held = |result: serde_json::Value| {
        let mut cluster = measured_beside_the_steps();
        cluster.settle();
        let run = &mut cluster.runs[0];
        let metrics = run.spec.metrics.as_mut().unwrap();
        let mut other = metrics[0].clone();
        other.name = "latency".to_owned();
        other.consecutive_error_limit = Some(IntOrString::Int(7));
        metrics.push(other);
        let status = run.status.get_or_insert_default();
        status.metric_results = serde_json::from_value(json!([result])).unwrap();
        cluster.wait(60);
        cluster.settle();
        (cluster.step(), cluster.message().to_owned())
    };
    let result = |dry_run: bool, phase: &str| json!({ "name": "latency", "phase": phase, "consecutiveError": 2, "dryRun": dry_run });
    assert_eq!(held(result(true, "Running")).0, 3);
    assert_eq!(held(result(false, "Successful")).0, 3);
    let (step, message) = held(result(false, "Running"));
    assert_eq!(step, 1);
    let outage = "latency: 2 errors in a row (allowed: 7): no answer";
    assert!(message.ends_with(outage), "{message}");
}
