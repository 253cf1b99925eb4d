//! Every field of a Rollout, an Experiment and an AnalysisRun, with every sort of wrong value in it: the error names the
//! field, or the engine goes on with it — no panic, no decision that asks to be made again at once, and a condition that
//! names a field when the object is invalid.

#![expect(
    clippy::unwrap_used,
    reason = "a test says no more than where it failed"
)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice_analysis::template::Templates;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::decode::decode;
use sluice_crds::experiment::Experiment;
use sluice_crds::rollout::Rollout;
use sluice_crds::split::ObservedSplit;
use sluice_rollout::{Effect, ReplicaSet, Service, Settings, World, experiment, invariants};

/// Objects of the API in which every field is set.
const REFERENCE: &str = include_str!("../../e2e/vectors/objects/objects.json");
const HASH: &str = "rollouts-pod-template-hash";

/// A step to a value: a key, or an index.
#[derive(Debug, Clone)]
enum Part {
    Key(String),
    Index(usize),
}

/// The paths of everything below `value`.
fn paths(value: &Value, at: &mut Vec<Part>, found: &mut Vec<Vec<Part>>) {
    let mut below = |part: Part, value: &Value| {
        at.push(part);
        found.push(at.clone());
        paths(value, at, found);
        at.pop();
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                below(Part::Key(key.clone()), value);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                below(Part::Index(index), value);
            }
        }
        _ => {}
    }
}

