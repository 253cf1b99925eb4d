//! What is kept, what is taken over, what is forgotten.

use serde_json::json;
use sluice_crds::names;

use crate::fixtures::scenes::{measured_beside_the_steps, taken_over};
use crate::fixtures::{Cluster, analysis, rollout};

#[test]
fn old_sets_are_kept_up_to_the_limit() {
    let mut object = rollout(1, json!([]), false);
    object["spec"]["revisionHistoryLimit"] = json!(2);
    let mut cluster = Cluster::deployed(object);
    for number in 2..=6 {
        cluster.set_image(&format!("web:{number}"));
        cluster.settle();
    }
    let mut revisions: Vec<i64> = cluster.sets.iter().map(|set| set.revision()).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, [4, 5, 6]);
}

#[test]
fn finished_runs_are_kept_up_to_their_limits() {
    let steps = json!([{ "analysis": analysis("errors") }]);
    let mut object = rollout(1, steps, false);
    object["spec"]["analysis"] =
        json!({ "successfulRunHistoryLimit": 2, "unsuccessfulRunHistoryLimit": 1 });
    let mut cluster = Cluster::deployed(object);
    for (number, verdict) in [
        (2, "Failed"),
        (3, "Successful"),
        (4, "Failed"),
        (5, "Successful"),
        (6, "Successful"),
    ] {
        cluster.verdicts.insert("errors".into(), (verdict, ""));
        cluster.wait(60);
        cluster.set_image(&format!("web:{number}"));
        cluster.settle();
    }
    let kept: Vec<String> = cluster
        .runs
        .iter()
        .map(|run| run.metadata.annotations.as_ref().unwrap()[names::REVISION].clone())
        .collect();
    assert_eq!(kept, ["4", "5", "6"]);
}

#[test]
fn a_run_that_the_status_names_is_kept_until_its_update_is_over() {
    let mut cluster = measured_beside_the_steps();
    cluster.edit(|rollout| {
        let limits = json!({ "successfulRunHistoryLimit": 0, "unsuccessfulRunHistoryLimit": 0 });
        rollout.spec.analysis = serde_json::from_value(limits).unwrap();
    });
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.settle();
    assert_eq!((cluster.step(), cluster.runs.len()), (1, 1));
    cluster.run_until("promoted", |it| it.phase() == "Healthy");
    assert_eq!(cluster.runs.len(), 0);
}

#[test]
fn runs_go_with_the_set_that_they_judged() {
    let mut object = rollout(1, json!([{ "analysis": analysis("errors") }]), false);
    object["spec"]["revisionHistoryLimit"] = json!(1);
    let mut cluster = Cluster::deployed(object);
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    let mut judged = Vec::new();
    for image in ["web:2", "web:3", "web:4"] {
        cluster.set_image(image);
        cluster.settle();
        judged.push(cluster.runs.len());
    }
    // Of the sets of web:2, web:3 and web:4 the first is gone in the end.
    assert_eq!(judged, [1, 2, 2]);
}

#[test]
fn annotations_of_the_rollout_are_copied_and_those_about_it_are_not() {
    let mut object = rollout(1, json!([]), false);
    object["metadata"]["annotations"] = json!({
        "team": "shop",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "notified.notifications.argoproj.io": "x",
        "argocd.argoproj.io/tracking-id": "shop:argoproj.io/Rollout:shop/web"
    });
    let mut cluster = Cluster::deployed(object);
    let keys: Vec<String> = cluster.set("web:1").annotations.keys().cloned().collect();
    let own = [
        names::DESIRED_REPLICAS,
        names::REVISION,
        names::TEMPLATE_DIGEST,
    ];
    assert_eq!(keys, [own[0], own[1], own[2], "team"]);
    cluster.edit(|rollout| {
        rollout
            .metadata
            .annotations
            .as_mut()
            .unwrap()
            .insert("team".into(), "web".into());
    });
    cluster.settle();
    assert_eq!(cluster.set("web:1").annotations["team"], "web");
}

#[test]
fn seconds_until_available_follow_the_spec() {
    let mut cluster = Cluster::deployed(rollout(1, json!([]), false));
    cluster.edit(|rollout| rollout.spec.min_ready_seconds = Some(7));
    cluster.settle();
    assert_eq!(cluster.set("web:1").min_ready_seconds, 7);
}

#[test]
fn a_set_under_another_hash_is_taken_over_without_touching_a_pod() {
    let mut cluster = taken_over(true);
    cluster.settle();
    assert!(cluster.log.is_empty(), "{:?}", cluster.log);
    assert_eq!(cluster.phase(), "Healthy");
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        (
            cluster.pods("web:1"),
            cluster.pods("web:2"),
            cluster.weight()
        ),
        (3, 2, 50)
    );
    cluster.set_image("web:1");
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.sets.len()), ("Healthy", 2));
}

#[test]
fn a_set_without_an_owner_is_taken_over() {
    let mut cluster = Cluster::deployed(rollout(2, json!([]), false));
    cluster.sets[0].owner = None;
    cluster.settle();
    assert_eq!(cluster.sets[0].owner.as_deref(), Some("rollout-uid"));
    assert!(cluster.log.is_empty());
}

