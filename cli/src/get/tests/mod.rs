//! The view of `get rollout` over a fixture of objects, as a whole: these snapshots are its layout.

use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_gitops_sources::yaml;

use super::owned::Unread;
use super::snapshot::Snapshot;
use super::text;
use crate::paint::Paint;

/// The Rollout and what belongs to it.
pub(crate) fn fixture() -> Vec<Value> {
    let text = include_str!("web.yaml");
    let documents = yaml::parse(text, yaml::Budget::default()).unwrap();
    documents
        .into_iter()
        .map(|document| document.value)
        .collect()
}

/// The failed run.
pub(crate) fn failed_run() -> Value {
    yaml::parse_one(include_str!("analysis.yaml")).unwrap()
}

pub(crate) fn snapshot(objects: &[Value]) -> Snapshot {
    Snapshot::of(&objects[0], objects, Vec::new()).unwrap()
}

/// Merges a patch into an object of the fixture.
pub(crate) fn patch(objects: &mut [Value], kind: &str, name: &str, patch: &Value) {
    let object = objects
        .iter_mut()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .unwrap();
    json_patch::merge(object, patch);
}

pub(crate) fn now() -> Timestamp {
    "2026-03-01T12:00:20Z".parse().unwrap()
}

fn view(objects: &[Value]) -> String {
    text(&snapshot(objects), now(), Paint::new(false))
}

/// The fixture after everything went well.
pub(crate) fn healthy() -> Vec<Value> {
    let mut objects = fixture();
    patch(
        &mut objects,
        "Rollout",
        "web",
        &json!({ "status": {
            "phase": "Healthy", "message": null, "stableRS": "6fbd9", "currentStepIndex": 4,
            "pauseConditions": null, "controllerPause": null,
            "replicas": 5, "updatedReplicas": 5, "readyReplicas": 5, "availableReplicas": 5,
            "canary": { "weights": { "canary": { "weight": 0 }, "stable": { "weight": 100 } } }
        } }),
    );
    patch(
        &mut objects,
        "ReplicaSet",
        "web-6fbd9",
        &json!({ "spec": { "replicas": 5 }, "status": { "replicas": 5, "readyReplicas": 5, "availableReplicas": 5 } }),
    );
    patch(
        &mut objects,
        "ReplicaSet",
        "web-5c4d8",
        &json!({ "spec": { "replicas": 0 }, "status": { "replicas": 0, "readyReplicas": 0, "availableReplicas": 0 } }),
    );
    patch(
        &mut objects,
        "Service",
        "web-stable",
        &json!({ "spec": { "selector": { "rollouts-pod-template-hash": "6fbd9" } } }),
    );
    objects.retain(|object| {
        object["kind"] != "Pod" || object["metadata"]["name"] == "web-6fbd9-ccccc"
    });
    let backends = json!([
        { "name": "web-stable", "port": 80, "weight": 100 }, { "name": "web-canary", "port": 80, "weight": 0 }
    ]);
    patch(
        &mut objects,
        "HTTPRoute",
        "web",
        &json!({ "spec": { "rules": [{ "backendRefs": backends }] } }),
    );
    objects
}

/// The fixture after its analysis failed.
pub(crate) fn aborted() -> Vec<Value> {
    let mut objects = fixture();
    objects.push(failed_run());
    let message = "RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: \
                   Metric \"success-rate\" assessed Failed due to failed (2) > failureLimit (1)";
    patch(
        &mut objects,
        "Rollout",
        "web",
        &json!({ "status": {
            "phase": "Degraded", "message": message, "abort": true, "abortedAt": "2026-03-01T12:00:15Z",
            "currentStepIndex": 0, "pauseConditions": null, "controllerPause": null,
            "conditions": [{
                "type": "Progressing", "status": "False", "reason": "RolloutAborted",
                "message": message.trim_start_matches("RolloutAborted: "),
                "lastUpdateTime": "2026-03-01T12:00:15Z", "lastTransitionTime": "2026-03-01T12:00:15Z"
            }],
            "canary": { "weights": { "canary": { "weight": 0 }, "stable": { "weight": 100 } } }
        } }),
    );
    let deadline =
        json!({ "metadata": { "annotations": { "scale-down-deadline": "2026-03-01T12:00:45Z" } } });
    patch(&mut objects, "ReplicaSet", "web-6fbd9", &deadline);
    let backends = json!([
        { "name": "web-stable", "port": 80, "weight": 100 }, { "name": "web-canary", "port": 80, "weight": 0 }
    ]);
    patch(
        &mut objects,
        "HTTPRoute",
        "web",
        &json!({ "spec": { "rules": [{ "backendRefs": backends }] } }),
    );
    let quarantined = "Revision 4f2c1a9 is not tried again: Rollout demo/web was aborted";
    patch(
        &mut objects,
        "Application",
        "web",
        &json!({ "status": {
            "sync": { "status": "OutOfSync" },
            "conditions": [{ "type": "Quarantined", "message": quarantined }]
        } }),
    );
    objects
}

#[test]
fn a_canary_in_its_pause_shows_share_countdown_and_what_comes_next() {
    insta::assert_snapshot!(view(&fixture()));
}

#[test]
fn a_healthy_rollout_shows_the_new_revision_as_the_stable_one() {
    insta::assert_snapshot!(view(&healthy()));
}

