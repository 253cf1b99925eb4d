//! Templates: their ReplicaSets, the duration, the progress deadline, the end.

use serde_json::json;
use sluice_rollout::experiment::Refused;

use crate::fixtures::{Cluster, spec};

#[test]
fn templates_run_for_the_duration_and_go_after_the_delay() {
    let mut cluster = Cluster::new(spec(json!({ "duration": "5m" })));
    cluster.settle();
    assert_eq!(
        cluster.log,
        [
            "create exp-old",
            "create exp-new",
            "scale exp-old 0 -> 1",
            "scale exp-new 0 -> 1"
        ]
    );
    assert_eq!(cluster.phase(), "Running");
    assert_eq!(cluster.template("old").0, "Running");
    let available = cluster.status().available_at.clone().unwrap().0;
    assert_eq!(available, cluster.now);
    let end = cluster.plan().wake_at.unwrap();
    assert_eq!(end.as_second() - available.as_second(), 300);
    let set = &cluster.sets[0];
    assert_eq!(set.annotations["experiment.argoproj.io/name"], "exp");
    assert_eq!(
        set.annotations["experiment.argoproj.io/template-name"],
        "old"
    );
    assert_eq!(
        set.labels["rollouts-pod-template-hash"],
        set.hash().unwrap()
    );

    cluster.wait(299);
    cluster.settle();
    assert_eq!(cluster.phase(), "Running");
    cluster.wait(1);
    cluster.settle();
    assert_eq!(cluster.phase(), "Successful");
    assert_eq!(cluster.template("new").0, "Successful");
    assert_eq!(cluster.sets[0].replicas, 1, "kept for 30 s");
    assert!(
        cluster.sets[0]
            .annotations
            .contains_key("scale-down-deadline")
    );
    cluster.wait(29);
    cluster.settle();
    assert_eq!(cluster.sets[0].replicas, 1);
    cluster.wait(1);
    cluster.settle();
    assert!(cluster.sets.iter().all(|set| set.replicas == 0));
    assert_eq!(cluster.plan().wake_at, None, "nothing to come back for");
}

#[test]
fn events_and_conditions_are_those_that_other_tools_know() {
    let mut cluster = Cluster::new(spec(json!({ "duration": "10s" })));
    cluster.run_to_the_end();
    assert_eq!(
        cluster.event_reasons(),
        [
            "TemplateProgressing",
            "TemplateProgressing",
            "ExperimentPending",
            "ScalingReplicaSet",
            "ScalingReplicaSet",
            "TemplateRunning",
            "TemplateRunning",
            "ExperimentRunning",
            "TemplateSuccessful",
            "TemplateSuccessful",
            "ExperimentSuccessful",
            "ScalingReplicaSet",
            "ScalingReplicaSet"
        ]
    );
    let messages = cluster.messages();
    assert_eq!(
        messages[0],
        "Template 'old' transitioned from  -> Progressing"
    );
    assert_eq!(messages[3], "Scaled up ReplicaSet exp-old from 0 to 1");
    assert_eq!(
        messages[7],
        "Experiment transitioned from Pending -> Running"
    );
    let conditions = cluster.status().conditions.clone().unwrap();
    assert_eq!(conditions.len(), 1);
    assert_eq!(
        (
            conditions[0].type_.as_str(),
            conditions[0].status.as_str(),
            conditions[0].reason.as_deref(),
            conditions[0].message.as_deref()
        ),
        (
            "Progressing",
            "False",
            Some("ExperimentCompleted"),
            Some("Experiment \"exp\" has successfully ran and completed.")
        )
    );
}

#[test]
fn without_a_duration_it_runs_until_it_is_told_to_end() {
    let mut cluster = Cluster::new(spec(json!({ "scaleDownDelaySeconds": 0 })));
    cluster.settle();
    cluster.wait(1_000_000);
    cluster.settle();
    assert_eq!(cluster.phase(), "Running");
    cluster.terminate();
    cluster.settle();
    assert_eq!(cluster.phase(), "Successful");
    assert!(cluster.sets.iter().all(|set| set.replicas == 0), "no delay");
    assert!(
        !cluster.sets[0]
            .annotations
            .contains_key("scale-down-deadline")
    );
}

#[test]
fn told_to_end_before_it_began_it_makes_nothing() {
    let mut cluster = Cluster::new(spec(json!({})));
    cluster.terminate();
    cluster.settle();
    assert!(cluster.log.is_empty());
    assert_eq!(cluster.phase(), "Successful");
}

