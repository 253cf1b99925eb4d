//! When an update becomes the stable revision, and what keeps it from that at the last moment.

use serde_json::json;

use crate::fixtures::{Cluster, analysis, rollout};

#[test]
fn a_whole_update_is_not_promoted_when_a_person_holds_or_aborts_it_in_the_last_moment() {
    let mut cluster = Cluster::deployed(rollout(2, json!([]), false));
    cluster.set_image("web:2");
    cluster.pass_until("whole", |it| {
        it.pods("web:2") == 2 && it.set("web:2").available == 2
    });
    assert_eq!(cluster.stable(), "web:1");
    let pause = |cluster: &mut Cluster| cluster.edit(|it| it.spec.paused = Some(true));
    for (order, stable) in [
        ((|_| ()) as fn(&mut Cluster), "web:2"),
        (Cluster::abort, "web:1"),
        (pause, "web:1"),
    ] {
        let mut cluster = cluster.clone();
        order(&mut cluster);
        cluster.settle();
        assert_eq!(cluster.stable(), stable, "{}", cluster.message());
    }
}

#[test]
fn an_update_that_cannot_be_measured_any_more_is_not_promoted() {
    let mut object = rollout(4, json!([{ "setWeight": 50 }]), true);
    object["spec"]["strategy"]["canary"]["analysis"] = analysis("errors");
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.pass_until("measured", |it| it.step() == 1 && !it.runs.is_empty());
    let results = json!([{ "name": "errors", "phase": "Running", "consecutiveError": 1 }]);
    let status = cluster.runs[0].status.get_or_insert_default();
    status.metric_results = serde_json::from_value(results).unwrap();
    cluster.settle();
    assert_eq!(
        (cluster.weight(), cluster.stable().as_str()),
        (100, "web:1")
    );
    assert!(
        cluster.message().contains("cannot measure"),
        "{}",
        cluster.message()
    );
    cluster.runs[0].status.as_mut().unwrap().metric_results = None;
    cluster.settle();
    assert_eq!(cluster.stable(), "web:2");
}

#[test]
fn an_update_of_which_some_pods_may_lag_is_promoted_with_all_of_them_ordered() {
    let mut object = rollout(4, json!([{ "setWeight": 50 }]), false);
    let canary = &mut object["spec"]["strategy"]["canary"];
    canary["replicaProgressThreshold"] = json!({ "type": "Percent", "value": 50 });
    canary["maxSurge"] = json!(1);
    canary["maxUnavailable"] = json!(0);
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.pass_until("promoted", |it| it.stable() == "web:2");
    assert_eq!(cluster.pods("web:2"), 4);
}