/// A path as errors write it.
fn text(path: &[Part]) -> String {
    let mut text = String::new();
    for part in path {
        match part {
            Part::Key(key) if text.is_empty() => text.push_str(key),
            Part::Key(key) => text.push_str(&format!(".{key}")),
            Part::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

fn set(document: &mut Value, path: &[Part], value: Value) {
    let mut place = document;
    for part in path {
        place = match part {
            Part::Key(key) => &mut place[key.as_str()],
            Part::Index(index) => &mut place[*index],
        };
    }
    *place = value;
}

/// Values that are wrong in most places.
fn wrong() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(i64::from(i32::MIN)),
        json!(1.5),
        json!(""),
        json!("5m"),
        json!("101%"),
        json!("{{args.x}}"),
        json!("<&>\u{0}😀\"\\"),
        json!("2024-02-30T25:00:00Z"),
        json!("9999-12-31T23:59:59Z"),
        json!([]),
        json!({}),
        json!([null, 1, "a", {}]),
        json!({"a": null, "": [], "name": 1}),
    ]
}

/// Calls `check` with the document in which each part below `spec` and `status` has wrong values in turn: one of `thinned`,
/// another one for each part. Gives how many of them cannot be decoded, and how many can.
fn try_each<T: DeserializeOwned>(
    document: &Value,
    thinned: usize,
    mut check: impl FnMut(T, &str),
) -> [usize; 2] {
    let mut all = Vec::new();
    for section in ["spec", "status"] {
        if let Some(value) = document.get(section) {
            let mut at = vec![Part::Key(section.to_owned())];
            all.push(at.clone());
            paths(value, &mut at, &mut all);
        }
    }
    let mut outcomes = [0, 0];
    for (number, path) in all.iter().enumerate() {
        let field = text(path);
        let offset = number % thinned;
        for value in wrong().into_iter().skip(offset).step_by(thinned) {
            let mut changed = document.clone();
            set(&mut changed, path, value.clone());
            match decode::<T>(&changed) {
                Ok(object) => {
                    outcomes[1] += 1;
                    check(object, &format!("{field} = {value}"));
                }
                Err(error) => {
                    outcomes[0] += 1;
                    let near = field.starts_with(&error.field) || error.field.starts_with(&field);
                    assert!(
                        near && !error.reason.is_empty(),
                        "{field} = {value}: {error:?}"
                    );
                }
            }
        }
    }
    outcomes
}

fn reference(kind: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(REFERENCE).unwrap();
    let mut found: Vec<Value> = all.into_iter().filter(|it| it["kind"] == kind).collect();
    for object in &mut found {
        object["metadata"]["uid"] = json!("u");
        object["metadata"]["resourceVersion"] = json!("1");
    }
    assert!(!found.is_empty(), "no {kind}");
    found
}

/// Rollouts that are valid, so that a wrong value meets everything behind the validation.
fn valid() -> Vec<Value> {
    let rollout = |strategy: Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 2},
            "spec": {
                "replicas": 4, "minReadySeconds": 1, "progressDeadlineSeconds": 60, "revisionHistoryLimit": 1,
                "rollbackWindow": {"revisions": 1}, "restartAt": "2026-11-21T11:00:00Z",
                "analysis": {"successfulRunHistoryLimit": 1, "unsuccessfulRunHistoryLimit": 1},
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "web:2", "ports": [{"containerPort": 80}]}]},
                },
                "strategy": strategy,
            },
            "status": {
                "stableRS": "stable", "observedGeneration": "1", "currentStepIndex": 0, "replicas": 4,
                "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-11-21T11:59:00Z"}],
                "controllerPause": true, "abortedAt": "2026-11-21T11:59:00Z",
                "conditions": [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated",
                    "lastUpdateTime": "2026-11-21T11:59:00Z", "lastTransitionTime": "2026-11-21T11:59:00Z"}],
                "canary": {"weights": {"canary": {"weight": 0}, "stable": {"weight": 100}}},
                "blueGreen": {"activeSelector": "stable", "previewSelector": "stable"},
            },
        })
    };
    let steps = json!([
        {"setCanaryScale": {"replicas": 1}}, {"setWeight": 10}, {"pause": {"duration": "10s"}},
        {"setHeaderRoute": {"name": "h", "match": [{"headerName": "a", "headerValue": {"exact": "b"}}]}},
        {"setMirrorRoute": {"name": "m", "percentage": 5, "match": [{"path": {"prefix": "/"}}]}},
        {"plugin": {"name": "sluice/steady", "config": {"seconds": 5}}},
        {"setWeight": 50},
        {"analysis": {"templates": [{"templateName": "t"}], "args": [{"name": "a", "value": "b"}],
            "dryRun": [{"metricName": ".*"}], "measurementRetention": [{"metricName": "m", "limit": 2}]}},
        {"experiment": {"duration": "1m", "templates": [{"name": "x", "specRef": "canary", "replicas": 1, "weight": 5}],
            "analyses": [{"name": "n", "templateName": "t", "requiredForCompletion": true}]}},
        {"setCanaryScale": {"matchTrafficWeight": true}}, {"pause": {}},
    ]);
    let routing = json!({
        "plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "web"}},
        "managedRoutes": [{"name": "h"}, {"name": "m"}], "maxTrafficWeight": 100,
    });
    vec![
        rollout(json!({"canary": {
            "canaryService": "canary", "stableService": "stable", "trafficRouting": routing, "steps": steps,
            "dynamicStableScale": false, "abortScaleDownDelaySeconds": 30, "scaleDownDelaySeconds": 30,
            "scaleDownDelayRevisionLimit": 1, "minPodsPerReplicaSet": 1, "replicaProgressThreshold": {"type": "Percent", "value": 90},
            "canaryMetadata": {"labels": {"role": "canary"}}, "stableMetadata": {"annotations": {"role": "stable"}},
            "antiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 1}},
            "analysis": {"templates": [{"templateName": "t"}], "startingStep": 1,
                "args": [{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
                    {"name": "f", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        }})),
        rollout(
            json!({"canary": {"maxSurge": "25%", "maxUnavailable": 0, "steps": [
                {"setWeight": 25}, {"pause": {"duration": 5}}, {"setWeight": 75}, {"pause": {"duration": "1h"}},
            ]}}),
        ),
        rollout(json!({"blueGreen": {
            "activeService": "stable", "previewService": "canary", "previewReplicaCount": 1, "autoPromotionSeconds": 10,
            "autoPromotionEnabled": true, "scaleDownDelaySeconds": 10, "scaleDownDelayRevisionLimit": 1,
            "abortScaleDownDelaySeconds": 10, "maxUnavailable": "25%",
            "activeMetadata": {"labels": {"role": "active"}}, "previewMetadata": {"labels": {"role": "preview"}},
            "antiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}},
            "prePromotionAnalysis": {"templates": [{"templateName": "t"}], "args": [{"name": "a", "value": "b"}]},
            "postPromotionAnalysis": {"templates": [{"templateName": "t"}]},
        }})),
    ]
}

/// What is around a Rollout: its stable ReplicaSet, both Services, a route, a template.
struct Around {
    sets: Vec<ReplicaSet>,
    services: BTreeMap<String, Service>,
    templates: Templates,
    route: Vec<ObservedSplit>,
    settings: Settings,
}

fn replica_set(name: &str, hash: &str, template: &Value, pods: i32) -> ReplicaSet {
    ReplicaSet::from_object(&json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("u-{name}"), "resourceVersion": "1",
            "labels": {"app": "web", HASH: hash},
            "annotations": {"rollout.argoproj.io/revision": "1", "rollout.argoproj.io/desired-replicas": "4"},
            "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web",
                "uid": "u", "controller": true}],
        },
        "spec": {"replicas": pods, "template": template},
        "status": {"replicas": pods, "readyReplicas": pods, "availableReplicas": pods},
    }))
    .unwrap()
}