#[test]
fn a_set_that_is_being_deleted_is_made_again_when_its_name_is_free() {
    let mut cluster = Cluster::deployed(rollout(2, json!([]), false));
    cluster.sets[0].deleting = true;
    cluster.settle();
    assert!(cluster.log.is_empty(), "{:?}", cluster.log);
    cluster.sets.clear();
    cluster.settle();
    assert_eq!(cluster.log, ["create web:1", "scale web:1 0 -> 2"]);
    assert_eq!(cluster.phase(), "Healthy");
}

#[test]
fn a_set_that_is_deleted_is_not_written_too() {
    for routed in [true, false] {
        let mut cluster = Cluster::deployed(rollout(2, json!([]), routed));
        cluster.set_image("web:2");
        cluster.run_until("the old one is empty", |it| it.pods("web:1") == 0);
        let old = cluster.set("web:1").name.clone();
        let set = cluster.sets.iter_mut().find(|set| set.name == old).unwrap();
        let deadline = names::SCALE_DOWN_DEADLINE.to_owned();
        set.annotations
            .insert(deadline, "2026-11-21T12:00:00Z".to_owned());
        assert!(!cluster.plan().effects.is_empty(), "the mark goes");
        cluster.edit(|rollout| rollout.spec.revision_history_limit = Some(0));
        let effects = cluster.plan().effects;
        let about = effects
            .iter()
            .filter(|effect| format!("{effect:?}").contains(&old));
        assert_eq!(about.count(), 1, "{effects:?}");
        cluster.settle();
        assert_eq!(cluster.sets.len(), 1);
    }
}

#[test]
fn a_set_without_an_owner_is_taken_over_before_it_is_deleted() {
    let mut cluster = Cluster::deployed(rollout(2, json!([]), false));
    cluster.set_image("web:2");
    cluster.settle();
    let old = cluster.set("web:1").name.clone();
    let mut sets = cluster.sets.iter_mut();
    sets.find(|set| set.name == old).unwrap().owner = None;
    cluster.edit(|rollout| rollout.spec.revision_history_limit = Some(0));
    cluster.pass();
    assert_eq!(cluster.set("web:1").owner.as_deref(), Some("rollout-uid"));
    cluster.settle();
    assert_eq!(cluster.sets.len(), 1);
}

#[test]
fn the_end_of_an_earlier_set_does_not_hold_up_a_new_one() {
    let mut cluster = Cluster::deployed(rollout(2, json!([]), false));
    cluster.set_image("web:2");
    cluster.settle();
    let old = cluster.set("web:1").name.clone();
    let mut sets = cluster.sets.iter_mut();
    sets.find(|set| set.name == old).unwrap().deleting = true;
    cluster.set_image("web:3");
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.pods("web:3")), ("Healthy", 2));
}

#[test]
fn a_set_remembers_every_number_that_it_had() {
    let mut cluster = Cluster::deployed(rollout(1, json!([]), false));
    let numbers = |cluster: &Cluster| {
        let set = cluster.set("web:1");
        let before = set.annotations.get(names::REVISION_HISTORY).cloned();
        (set.revision(), before.unwrap_or_default())
    };
    for (image, revision, before) in [
        ("web:2", 1, ""),
        ("web:1", 3, "1"),
        ("web:2", 3, "1"),
        ("web:1", 5, "1,3"),
    ] {
        cluster.set_image(image);
        cluster.settle();
        assert_eq!(numbers(&cluster), (revision, before.to_owned()));
    }
    // One that was never numbered has had none.
    cluster.sets.retain(|set| set.revision() == 5);
    cluster.sets[0].annotations.remove(names::REVISION);
    cluster.sets[0].annotations.remove(names::REVISION_HISTORY);
    cluster.settle();
    assert_eq!(numbers(&cluster), (1, String::new()));
}

#[test]
fn of_two_sets_with_the_present_template_the_one_that_the_status_names_stays() {
    let ours = Cluster::deployed(rollout(3, json!([]), true)).sets[0].clone();
    let mut cluster = taken_over(true);
    cluster.settle();
    cluster.sets.push(sluice_rollout::ReplicaSet {
        replicas: 0,
        current: 0,
        ready: 0,
        available: 0,
        ..ours
    });
    cluster.settle();
    assert!(cluster.log.is_empty(), "{:?}", cluster.log);
    let known = cluster.status().current_pod_hash.as_deref();
    assert_eq!(known, Some("6f64d5c5f8"));
}

#[test]
fn a_rollout_is_greeted_once_and_skips_nothing_when_its_status_is_restored_in_part() {
    type Forget = fn(&mut sluice_crds::rollout::RolloutStatus);
    let parts: [(Forget, bool); 4] = [
        (|status| status.observed_generation = None, false),
        (|status| status.conditions = None, false),
        (|status| status.current_pod_hash = None, false),
        (|status| *status = Default::default(), true),
    ];
    for (forget, greeted) in parts {
        let steps = json!([{ "setWeight": 50 }, { "pause": {} }]);
        let mut cluster = Cluster::deployed(rollout(2, steps, true));
        cluster.patch_status(forget);
        cluster.settle();
        assert_eq!((cluster.phase(), cluster.step()), ("Healthy", 2));
        let told = cluster.event_reasons();
        assert_eq!(told.contains(&"RolloutAddedToInformer"), greeted);
        assert!(!told.contains(&"SkipSteps"), "{told:?}");
    }
}
