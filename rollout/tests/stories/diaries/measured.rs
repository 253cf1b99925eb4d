//! Diaries of updates that are measured, by analyses and by experiments.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::fixtures::scenes::{measured_beside_the_steps, measured_in_a_step};
use crate::fixtures::{Cluster, rollout};

fn comes_out(cluster: &mut Cluster, what: &str, phase: &'static str, message: &'static str) {
    cluster.verdicts.insert(what.to_owned(), (phase, message));
}

#[test]
fn a_step_that_is_successful_and_one_that_fails() {
    let mut cluster = measured_in_a_step();
    cluster.then("the image was set", |_| ());
    cluster.then("there are few errors", |it| {
        comes_out(it, "errors", "Successful", "")
    });
    cluster.then("the next image is set, with errors", |it| {
        comes_out(
            it,
            "errors",
            "Failed",
            "Metric \"errors\" assessed Failed due to failed (1) > failureLimit (0)",
        );
        it.set_image("web:3");
    });
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn a_step_that_is_inconclusive_and_one_that_cannot_be_measured() {
    let mut cluster = measured_in_a_step();
    cluster.then("the image was set", |_| ());
    cluster.then("nobody knows", |it| {
        comes_out(it, "errors", "Inconclusive", "unclear")
    });
    cluster.then("a person goes on", Cluster::promote);
    cluster.then("the next image is set, and Prometheus is down", |it| {
        comes_out(it, "errors", "Error", "connection refused");
        it.set_image("web:3");
    });
    assert_snapshot!(cluster.told());
}

#[test]
fn the_background_is_measured_from_the_second_step_on() {
    let mut cluster = measured_beside_the_steps();
    cluster.then("the image was set", |_| ());
    cluster.later(60);
    cluster.later(60);
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn a_background_that_fails_aborts_and_one_that_is_unclear_pauses() {
    let mut cluster = measured_beside_the_steps();
    cluster.then("the image was set", |_| ());
    cluster.then("nobody knows", |it| {
        comes_out(it, "errors", "Inconclusive", "unclear")
    });
    cluster.then("a person goes on", Cluster::promote);
    cluster.then("there are errors", |it| {
        comes_out(it, "errors", "Failed", "too many");
        it.patch_status(|status| status.pause_conditions = None);
    });
    assert_snapshot!(cluster.told());
}

#[test]
fn an_experiment_with_shares_of_the_traffic() {
    let template = |name: &str, of: &str, weight: i32| -> Value {
        json!({ "name": name, "specRef": of, "weight": weight, "replicas": 1,
            "metadata": { "labels": { "app": name } } })
    };
    let steps = json!([
        { "setWeight": 10 },
        { "experiment": {
            "duration": "5m",
            "templates": [template("old", "stable", 5), template("new", "canary", 15)],
            "analyses": [{ "name": "errors", "templateName": "errors", "requiredForCompletion": true,
                "args": [{ "name": "hash", "value": "{{templates.new.podTemplateHash}}" }] }],
            "dryRun": [{ "metricName": "errors" }],
            "scaleDownDelaySeconds": 7,
            "analysisRunMetadata": { "labels": { "team": "shop" } }
        } },
        { "pause": {} }
    ]);
    let mut object = rollout(10, steps, true);
    object["spec"]["strategy"]["canary"]["trafficRouting"] =
        json!({ "plugins": { "argoproj-labs/gatewayAPI": { "httpRoute": "web" } } });
    let mut cluster = Cluster::deployed(object);
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("it is over", |it| {
        comes_out(it, "experiment", "Successful", "")
    });
    cluster.then("the next image is set, and is worse", |it| {
        comes_out(it, "experiment", "Failed", "Assessed Failed");
        it.set_image("web:3");
    });
    cluster.then("a person retries, with nothing known of it", |it| {
        it.verdicts.clear();
        it.retry();
    });
    cluster.then("nobody knows", |it| {
        comes_out(it, "experiment", "Inconclusive", "unclear")
    });
    cluster.then("a person aborts", Cluster::abort);
    assert_snapshot!(cluster.told());
}
