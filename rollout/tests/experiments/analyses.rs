//! Analyses: when they begin, what is required, what their verdicts mean.

use serde_json::{Value, json};
use sluice_rollout::experiment::Refused;

use crate::fixtures::{Cluster, spec};

fn analysis(name: &str, required: bool) -> Value {
    json!({ "name": name, "templateName": name, "requiredForCompletion": required })
}

fn cluster(more: Value) -> Cluster {
    Cluster::new(spec(more))
}

#[test]
fn a_run_begins_when_every_template_was_available_and_not_before() {
    let mut cluster = cluster(json!({ "duration": "1m", "analyses": [analysis("errors", false)] }));
    cluster.broken.push("new");
    cluster.settle();
    assert!(cluster.runs.is_empty());
    assert!(cluster.status().analysis_runs.is_none());
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(cluster.runs[0].metadata.name.as_deref(), Some("exp-errors"));
    assert_eq!(cluster.analysis("errors"), ("Running", ""));
    let reasons = cluster.event_reasons();
    assert!(reasons.contains(&"AnalysisRunPending") && reasons.contains(&"AnalysisRunRunning"));
    assert_eq!(
        cluster.rollout_events.len(),
        2,
        "the Rollout that owns it hears of them too"
    );
}

#[test]
fn the_moment_of_availability_is_written_before_a_run_is_made() {
    let mut cluster = cluster(json!({ "duration": "1m", "analyses": [analysis("errors", false)] }));
    while cluster.runs.is_empty() {
        let before = cluster.status_available();
        cluster.pass();
        cluster.tick();
        assert!(cluster.runs.is_empty() || before);
    }
    // The status that is written with it knows which one it is.
    let run = &cluster.runs[0].metadata;
    assert_eq!(run.namespace.as_deref(), Some("shop"));
    let known = &cluster.status().analysis_runs.as_ref().unwrap()[0];
    assert_eq!(Some(&known.analysis_run), run.name.as_ref());
}

