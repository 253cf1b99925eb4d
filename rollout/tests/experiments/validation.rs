//! Specs that cannot be carried out.

use serde_json::{Value, json};
use sluice_rollout::experiment::validate;

use crate::fixtures::{Cluster, spec};

fn message(spec: Value) -> String {
    let mut cluster = Cluster::new(spec);
    let offline = validate(&cluster.experiment).unwrap();
    cluster.settle();
    assert!(cluster.log.is_empty(), "nothing is made");
    let conditions = cluster.status().conditions.clone().unwrap();
    assert_eq!(conditions[0].type_, "InvalidExperimentSpec");
    assert_eq!(conditions[0].status, "True");
    let message = conditions[0].message.clone().unwrap();
    assert_eq!(offline.message, message, "{}", offline.field);
    message
}

#[test]
fn a_wrong_spec_is_a_condition_with_the_words_that_users_know() {
    let with = |path: &str, value: Value| {
        let mut spec = spec(json!({}));
        *spec.pointer_mut(path).unwrap() = value;
        spec
    };
    for (spec, expected) in [
        (
            json!({ "templates": [] }),
            "Experiment has missing field '.spec.templates'",
        ),
        (
            with("/templates/1/selector", Value::Null),
            "Rollout has missing field '.Spec.Templates[1].Selector'",
        ),
        (
            with("/templates/0/selector", json!({})),
            "This experiment is selecting all pods at index 0. A non-empty selector is required.",
        ),
        (
            with("/templates/0/name", json!("")),
            "Experiment exp has empty template name at index 0",
        ),
        (
            with("/templates/1/name", json!("old")),
            "Experiment exp has repeated template name 'old' in templates",
        ),
        (
            with("/templates/0/selector/matchLabels/app", json!("x")),
            "`selector` does not match template `labels`: the template has no label app=x",
        ),
        (
            self::spec(json!({ "analyses": [{ "name": "", "templateName": "x" }] })),
            "Experiment exp has empty analysis name at index 0",
        ),
        (
            self::spec(json!({ "analyses": [
                { "name": "a", "templateName": "x" }, { "name": "a", "templateName": "x" }] })),
            "Experiment exp has repeated analysis name 'a' in analyses",
        ),
    ] {
        assert_eq!(message(spec), expected);
    }
    assert!(message(spec(json!({ "duration": "soon" }))).starts_with("invalid duration"));
    let mut late = spec(json!({ "progressDeadlineSeconds": 5 }));
    late["templates"][0]["minReadySeconds"] = json!(5);
    assert_eq!(validate(&Cluster::new(late.clone()).experiment), None);
    late["templates"][0]["minReadySeconds"] = json!(6);
    assert_eq!(
        message(late),
        "MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index 0"
    );
    let mut few = spec(json!({}));
    few["templates"][0]["replicas"] = json!(-1);
    assert_eq!(message(few), "must be greater than or equal to 0");
}

#[test]
fn the_condition_goes_with_the_mistake() {
    let mut cluster = Cluster::new(spec(json!({ "duration": "soon" })));
    cluster.settle();
    cluster.experiment.spec.duration = Some("later".to_owned());
    cluster.settle();
    let conditions = cluster.status().conditions.clone().unwrap();
    assert!(conditions[0].message.as_ref().unwrap().contains("later"));
    cluster.experiment.spec.duration = Some("1m".to_owned());
    cluster.run_to_the_end();
    let conditions = cluster.status().conditions.clone().unwrap();
    assert!(conditions.iter().all(|it| it.type_ == "Progressing"));
}

#[test]
fn a_mistake_does_not_disarm_the_order_to_stop() {
    let mut cluster = Cluster::new(spec(
        json!({ "duration": "1h", "scaleDownDelaySeconds": 0 }),
    ));
    cluster.settle();
    cluster.experiment.spec.duration = Some("soon".to_owned());
    cluster.settle();
    assert_eq!(cluster.sets[0].replicas, 1, "nothing moves");
    cluster.terminate();
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.sets[0].replicas),
        ("Successful", 0)
    );
}
