//! `plugin` steps.

use serde_json::{Value, json};

use crate::fixtures::{Cluster, rollout};

fn with_plugin(config: Value) -> Value {
    let steps = json!([
        { "setWeight": 50 }, { "plugin": { "name": "sluice/steady", "config": config } }, { "pause": {} }
    ]);
    rollout(4, steps, true)
}

fn state(cluster: &Cluster) -> Value {
    let canary = cluster.status().canary.clone().unwrap();
    canary.step_plugin_statuses.unwrap()[0].clone()
}

#[test]
fn a_break_begins_the_time_anew() {
    let mut cluster = Cluster::deployed(with_plugin(json!({ "for": "60s" })));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.step(), cluster.phase()), (1, "Progressing"));
    assert_eq!(state(&cluster)["phase"], "Running");
    let wake = cluster.plan().wake_at.unwrap();
    assert_eq!(wake.duration_since(cluster.now).as_secs(), 60);
    cluster.wait(50);
    cluster.few.insert("web:2", 1);
    cluster.settle();
    cluster.few.clear();
    cluster.settle();
    cluster.wait(59);
    cluster.settle();
    assert_eq!(cluster.step(), 1);
    cluster.wait(1);
    cluster.settle();
    assert_eq!((cluster.step(), cluster.phase()), (2, "Paused"));
    assert_eq!(state(&cluster)["phase"], "Successful");
    assert!(
        cluster
            .events
            .iter()
            .any(|event| { event.message == "Rollout step 2/3 completed (plugin: sluice/steady)" })
    );
}

#[test]
fn what_is_never_steady_is_given_up_and_a_retry_begins_anew() {
    let mut cluster = Cluster::deployed(with_plugin(json!({ "for": "60s", "within": "5m" })));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.few.insert("web:2", 1);
    cluster.settle();
    cluster.wait(300);
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "RolloutAborted: Rollout aborted update to revision 2: Step Plugin 2 (sluice/steady) failed: not steady \
         within 5m0s: 1 available pods < 2 needed"
    );
    assert_eq!(cluster.weight(), 0);
    cluster.few.clear();
    cluster.wait(1);
    cluster.retry();
    cluster.settle();
    assert_eq!((cluster.step(), cluster.phase()), (1, "Progressing"));
    cluster.wait(60);
    cluster.settle();
    assert_eq!(cluster.step(), 2);
}

#[test]
fn a_plugin_that_takes_its_time_does_not_run_into_the_deadline() {
    let mut cluster = Cluster::deployed(with_plugin(json!({ "for": "1h" })));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.wait(3000);
    cluster.settle();
    assert_eq!(cluster.phase(), "Progressing");
}

#[test]
fn pods_that_never_come_up_at_a_plugin_step_run_into_the_deadline() {
    let mut cluster = Cluster::deployed(with_plugin(json!({ "for": "60s" })));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.step(), 1);
    cluster.few.insert("web:2", 1);
    cluster.settle();
    let wake = cluster.plan().wake_at.unwrap();
    assert!(wake.duration_since(cluster.now).as_secs() <= 601, "{wake}");
    cluster.wait(602);
    cluster.settle();
    assert_eq!(cluster.phase(), "Degraded");
    assert!(
        cluster.message().starts_with("ProgressDeadlineExceeded"),
        "{}",
        cluster.message()
    );
    cluster.few.clear();
    cluster.settle();
    cluster.wait(60);
    cluster.settle();
    assert_eq!((cluster.step(), cluster.phase()), (2, "Paused"));
}

#[test]
fn an_unknown_plugin_and_a_wrong_config_are_named() {
    for (name, config, told) in [
        (
            "argoproj-labs/sample",
            json!({}),
            "steps[1].plugin.name: Invalid value: \"argoproj-labs/sample\": unknown step plugin; built in: sluice/steady",
        ),
        ("sluice/steady", json!({}), "for: required"),
        (
            "sluice/steady",
            json!({ "for": "1m", "within": "30s" }),
            "within: must be more than for",
        ),
        (
            "sluice/steady",
            json!({ "for": "1m", "until": "30s" }),
            "unknown field \"until\"",
        ),
        ("sluice/steady", json!({ "for": "soon" }), "for: "),
    ] {
        let mut object = with_plugin(config);
        object["spec"]["strategy"]["canary"]["steps"][1]["plugin"]["name"] = json!(name);
        let mut cluster = Cluster::new(object);
        cluster.settle();
        assert!(cluster.message().contains(told), "{}", cluster.message());
    }
}

#[test]
fn each_step_of_the_same_plugin_takes_a_time_of_its_own() {
    let plugin = json!({ "plugin": { "name": "sluice/steady", "config": { "for": "60s" } } });
    let steps = json!([{ "setWeight": 25 }, plugin, { "setWeight": 50 }, plugin, { "pause": {} }]);
    let mut cluster = Cluster::deployed(rollout(4, steps, true));
    cluster.set_image("web:2");
    for step in [1, 3] {
        cluster.settle();
        assert_eq!(cluster.step(), step);
        cluster.wait(60);
    }
    cluster.settle();
    assert_eq!((cluster.step(), cluster.phase()), (4, "Paused"));
}