#[test]
fn arguments_know_templates_times_and_fields_and_leave_secrets_to_the_run() {
    let mut cluster = cluster(json!({ "duration": "1m", "analyses": [{
        "name": "errors", "templateName": "errors", "args": [{ "name": "at",
            "value": "{{templates.new.podTemplateHash}} {{templates.new.replicaset.name}} {{experiment.availableAt}} {{experiment.finishedAt}}" }]
    }, {
        "name": "latency", "templateName": "latency", "args": [{ "name": "at",
            "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }]
    }] }));
    cluster.settle();
    let value = |index: usize| {
        cluster.runs[index].spec.args.as_ref().unwrap()[0]
            .value
            .clone()
            .unwrap()
    };
    let hash = cluster.sets[1].hash().unwrap();
    assert_eq!(
        value(0),
        format!("{hash} exp-new 2026-11-21T12:00:00Z 2026-11-21T12:01:00Z")
    );
    assert_eq!(value(1), "exp");

    let mut cluster = self::cluster(json!({ "analyses": [{
        "name": "errors", "templateName": "errors", "args": [{ "name": "at",
            "valueFrom": { "secretKeyRef": { "name": "token", "key": "it" } } }]
    }] }));
    cluster.settle();
    let argument = cluster.runs[0].spec.args.as_ref().unwrap()[0].clone();
    assert_eq!(argument.value, None);
    assert_eq!(
        argument.value_from.unwrap().secret_key_ref.unwrap().name,
        "token"
    );
}

#[test]
fn an_argument_that_means_nothing_is_an_error_that_names_it() {
    let mut cluster = cluster(json!({ "analyses": [{
        "name": "errors", "templateName": "errors", "args": [{ "name": "at", "value": "{{templates.none.podTemplateHash}}" }]
    }] }));
    cluster.settle();
    let message = "Failed to create AnalysisRun for analysis 'errors': failed to resolve {{templates.none.podTemplateHash}}";
    assert_eq!(cluster.analysis("errors"), ("Error", message));
    assert_eq!((cluster.phase(), cluster.message()), ("Error", message));
}

#[test]
fn a_template_that_does_not_exist_is_an_error_before_anything_is_measured() {
    for (scope, message) in [
        (
            false,
            "AnalysisTemplate verification failed for analysis 'none': analysistemplate.argoproj.io \"none\" not found",
        ),
        (
            true,
            "ClusterAnalysisTemplate verification failed for analysis 'none': clusteranalysistemplate.argoproj.io \"none\" not found",
        ),
    ] {
        let mut none = analysis("none", false);
        none["clusterScope"] = json!(scope);
        let mut cluster = cluster(json!({ "duration": "1m", "analyses": [none] }));
        cluster.settle();
        assert_eq!(cluster.analysis("none"), ("Error", message));
        assert_eq!((cluster.phase(), cluster.message()), ("Error", message));
        cluster.run_to_the_end();
    }
}

#[test]
fn a_bad_verdict_ends_the_experiment_at_once() {
    for phase in ["Failed", "Error", "Inconclusive"] {
        let mut cluster = cluster(json!({
            "duration": "1h",
            "analyses": [analysis("errors", false), analysis("latency", false)]
        }));
        cluster.settle();
        cluster.verdicts.insert("errors", (phase, "why"));
        cluster.settle();
        assert_eq!((cluster.phase(), cluster.message()), (phase, "why"));
        let other = &cluster.runs[1];
        assert_eq!(other.spec.terminate, Some(true), "and the other run");
        cluster.run_to_the_end();
        assert_eq!(cluster.phase(), phase, "which does not change that");
        let warning = cluster
            .events
            .iter()
            .find(|event| event.reason == format!("Experiment{phase}"))
            .unwrap();
        assert_eq!(warning.kind, sluice_rollout::EventType::Warning);
        assert!(cluster.event_reasons().contains(&"AnalysisRunTerminating"));
    }
}

#[test]
fn an_analysis_that_is_not_required_ends_with_the_duration() {
    let mut cluster = cluster(json!({ "duration": "1m", "analyses": [analysis("errors", false)] }));
    cluster.settle();
    cluster.wait(60);
    cluster.settle();
    assert_eq!(cluster.phase(), "Successful");
    assert_eq!(cluster.runs[0].spec.terminate, Some(true));
    cluster.run_to_the_end();
    assert_eq!(cluster.phase(), "Successful");
}

#[test]
fn success_of_what_is_not_required_does_not_end_it() {
    let mut cluster = cluster(json!({ "duration": "1m", "analyses": [analysis("errors", false)] }));
    cluster.verdicts.insert("errors", ("Successful", ""));
    cluster.settle();
    assert_eq!(cluster.phase(), "Running");
}

#[test]
fn it_is_complete_when_all_that_is_required_is_successful() {
    let mut cluster = cluster(json!({
        "analyses": [analysis("errors", true), analysis("latency", false)]
    }));
    cluster.settle();
    cluster.verdicts.insert("errors", ("Successful", ""));
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Successful", "Required AnalysisRuns completed")
    );
    assert_eq!(cluster.runs[1].spec.terminate, Some(true));
    cluster.run_to_the_end();
}

#[test]
fn pods_stay_beyond_the_duration_while_something_required_is_measured() {
    let mut cluster = cluster(json!({ "duration": "1m", "analyses": [analysis("errors", true)] }));
    cluster.settle();
    for seconds in [60, 540] {
        cluster.wait(seconds);
        cluster.settle();
        assert_eq!((cluster.phase(), cluster.sets[0].replicas), ("Running", 1));
        assert_eq!(cluster.template("old").0, "Running");
        assert_eq!(
            cluster.plan().wake_at,
            None,
            "it waits for the analysis alone"
        );
    }
    cluster.verdicts.insert("errors", ("Failed", "slow"));
    cluster.settle();
    assert_eq!(cluster.phase(), "Failed");
}

#[test]
fn told_to_end_before_what_is_required_was_measured_it_is_inconclusive() {
    let mut cluster = cluster(json!({ "analyses": [analysis("errors", true)] }));
    cluster.settle();
    cluster.terminate();
    cluster.settle();
    assert_eq!(cluster.runs[0].spec.terminate, Some(true));
    assert_eq!(cluster.phase(), "Inconclusive");

    let mut cluster = self::cluster(json!({ "analyses": [analysis("errors", true)] }));
    cluster.broken.push("old");
    cluster.settle();
    cluster.terminate();
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        (
            "Inconclusive",
            "Experiment ended before its required analysis 'errors' was made"
        )
    );
}

