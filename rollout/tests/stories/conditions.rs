//! Conditions that say what goes wrong.

use serde_json::json;

use crate::fixtures::{Cluster, rollout};

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
