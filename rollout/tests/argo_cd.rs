//! The actions of Argo CD on Rollouts that Sluice drives: each patch is what Argo CD's own script makes of the very object
//! (`e2e/vectors/health`), and the engine does what the action is called.
//!
//! The objects are `scenes.json` there. After a change of what the engine writes:
//! `SLUICE_RECORD=1 cargo test -p sluice-rollout --test argo_cd`, then `go run .` in that folder. Many more moments, and the
//! health of all of them, are in `simulation/tests/argo_cd` and `gitops/tests/it/health_vectors.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a wrong assumption is a failure"
)]

#[path = "fixtures/mod.rs"]
#[expect(dead_code, reason = "the stories use more of it")]
mod fixtures;

use std::collections::BTreeMap;

use fixtures::{Cluster, blue_green, rollout, scenes};
use serde_json::{Value, json};
use sluice_crds::Time;

const SCENES: &str = include_str!("../../e2e/vectors/health/scenes.json");
const VECTORS: &str = include_str!("../../e2e/vectors/health/vectors.json");
const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../e2e/vectors/health/scenes.json"
);

fn at_rest() -> Cluster {
    Cluster::deployed(rollout(
        4,
        json!([{ "setWeight": 50 }, { "pause": {} }]),
        true,
    ))
}

fn paused_by_hand() -> Cluster {
    let mut cluster = scenes::paused_at_half();
    cluster.edit(|rollout| rollout.spec.paused = Some(true));
    cluster.settle();
    cluster.log.clear();
    cluster
}

fn aborted() -> Cluster {
    let mut cluster = scenes::paused_at_half();
    cluster.abort();
    cluster.settle();
    cluster.log.clear();
    cluster
}

fn measured() -> Cluster {
    let mut cluster = scenes::measured_in_a_step();
    cluster.settle();
    cluster.log.clear();
    cluster
}

fn inconclusive() -> Cluster {
    let mut cluster = scenes::measured_in_a_step();
    let verdict = ("Inconclusive", "who knows");
    cluster.verdicts.insert("errors".to_owned(), verdict);
    cluster.settle();
    cluster.verdicts.clear();
    cluster.log.clear();
    cluster
}

fn before_the_switch() -> Cluster {
    let fields = json!({ "autoPromotionEnabled": false });
    let mut cluster = Cluster::deployed(blue_green(4, fields));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.log.clear();
    cluster
}

type Scene = (&'static str, fn() -> Cluster);

const ALL: [Scene; 7] = [
    ("scene: at rest", at_rest),
    ("scene: at a pause", scenes::paused_at_half),
    ("scene: paused by hand", paused_by_hand),
    ("scene: aborted", aborted),
    ("scene: measured", measured),
    ("scene: inconclusive", inconclusive),
    ("scene: before the switch", before_the_switch),
];

/// The Rollout as Argo CD's scripts look at it: without its template and what the API server adds.
fn shown(cluster: &Cluster) -> Value {
    let mut object = serde_json::to_value(&cluster.rollout).unwrap();
    for (section, fields) in [
        ("metadata", ["uid", "resourceVersion"]),
        ("spec", ["template", "selector"]),
    ] {
        for field in fields {
            object[section].as_object_mut().unwrap().remove(field);
        }
    }
    object
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "on demand the record is written, which is a file"
)]
fn the_scenes_are_as_they_were_recorded() {
    let scenes =
        ALL.map(|(name, scene)| json!({ "name": name, "object": shown(&scene()) }).to_string());
    let found = format!("[\n{}\n]\n", scenes.join(",\n"));
    if std::env::var("SLUICE_RECORD").is_ok() {
        std::fs::write(FILE, &found).unwrap();
        return;
    }
    assert_eq!(
        SCENES, found,
        "the engine writes something else: record it anew (see the head of this file)"
    );
}

/// The answers of Argo CD about a scene: its actions by name.
fn actions(scene: &str) -> BTreeMap<String, Value> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut vectors = vectors.as_array().unwrap().iter();
    let vector = vectors.find(|vector| vector["name"] == scene);
    let vector = vector.unwrap_or_else(|| panic!("no answer for {scene}: run e2e/vectors/health"));
    let actions = vector["actions"].as_array().unwrap();
    let named = |action: &Value| (action["name"].as_str().unwrap().to_owned(), action.clone());
    actions.iter().map(named).collect()
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut into[key], value);
        }
    }
}