#[test]
fn a_run_that_a_person_deleted_is_an_error() {
    let mut cluster = cluster(json!({ "duration": "1m", "analyses": [analysis("errors", false)] }));
    cluster.settle();
    cluster.runs.clear();
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "analysisruns.argoproj.io \"exp-errors\" not found"
    );
    assert_eq!(cluster.phase(), "Error");
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let mut cluster = cluster(json!({ "duration": "1m", "analyses": [analysis("errors", false)] }));
    cluster.refused.push(Refused {
        kind: "AnalysisRun",
        name: "exp-errors".to_owned(),
        message: "already exists".to_owned(),
        taken: true,
    });
    cluster.settle();
    assert_eq!(
        cluster.runs[0].metadata.name.as_deref(),
        Some("exp-errors.1")
    );
    assert_eq!(cluster.analysis("errors").0, "Running");

    let mut cluster = self::cluster(json!({ "analyses": [analysis("errors", false)] }));
    cluster.refused.push(Refused {
        kind: "AnalysisRun",
        name: "exp-errors".to_owned(),
        message: "spec.args: too long".to_owned(),
        taken: false,
    });
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "Failed to create AnalysisRun for analysis 'errors': spec.args: too long"
    );
}

#[test]
fn runs_of_analyses_with_similar_names_are_told_apart() {
    let mut first = analysis("errors", true);
    first["name"] = json!("a");
    let mut second = analysis("latency", true);
    second["name"] = json!("a.1");
    let mut cluster = cluster(json!({ "analyses": [first, second] }));
    cluster.verdicts.insert("errors", ("Successful", ""));
    cluster.settle();
    // As after a crash before the status was written.
    for status in cluster
        .experiment
        .status
        .as_mut()
        .unwrap()
        .analysis_runs
        .as_mut()
        .unwrap()
    {
        status.analysis_run.clear();
        status.phase.clear();
    }
    cluster.settle();
    assert_eq!(cluster.analysis("a").0, "Successful");
    assert_eq!(cluster.analysis("a.1").0, "Running");
}

#[test]
fn one_that_failed_measures_anew_when_it_is_retried() {
    let mut cluster = cluster(json!({ "analyses": [analysis("errors", true)] }));
    cluster.verdicts.insert("errors", ("Failed", "why"));
    cluster.run_to_the_end();
    assert_eq!((cluster.phase(), cluster.message()), ("Failed", "why"));
    for (name, verdict) in [
        ("exp-errors.1", "Failed"),
        ("exp-errors.2", "Inconclusive"),
        ("exp-errors.3", "Successful"),
    ] {
        // What `retry experiment` does.
        cluster.experiment.status = None;
        cluster.wait(60);
        cluster.verdicts.clear();
        cluster.settle();
        assert_eq!(cluster.phase(), "Running");
        assert!(cluster.sets.iter().all(|set| set.replicas == 1));
        let last = cluster.runs.last().unwrap();
        assert_eq!(last.metadata.name.as_deref(), Some(name));
        cluster.verdicts.insert("errors", (verdict, ""));
        cluster.run_to_the_end();
        assert_eq!(cluster.phase(), verdict);
    }
}

#[test]
fn a_measurement_that_goes_on_goes_on_after_a_retry() {
    let mut cluster = cluster(json!({ "analyses": [analysis("errors", true)] }));
    cluster.settle();
    cluster.experiment.status = None;
    cluster.wait(60);
    cluster.settle();
    assert_eq!(cluster.runs.len(), 1);
    assert_eq!(cluster.analysis("errors").0, "Running");
    cluster.verdicts.insert("errors", ("Successful", ""));
    cluster.run_to_the_end();
    assert_eq!(cluster.phase(), "Successful");
}