fn around() -> Around {
    let pods = json!({"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]}});
    let service = |name: &str| {
        let object = json!({
            "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
            "spec": {"selector": {"app": "web", HASH: "stable"}},
        });
        (name.to_owned(), Service::from_object(&object))
    };
    let mut templates = Templates::new();
    let spec = json!({"args": [{"name": "a", "value": "1"}, {"name": "hash", "value": "1"}, {"name": "f", "value": "1"}],
        "metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}, "successCondition": "true"}]});
    templates.insert("t", serde_json::from_value(spec).unwrap());
    Around {
        sets: vec![replica_set("web-stable", "stable", &pods, 4)],
        services: [service("stable"), service("canary")].into(),
        templates,
        route: vec![ObservedSplit {
            object: "HTTPRoute shop/web".to_owned(),
            field: "spec".to_owned(),
            canary: Ok(0),
            accepted: Some(true),
            routes: Some(Default::default()),
            additional: Vec::new(),
        }],
        settings: Settings {
            instance_id: String::new(),
        },
    }
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// Decides twice in a row without an update of what is around, and once more with the pods that were asked for.
fn decide(mut rollout: Rollout, mut around: Around, what: &str) {
    for pass in 0..3 {
        let world = |rollout| World {
            rollout,
            replica_sets: &around.sets,
            services: &around.services,
            pods: &[],
            analysis_runs: &[],
            experiments: &[],
            templates: &around.templates,
            traffic: Ok(&around.route),
            workload: None,
            settings: &around.settings,
            basis: None,
        };
        let plan = sluice_rollout::decide(&world(&rollout), now());
        for effect in &plan.effects {
            // The result is what the executor would do; it must not panic.
            let _ = invariants::check(&world(&rollout), effect);
        }
        for condition in plan.status.conditions.iter().flatten() {
            let invalid = condition.kind == "InvalidSpec" && condition.status == "True";
            let named = ["spec", "status", "metadata"]
                .iter()
                .any(|it| condition.message.contains(it));
            assert!(!invalid || named, "{what}: {}", condition.message);
        }
        let mut after = rollout.clone();
        after.status = Some(plan.status.clone());
        let again = sluice_rollout::decide(&world(&after), now());
        assert_eq!(
            again.status, plan.status,
            "{what}, pass {pass}: a status that does not stay"
        );
        let at_once = again.wake_at.is_some_and(|at| at <= now());
        assert!(
            !at_once || !again.effects.is_empty(),
            "{what}, pass {pass}: decides for ever"
        );
        rollout = after;
        let made = plan.effects.iter().find_map(|effect| match effect {
            Effect::CreateReplicaSet(set) => Some(set),
            _ => None,
        });
        if let Some(made) = made {
            let template = serde_json::to_value(&made.template).unwrap();
            let pods = if pass == 0 { 0 } else { 4 };
            around
                .sets
                .push(replica_set(&made.name, &made.hash, &template, pods));
        } else if let Some(new) = around.sets.get_mut(1) {
            (new.replicas, new.current, new.ready, new.available) = (4, 4, 4, 4);
        }
    }
}

#[test]
fn of_a_rollout_that_has_them_all() {
    for document in reference("Rollout") {
        let [refused, decided] = try_each(&document, 4, |rollout: Rollout, what| {
            decide(rollout, around(), what);
        });
        assert!(refused > 50 && decided > 50, "{refused} {decided}");
    }
}

#[test]
fn of_rollouts_that_are_valid() {
    for document in valid() {
        decide(decode(&document).unwrap(), around(), "as it is");
        let [refused, decided] = try_each(&document, 1, |rollout: Rollout, what| {
            decide(rollout, around(), what);
        });
        assert!(refused > 50 && decided > 50, "{refused} {decided}");
    }
}

#[test]
fn of_an_experiment() {
    let around = around();
    let nothing = BTreeSet::new();
    for document in reference("Experiment") {
        try_each(&document, 1, |mut object: Experiment, what| {
            let mut settled = false;
            for _ in 0..5 {
                let world = experiment::World {
                    experiment: &object,
                    replica_sets: &[],
                    services: &[],
                    analysis_runs: &[],
                    templates: &around.templates,
                    routed: &nothing,
                    refused: &[],
                    settings: &around.settings,
                };
                let plan = experiment::decide(&world, now());
                let at_once = plan.wake_at.is_some_and(|at| at <= now());
                settled = object.status.as_ref() == Some(&plan.status)
                    && (!at_once || !plan.effects.is_empty());
                object.status = Some(plan.status);
            }
            assert!(settled, "{what}: decides for ever");
        });
    }
}

#[test]
fn of_an_analysis_run() {
    for document in reference("AnalysisRun") {
        try_each(&document, 1, |mut run: AnalysisRun, what| {
            let plan = sluice_analysis::decide(&run, &BTreeSet::new(), now());
            let measured: BTreeSet<String> = plan
                .measure
                .iter()
                .map(|it| it.metric.name.clone())
                .collect();
            run.status = Some(plan.status.clone());
            let again = sluice_analysis::decide(&run, &measured, now());
            assert_eq!(
                again.status, plan.status,
                "{what}: a status that does not stay"
            );
            let at_once = again.wake_at.is_some_and(|at| at <= now());
            assert!(
                !at_once || again.delete || !again.measure.is_empty(),
                "{what}: decides for ever"
            );
        });
    }
}
