//! `workloadRef`: the template of a Deployment, and what becomes of its pods.

use serde_json::json;
use sluice_crds::names;

use crate::fixtures::Cluster;
use crate::fixtures::scenes::{deployment, referring};

fn of_deployment(cluster: &Cluster) -> i64 {
    cluster.workload.as_ref().unwrap()["spec"]["replicas"]
        .as_i64()
        .unwrap()
}

#[test]
fn the_template_of_the_workload_is_deployed_and_its_changes_are_updates() {
    let mut cluster = referring("never");
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.pods("web:1")), ("Healthy", 4));
    assert!(cluster.rollout.spec.template.is_none());
    assert_eq!(
        cluster.status().workload_observed_generation.as_deref(),
        Some("3")
    );
    let annotations = cluster.rollout.metadata.annotations.clone().unwrap();
    assert_eq!(annotations[names::WORKLOAD_GENERATION], "3");
    assert_eq!(cluster.status().selector.as_deref(), Some("app=web"));
    assert_eq!(of_deployment(&cluster), 4);
    cluster.workload = Some(deployment("web:2", 4, 4));
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.pods("web:2")), ("Paused", 2));
    cluster.promote();
    cluster.settle();
    assert_eq!(cluster.stable(), "web:2");
}

#[test]
fn pods_that_are_about_to_go_do_not_replace_those_of_the_workload() {
    let mut cluster = referring("onsuccess");
    while cluster.sets.iter().all(|set| set.replicas == 0) {
        cluster.pass();
    }
    cluster.tick();
    cluster.scale(1);
    while cluster.sets[0].replicas != 1 {
        assert!(cluster.pass());
    }
    // The set still counts the four pods that it had.
    cluster.scale(4);
    cluster.pass();
    assert_eq!(of_deployment(&cluster), 4);
    cluster.settle();
    assert_eq!((cluster.phase(), of_deployment(&cluster)), ("Healthy", 0));

    // Nor later on, when somebody starts the workload again.
    cluster.scale(1);
    while cluster.sets[0].replicas != 1 {
        assert!(cluster.pass());
    }
    let set = &mut cluster.sets[0];
    (set.current, set.ready, set.available) = (4, 4, 4);
    cluster.workload = Some(deployment("web:1", 3, 4));
    cluster.scale(4);
    cluster.pass();
    assert_eq!(of_deployment(&cluster), 4);
    cluster.settle();
    assert_eq!(of_deployment(&cluster), 0);
}

#[test]
fn a_pod_template_is_enough() {
    let mut cluster = referring("never");
    let template = deployment("web:1", 1, 0)["spec"]["template"].clone();
    cluster.workload = Some(json!({ "metadata": { "name": "old" }, "template": template }));
    cluster.edit(|rollout| {
        let reference = rollout.spec.workload_ref.as_mut().unwrap();
        reference.kind = Some("PodTemplate".to_owned());
    });
    cluster.settle();
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn on_success_the_deployment_goes_when_the_first_revision_is_healthy() {
    let mut cluster = referring("onsuccess");
    cluster.broken.push("web:1");
    cluster.settle();
    assert_eq!(of_deployment(&cluster), 4);
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(of_deployment(&cluster), 0);
    assert_eq!(cluster.log.last().unwrap(), "scale workload 4 -> 0");
}

#[test]
fn progressively_it_makes_room_as_pods_become_available() {
    let mut cluster = referring("progressively");
    cluster.few.insert("web:1", 1);
    cluster.settle();
    assert_eq!(of_deployment(&cluster), 3);
    cluster.few.insert("web:1", 3);
    cluster.settle();
    assert_eq!(of_deployment(&cluster), 1);
    cluster.few.clear();
    cluster.settle();
    assert_eq!(of_deployment(&cluster), 0);
}

#[test]
fn a_later_revision_leaves_the_deployment_alone() {
    let mut cluster = referring("onsuccess");
    cluster.settle();
    cluster.workload = Some(deployment("web:2", 4, 2));
    cluster.settle();
    cluster.promote_fully();
    cluster.settle();
    assert_eq!((cluster.phase(), of_deployment(&cluster)), ("Healthy", 2));
}

#[test]
fn what_cannot_be_referred_to_is_refused_by_field() {
    for (field, value, told) in [
        ("kind", "StatefulSet", "spec.workloadRef.kind"),
        ("scaleDown", "sometimes", "spec.workloadRef.scaleDown"),
        ("name", "", "spec.workloadRef.name"),
    ] {
        let mut cluster = referring("never");
        let mut object = serde_json::to_value(&cluster.rollout).unwrap();
        object["spec"]["workloadRef"][field] = json!(value);
        cluster.rollout = serde_json::from_value(object).unwrap();
        cluster.settle();
        assert!(cluster.message().contains(told), "{}", cluster.message());
        assert!(cluster.sets.is_empty());
    }
}