#[test]
fn rules_labels_and_annotations_reach_the_run() {
    let mut cluster = cluster(json!({
        "dryRun": [{ "metricName": ".*" }],
        "measurementRetention": [{ "metricName": "errors", "limit": 3 }],
        "analysisRunMetadata": { "labels": { "l": "1" }, "annotations": { "a": "2" } },
        "analyses": [analysis("errors", false)]
    }));
    cluster.settle();
    assert_eq!(cluster.runs[0].metadata.labels.as_ref().unwrap().len(), 1);
    cluster.experiment.status = None;
    cluster.runs.clear();
    cluster.instance_id = "blue".to_owned();
    cluster.settle();
    let run = &cluster.runs[0];
    let labels = run.metadata.labels.as_ref().unwrap();
    assert_eq!(
        labels["argo-rollouts.argoproj.io/controller-instance-id"],
        "blue"
    );
    assert_eq!(run.spec.dry_run.as_ref().unwrap()[0].metric_name, ".*");
    assert_eq!(run.spec.measurement_retention.as_ref().unwrap()[0].limit, 3);
    assert_eq!(run.metadata.labels.as_ref().unwrap()["l"], "1");
    assert_eq!(run.metadata.annotations.as_ref().unwrap()["a"], "2");
}

#[test]
fn what_is_waited_for_and_what_is_ended_is_told_by_name() {
    let mut cluster = cluster(json!({
        "duration": "1h", "analyses": [analysis("errors", false), analysis("latency", false)]
    }));
    cluster.verdicts.insert("errors", ("Successful", ""));
    cluster.settle();
    let waits: Vec<String> = cluster
        .plan()
        .reasons
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(waits.len(), 2, "{waits:?}");
    assert!(waits[0].contains("exp-latency"), "{waits:?}");
    assert_eq!(waits[1], "The experiment runs until 2026-11-21T13:00:00Z");
    cluster.terminate();
    cluster.settle();
    let told = cluster.messages();
    assert!(
        told.contains(&"Terminating latency (exp-latency)"),
        "{told:?}"
    );
    assert!(
        !told.contains(&"Terminating errors (exp-errors)"),
        "{told:?}"
    );
    cluster.wait(3600);
    cluster.run_to_the_end();
    assert_eq!(cluster.plan().reasons, [sluice_rollout::Reason::Settled]);
}

#[test]
fn an_order_to_end_a_bad_template_and_a_bad_analysis_each_end_what_is_measured() {
    type Happens = fn(&mut Cluster);
    let ways: [(Happens, &str); 3] = [
        (Cluster::terminate, "Successful"),
        (|it| it.broken.push("new"), "Failed"),
        (
            |it| it.verdicts = [("errors", ("Failed", "why"))].into(),
            "Failed",
        ),
    ];
    for (happens, phase) in ways {
        let mut cluster = cluster(json!({
            "progressDeadlineSeconds": 60,
            "analyses": [analysis("errors", false), analysis("latency", false)]
        }));
        cluster.settle();
        happens(&mut cluster);
        cluster.settle();
        cluster.wait(61);
        cluster.settle();
        let last = cluster.runs.last().unwrap();
        assert_eq!((cluster.phase(), last.spec.terminate), (phase, Some(true)));
    }
}

#[test]
fn a_bad_verdict_and_a_set_that_is_gone_at_once_make_no_new_set() {
    let mut cluster = cluster(json!({ "analyses": [analysis("errors", false)] }));
    cluster.settle();
    cluster.verdicts.insert("errors", ("Failed", "why"));
    cluster.tick();
    cluster.sets.remove(0);
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.sets.len()), ("Failed", 1));
}

#[test]
fn of_several_bad_analyses_the_first_of_the_worst_is_told() {
    for (first, second, told) in [
        (("Failed", "a"), ("Failed", "b"), ("Failed", "a")),
        (("Inconclusive", "a"), ("Failed", "b"), ("Failed", "b")),
        (("Failed", "a"), ("Inconclusive", "b"), ("Failed", "a")),
    ] {
        let mut cluster = cluster(json!({
            "analyses": [analysis("errors", false), analysis("latency", false)]
        }));
        cluster.settle();
        cluster.verdicts = [("errors", first), ("latency", second)].into();
        cluster.settle();
        assert_eq!((cluster.phase(), cluster.message()), told);
    }
}

impl Cluster {
    fn status_available(&self) -> bool {
        let status = self.experiment.status.as_ref();
        status.is_some_and(|status| status.available_at.is_some())
    }
}