/// Comes to a scene and clicks on an action: the patch is sent to the status first and then to the rest, as Argo CD does it.
/// The engine has not looked yet.
fn clicked(scene: &str, action: &str) -> Cluster {
    let (_, make) = ALL.iter().find(|(name, _)| *name == scene).unwrap();
    let mut cluster = make();
    cluster.wait(60);
    let found = &actions(scene)[action];
    assert_ne!(found["disabled"], true, "{scene}: {action} is not offered");
    let mut patch = found["patch"].clone();
    assert!(patch.is_object(), "{scene}: {action} changes nothing");
    if let Some(at) = patch.pointer_mut("/spec/restartAt") {
        // Of the moment of the click.
        *at = serde_json::to_value(Time(cluster.now)).unwrap();
    }
    let mut object = serde_json::to_value(&cluster.rollout).unwrap();
    merge(&mut object, &patch);
    let patched: sluice_crds::rollout::Rollout = serde_json::from_value(object).unwrap();
    if patch.get("status").is_some() {
        cluster.patch_status(|status| *status = patched.status.unwrap());
    }
    if patch.get("spec").is_some() {
        cluster.edit(|rollout| rollout.spec = patched.spec);
    }
    cluster
}

/// Clicks, and lets the engine go as far as it goes.
fn after(scene: &str, action: &str) -> Cluster {
    let mut cluster = clicked(scene, action);
    cluster.settle();
    cluster
}

fn offered(scene: &str) -> Vec<String> {
    let enabled = actions(scene)
        .into_iter()
        .filter(|(_, action)| action["disabled"] != true);
    enabled.map(|(name, _)| name).collect()
}

#[test]
fn what_is_offered_fits_the_moment() {
    for (scene, names) in [
        ("scene: at rest", &["restart"][..]),
        (
            "scene: at a pause",
            &[
                "abort",
                "pause",
                "promote-full",
                "restart",
                "resume",
                "skip-current-step",
            ],
        ),
        (
            "scene: paused by hand",
            &[
                "abort",
                "promote-full",
                "restart",
                "resume",
                "skip-current-step",
            ],
        ),
        (
            "scene: aborted",
            &["promote-full", "restart", "retry", "skip-current-step"],
        ),
        (
            "scene: measured",
            &[
                "abort",
                "pause",
                "promote-full",
                "restart",
                "skip-current-step",
            ],
        ),
        (
            "scene: before the switch",
            &["abort", "pause", "promote-full", "restart", "resume"],
        ),
    ] {
        assert_eq!(offered(scene), names, "{scene}");
    }
}

#[test]
fn resume_ends_the_pause_and_goes_on_from_there() {
    let cluster = after("scene: at a pause", "resume");
    assert_eq!(
        cluster.log,
        [
            "scale web:2 2 -> 4",
            "weight 100",
            "select web-stable web:2",
            "weight 0"
        ]
    );
    assert_eq!((cluster.phase(), cluster.step()), ("Healthy", 2));
    assert_eq!(cluster.stable(), "web:2");
}

#[test]
fn resume_ends_the_pause_by_hand_and_that_of_the_step() {
    let cluster = after("scene: paused by hand", "resume");
    assert_eq!(cluster.rollout.spec.paused, Some(false));
    assert_eq!((cluster.phase(), cluster.step()), ("Healthy", 2));
}

#[test]
fn resume_after_an_inconclusive_analysis_measures_again() {
    let scene = "scene: inconclusive";
    let mut cluster = after(scene, "resume");
    assert_eq!((cluster.phase(), cluster.step()), ("Progressing", 1));
    let measured = cluster.log.iter().filter(|it| it.starts_with("measure"));
    assert_eq!(measured.count(), 1, "{:?}", cluster.log);
    let verdict = ("Successful", "");
    cluster.verdicts.insert("errors".to_owned(), verdict);
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.step()), ("Paused", 3));
    assert_eq!(cluster.weight(), 50);
}

#[test]
fn resume_of_a_blue_green_switches() {
    let cluster = after("scene: before the switch", "resume");
    assert_eq!(cluster.log, ["select web-active web:2"]);
    assert_eq!(
        (cluster.phase(), cluster.stable().as_str()),
        ("Healthy", "web:2")
    );
}