#[test]
fn an_aborted_update_shows_its_analysis_its_cause_and_the_quarantine() {
    insta::assert_snapshot!(view(&aborted()));
}

#[test]
fn an_old_set_shows_how_long_it_is_kept() {
    let mut objects = healthy();
    patch(
        &mut objects,
        "ReplicaSet",
        "web-5c4d8",
        &json!({
            "metadata": { "annotations": { "scale-down-deadline": "2026-03-01T12:00:30Z" } },
            "spec": { "replicas": 5 }, "status": { "replicas": 5, "readyReplicas": 5, "availableReplicas": 5 }
        }),
    );
    let text = view(&objects);
    let line = text
        .lines()
        .find(|line| line.contains("⧉ web-5c4d8"))
        .unwrap();
    assert_eq!(
        line,
        "   └──⧉ web-5c4d8           ReplicaSet  ✔ Healthy  120m  delay:10s"
    );
    patch(
        &mut objects,
        "ReplicaSet",
        "web-5c4d8",
        &json!({ "metadata": { "annotations": { "scale-down-deadline": "2026-03-01T12:00:10Z" } } }),
    );
    assert!(view(&objects).contains("delay:passed"));
}

#[test]
fn a_rollout_without_steps_or_status_has_the_same_lines() {
    let rollout = json!({
        "metadata": { "name": "new", "namespace": "demo", "generation": 1, "creationTimestamp": "2026-03-01T12:00:00Z" },
        "spec": { "strategy": { "canary": {} }, "template": {} }
    });
    let snapshot = Snapshot::of(&rollout, &[], Vec::new()).unwrap();
    let text = text(&snapshot, now(), Paint::new(false));
    let (header, _) = text.split_once("\nDecision").unwrap();
    insta::assert_snapshot!(header, @r"
    Name:            new
    Namespace:       demo
    Status:          ◌ Progressing
    Message:         waiting for rollout spec update to be observed
    Strategy:        Canary
      Step:
      SetWeight:     100
      ActualWeight:  100
    Replicas:
      Desired:       1
      Current:       0
      Updated:       0
      Ready:         0
      Available:     0

    NAME   KIND     STATUS         AGE  INFO
    ⟳ new  Rollout  ◌ Progressing  20s
    ");
}

#[test]
fn without_routers_the_share_is_that_of_available_pods() {
    let mut objects = fixture();
    patch(
        &mut objects,
        "Rollout",
        "web",
        &json!({ "spec": { "strategy": { "canary": { "trafficRouting": null } } }, "status": { "canary": null } }),
    );
    let text = view(&objects);
    assert!(
        text.contains("  SetWeight:     20\n  ActualWeight:  16\n"),
        "{text}"
    );
    assert!(!text.contains("Traffic:"), "{text}");
}

#[test]
fn what_could_not_be_read_is_said_and_the_rest_is_shown() {
    let objects = fixture();
    let routes = Unread {
        what: "HTTPRoute demo/web".to_owned(),
        why: "the API server answered Forbidden".to_owned(),
        decides: true,
    };
    let some: Vec<Value> = objects
        .iter()
        .filter(|object| object["kind"] != "HTTPRoute")
        .cloned()
        .collect();
    let snapshot = Snapshot::of(&objects[0], &some, vec![routes]).unwrap();
    let text = text(&snapshot, now(), Paint::new(false));
    assert!(text.contains("ActualWeight:  20"), "{text}");
    assert!(
        text.contains("Not shown:       HTTPRoute demo/web (the API server answered Forbidden)"),
        "{text}"
    );
    assert!(
        text.contains("Decision:        paused: CanaryPauseStep"),
        "{text}"
    );
}

#[test]
fn colours_change_no_width() {
    let snapshot = snapshot(&aborted());
    let plain = text(&snapshot, now(), Paint::new(false));
    let coloured = text(&snapshot, now(), Paint::new(true));
    assert!(coloured.contains("\x1b[31m✖ Degraded\x1b[0m"), "{coloured}");
    let mut stripped = String::new();
    for (index, part) in coloured.split('\x1b').enumerate() {
        let rest = if index == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        };
        stripped.push_str(rest);
    }
    assert_eq!(stripped, plain);
}

#[test]
fn a_run_that_cannot_be_read_is_shown_as_inconclusive() {
    let mut objects = fixture();
    let mut run = failed_run();
    run["spec"]["metrics"] = json!("none");
    objects.push(run);
    let text = view(&objects);
    assert!(text.contains("α web-6fbd9-2"), "{text}");
    assert!(text.contains("? Inconclusive"), "{text}");
}

#[test]
fn an_indefinite_pause_ahead_is_announced() {
    let mut objects = fixture();
    let steps = json!([{ "setWeight": 20 }, { "pause": { "duration": 60 } }, { "setWeight": 50 }, { "pause": {} }]);
    patch(
        &mut objects,
        "Rollout",
        "web",
        &json!({ "spec": { "strategy": { "canary": { "steps": steps } } } }),
    );
    let forecast = super::forecast::of(&snapshot(&objects), now()).unwrap();
    assert_eq!(forecast.end, super::forecast::End::Person(4));
    assert_eq!(forecast.then, "setWeight 50");
}