#[test]
fn a_template_without_available_pods_fails_at_the_deadline() {
    let mut cluster = Cluster::new(spec(json!({
        "duration": "1h", "progressDeadlineSeconds": 60
    })));
    cluster.broken.push("new");
    cluster.settle();
    assert_eq!(cluster.phase(), "Pending");
    assert_eq!(cluster.template("new").0, "Progressing");
    cluster.wait(60);
    cluster.settle();
    assert_eq!(cluster.template("new").0, "Progressing");
    cluster.wait(1);
    cluster.settle();
    assert_eq!(
        cluster.template("new"),
        (
            "Failed",
            "Template 'new' exceeded its progressDeadlineSeconds (60)"
        )
    );
    assert_eq!(cluster.template("old").0, "Successful", "ended with it");
    assert_eq!(cluster.phase(), "Failed");
    assert_eq!(
        cluster.message(),
        "Template 'new' exceeded its progressDeadlineSeconds (60)"
    );
    cluster.run_to_the_end();
}

#[test]
fn pods_that_break_while_it_runs_have_until_the_deadline() {
    let mut cluster = Cluster::new(spec(json!({
        "duration": "1h", "progressDeadlineSeconds": 60
    })));
    cluster.settle();
    cluster.wait(600);
    cluster.broken.push("old");
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.template("old").0),
        ("Pending", "Progressing")
    );
    cluster.wait(30);
    cluster.broken.clear();
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.template("old").0),
        ("Running", "Running")
    );
    let available = cluster.status().available_at.clone().unwrap().0;
    assert_eq!(
        available.to_string(),
        "2026-11-21T12:00:00Z",
        "the clock goes on"
    );
}

#[test]
fn a_set_that_a_person_deletes_is_made_again_while_it_runs_and_not_afterwards() {
    let mut cluster = Cluster::new(spec(json!({ "duration": "1m" })));
    cluster.settle();
    cluster.sets.remove(0);
    cluster.settle();
    assert_eq!(cluster.sets.len(), 2);
    cluster.run_to_the_end();
    cluster.sets.remove(0);
    cluster.settle();
    assert_eq!(cluster.sets.len(), 1);
}

#[test]
fn a_set_that_is_being_deleted_keeps_its_name() {
    let mut cluster = Cluster::new(spec(json!({ "duration": "1m" })));
    cluster.settle();
    cluster.sets[0].deleting = true;
    let plan = cluster.plan();
    assert!(plan.effects.is_empty(), "{:?}", plan.effects);
}

#[test]
fn a_change_of_size_is_followed_while_it_runs() {
    let mut cluster = Cluster::new(spec(json!({ "duration": "1m" })));
    cluster.settle();
    cluster.experiment.spec.templates.as_mut().unwrap()[0].replicas = Some(3);
    cluster.settle();
    assert_eq!(cluster.sets[0].replicas, 3);
    cluster.experiment.spec.templates.as_mut().unwrap()[0].replicas = Some(0);
    cluster.settle();
    assert_eq!((cluster.sets[0].replicas, cluster.phase()), (0, "Running"));
}

#[test]
fn what_the_api_refuses_is_an_error_of_the_template() {
    let mut cluster = Cluster::new(spec(json!({ "duration": "1m" })));
    cluster.refused.push(Refused {
        kind: "ReplicaSet",
        name: "exp-new".to_owned(),
        message: "exceeded quota".to_owned(),
        taken: false,
    });
    cluster.settle();
    assert_eq!(
        cluster.template("new"),
        (
            "Error",
            "Failed to create ReplicaSet for template 'new': exceeded quota"
        )
    );
    assert_eq!(
        (cluster.phase(), cluster.message()),
        (
            "Error",
            "Failed to create ReplicaSet for template 'new': exceeded quota"
        )
    );
    assert_eq!(cluster.log, ["create exp-old"], "which gets no pods");
    cluster.run_to_the_end();
}

#[test]
fn a_template_that_leaves_the_spec_takes_its_pods_along() {
    let mut cluster = Cluster::new(spec(json!({ "duration": "1m" })));
    cluster.settle();
    cluster.experiment.spec.templates.as_mut().unwrap().pop();
    cluster.settle();
    cluster.wait(30);
    cluster.settle();
    assert_eq!(
        cluster
            .sets
            .iter()
            .map(|set| set.replicas)
            .collect::<Vec<_>>(),
        [1, 0]
    );
}