#[test]
fn abort_takes_the_traffic_away_first() {
    let cluster = after("scene: at a pause", "abort");
    assert_eq!(cluster.log, ["weight 0", "select web-canary web:1"]);
    assert_eq!((cluster.phase(), cluster.weight()), ("Degraded", 0));
    assert_eq!(cluster.reason("Progressing"), "RolloutAborted");
    assert_eq!(cluster.stable(), "web:1");
}

#[test]
fn abort_ends_the_measurement() {
    let cluster = after("scene: measured", "abort");
    assert_eq!(cluster.log[0], "weight 0");
    let runs: Vec<Option<bool>> = cluster.runs.iter().map(|run| run.spec.terminate).collect();
    assert_eq!(runs, [Some(true)]);
}

#[test]
fn abort_of_a_blue_green_leaves_the_active_service_alone() {
    let cluster = after("scene: before the switch", "abort");
    assert_eq!(cluster.phase(), "Degraded");
    assert_eq!(cluster.selected("web-active"), "web:1");
    assert_eq!(cluster.stable(), "web:1");
}

#[test]
fn retry_begins_the_update_again() {
    let cluster = after("scene: aborted", "retry");
    assert_eq!(cluster.status().abort, None);
    assert_eq!(
        (cluster.phase(), cluster.step(), cluster.weight()),
        ("Paused", 1, 50)
    );
}

#[test]
fn promote_full_skips_what_is_left() {
    for scene in [
        "scene: at a pause",
        "scene: measured",
        "scene: inconclusive",
        "scene: aborted",
        "scene: before the switch",
    ] {
        let cluster = after(scene, "promote-full");
        assert_eq!(cluster.phase(), "Healthy", "{scene}");
        assert_eq!(cluster.stable(), "web:2", "{scene}");
        assert_eq!(cluster.status().promote_full, None, "{scene}");
        let ended = |terminate: Option<bool>, phase: &str| {
            terminate == Some(true) || phase == "Inconclusive"
        };
        for run in &cluster.runs {
            let phase = &run.status.as_ref().unwrap().phase;
            assert!(ended(run.spec.terminate, phase), "{scene}: {run:?}");
        }
    }
}

#[test]
fn skip_current_step_goes_to_the_next_one() {
    let cluster = after("scene: measured", "skip-current-step");
    assert_eq!((cluster.phase(), cluster.step()), ("Paused", 3));
    assert_eq!(cluster.weight(), 50);
    assert_eq!(cluster.runs[0].spec.terminate, Some(true));
    let cluster = after("scene: inconclusive", "skip-current-step");
    assert_eq!((cluster.phase(), cluster.step()), ("Paused", 3));
    let cluster = after("scene: at a pause", "skip-current-step");
    assert_eq!((cluster.phase(), cluster.step()), ("Healthy", 2));
}

#[test]
fn skip_current_step_of_an_aborted_update_moves_nothing() {
    let cluster = after("scene: aborted", "skip-current-step");
    assert_eq!((cluster.phase(), cluster.step()), ("Degraded", 0));
    assert_eq!(cluster.weight(), 0);
    let left = ["scale web:2 2 -> 0"];
    assert_eq!(cluster.log, left, "the delay of its pods is over");
}

#[test]
fn pause_holds_what_goes_on() {
    let mut cluster = after("scene: at a pause", "pause");
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Paused", "manually paused")
    );
    cluster.promote();
    cluster.settle();
    assert_eq!(cluster.stable(), "web:1");
    assert_eq!(cluster.weight(), 50);
    let cluster = after("scene: before the switch", "pause");
    assert_eq!(cluster.message(), "manually paused");
    assert_eq!(cluster.log, [""; 0]);
}

#[test]
fn restart_replaces_the_pods() {
    let mut cluster = clicked("scene: at rest", "restart");
    let clicked_at = cluster.now;
    assert!(cluster.live.iter().all(|pod| pod.created < clicked_at));
    cluster.settle();
    let evicted = cluster.log.iter().filter(|line| *line == "evict web:1");
    assert_eq!(evicted.count(), 4, "{:?}", cluster.log);
    assert!(cluster.live.iter().all(|pod| pod.created >= clicked_at));
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(
        cluster.status().restarted_at,
        cluster.rollout.spec.restart_at
    );
}
