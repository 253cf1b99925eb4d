//! Conditions that say what goes wrong.

use serde_json::json;

use crate::fixtures::{Cluster, analysis, blue_green, rollout};

fn failure(cluster: &Cluster) -> Option<(String, String, String)> {
    let known = cluster.status().condition("ReplicaFailure")?;
    let since = known.last_transition_time.as_ref().unwrap().0.to_string();
    Some((known.reason.clone(), known.message.clone(), since))
}

#[test]
fn pods_that_cannot_be_made_are_told_with_the_words_of_the_api() {
    let mut cluster = Cluster::deployed(rollout(2, json!([]), false));
    assert_eq!(failure(&cluster), None);
    for (minute, message) in [(1, "exceeded quota"), (2, "denied by a webhook")] {
        cluster.wait(60);
        cluster.sets[0].failure = Some(message.to_owned());
        cluster.settle();
        let since = format!("2026-11-21T12:0{minute}:00Z");
        assert_eq!(
            failure(&cluster),
            Some(("FailedCreate".to_owned(), message.to_owned(), since))
        );
    }
    cluster.sets[0].failure = None;
    cluster.settle();
    assert_eq!(failure(&cluster), None);
}

#[test]
fn an_old_set_that_waits_for_its_end_is_no_lack_of_progress() {
    let mut object = rollout(2, json!([{ "setWeight": 50 }]), true);
    object["spec"]["progressDeadlineSeconds"] = json!(10);
    object["spec"]["strategy"]["canary"]["scaleDownDelaySeconds"] = json!(60);
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.pods("web:1"), 2);
    cluster.wait(59);
    cluster.settle();
    assert_ne!(cluster.phase(), "Degraded", "{}", cluster.message());
    cluster.wait(1);
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.pods("web:1")), ("Healthy", 0));
}

#[test]
fn a_rollout_that_lost_a_pod_is_not_healthy() {
    for object in [rollout(4, json!([]), false), blue_green(4, json!({}))] {
        let mut cluster = Cluster::deployed(object);
        for (available, healthy) in [(3, "False"), (4, "True")] {
            cluster.few.insert("web:1", available);
            cluster.settle();
            let known = cluster.status().condition("Healthy").unwrap();
            assert_eq!(known.status, healthy, "{available} pods");
        }
    }
}

#[test]
fn a_pause_in_the_second_of_the_deadline_wins_over_it() {
    let update = |background: bool| {
        let steps = json!([{ "setWeight": 50 }, { "pause": {} }]);
        let mut object = rollout(4, steps, false);
        object["spec"]["progressDeadlineSeconds"] = json!(60);
        object["spec"]["progressDeadlineAbort"] = json!(true);
        if background {
            object["spec"]["strategy"]["canary"]["analysis"] = analysis("errors");
        }
        let mut cluster = Cluster::deployed(object);
        cluster.few.insert("web:2", 1);
        cluster.set_image("web:2");
        cluster.settle();
        cluster.wait(61);
        cluster
    };
    let mut cluster = update(false);
    cluster.edit(|rollout| rollout.spec.paused = Some(true));
    cluster.settle();
    assert_eq!(cluster.message(), "manually paused");

    let mut cluster = update(true);
    let verdict = ("Inconclusive", "unclear");
    cluster.verdicts.insert("errors".to_owned(), verdict);
    cluster.tick();
    cluster.settle();
    assert_eq!(cluster.message(), "InconclusiveAnalysisRun");

    let mut cluster = update(false);
    cluster.settle();
    assert_eq!(cluster.phase(), "Degraded", "without a pause");
}

#[test]
fn the_condition_of_an_invalid_spec_tells_the_mistake_that_is_left() {
    let mut cluster = Cluster::deployed(rollout(2, json!([]), false));
    let told = |cluster: &Cluster| {
        let known = cluster.status().condition("InvalidSpec").unwrap();
        known.message.clone()
    };
    cluster.edit(|rollout| rollout.spec.min_ready_seconds = Some(-1));
    cluster.settle();
    assert!(told(&cluster).contains("minReadySeconds"));
    cluster.edit(|rollout| {
        rollout.spec.min_ready_seconds = None;
        rollout.spec.progress_deadline_seconds = Some(-1);
    });
    cluster.settle();
    assert!(
        told(&cluster).contains("progressDeadlineSeconds"),
        "{}",
        told(&cluster)
    );
}