#[test]
fn pods_stay_while_a_rollout_routes_requests_to_them() {
    let mut spec = spec(json!({ "duration": "1m", "scaleDownDelaySeconds": 0 }));
    spec["templates"][0]["service"] = json!({});
    let mut cluster = Cluster::new(spec);
    cluster.settle();
    cluster.routed.insert("exp-old".to_owned());
    cluster.wait(60);
    cluster.settle();
    assert_eq!(cluster.phase(), "Successful");
    assert_eq!((cluster.sets[0].replicas, cluster.sets[1].replicas), (1, 0));
    assert_eq!(cluster.services.len(), 1);
    cluster.routed.clear();
    cluster.settle();
    assert_eq!(cluster.sets[0].replicas, 0);
    assert!(cluster.services.is_empty());
}

#[test]
fn one_that_is_being_deleted_is_left_alone() {
    let mut cluster = Cluster::new(spec(json!({})));
    cluster.experiment.metadata.deletion_timestamp = Some(sluice_crds::Time(cluster.now));
    let plan = cluster.plan();
    assert!(plan.effects.is_empty() && plan.events.is_empty());
}

#[test]
fn the_condition_is_refreshed_while_pods_change_and_keeps_the_time_of_its_transition() {
    let mut cluster = Cluster::new(spec(json!({ "duration": "1h" })));
    cluster.broken.push("new");
    let told = |cluster: &mut Cluster| {
        cluster.settle();
        let conditions = cluster.status().conditions.clone().unwrap();
        assert_eq!(conditions.len(), 1);
        let known = conditions[0].clone();
        let minute =
            |time: Option<sluice_crds::Time>| time.unwrap().0.to_string()[14..16].to_owned();
        let updated = minute(known.last_update_time);
        let since = minute(known.last_transition_time);
        cluster.wait(60);
        [known.status, known.reason.unwrap(), since, updated].join(" ")
    };
    assert_eq!(told(&mut cluster), "True ReplicaSetUpdated 00 00");
    assert_eq!(
        told(&mut cluster),
        "True ReplicaSetUpdated 00 00",
        "nothing changes"
    );
    let size = |cluster: &mut Cluster, replicas: i32| {
        cluster.experiment.spec.templates.as_mut().unwrap()[1].replicas = Some(replicas);
    };
    size(&mut cluster, 2);
    assert_eq!(
        told(&mut cluster),
        "True ReplicaSetUpdated 00 02",
        "pods more"
    );
    cluster.broken.clear();
    assert_eq!(told(&mut cluster), "True NewReplicaSetAvailable 00 03");
    size(&mut cluster, 3);
    assert_eq!(told(&mut cluster), "True NewReplicaSetAvailable 00 04");
    assert_eq!(told(&mut cluster), "True NewReplicaSetAvailable 00 04");
    cluster.terminate();
    cluster.settle();
    assert_eq!(told(&mut cluster), "False ExperimentCompleted 06 06");
    assert_eq!(told(&mut cluster), "False ExperimentCompleted 06 06");
}

#[test]
fn an_experiment_that_failed_keeps_what_was_told_of_its_progress() {
    let mut cluster = Cluster::new(spec(json!({ "progressDeadlineSeconds": 60 })));
    cluster.settle();
    cluster.broken.push("new");
    cluster.settle();
    cluster.run_to_the_end();
    assert_eq!(cluster.phase(), "Failed");
    let conditions = cluster.status().conditions.clone().unwrap();
    assert_eq!(conditions[0].reason.as_deref(), Some("ReplicaSetUpdated"));
}

#[test]
fn of_two_sets_for_one_template_the_one_with_its_name_counts() {
    let mut cluster = Cluster::new(spec(
        json!({ "duration": "1m", "scaleDownDelaySeconds": 0 }),
    ));
    cluster.settle();
    let mut copy = cluster.sets[0].clone();
    copy.name = "a-copy".to_owned();
    copy.uid = "uid-a-copy".to_owned();
    cluster.sets.push(copy);
    cluster.settle();
    let sizes: Vec<(&str, i32)> = cluster
        .sets
        .iter()
        .map(|set| (set.name.as_str(), set.replicas))
        .collect();
    assert_eq!(sizes, [("exp-old", 1), ("exp-new", 1), ("a-copy", 0)]);
}

#[test]
fn of_several_templates_that_fail_the_first_of_the_worst_is_told() {
    let mut cluster = Cluster::new(spec(json!({ "progressDeadlineSeconds": 60 })));
    cluster.broken = vec!["old", "new"];
    cluster.run_to_the_end();
    let why = "Template 'old' exceeded its progressDeadlineSeconds (60)";
    assert_eq!((cluster.phase(), cluster.message()), ("Failed", why));
}
