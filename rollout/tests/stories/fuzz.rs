//! Worlds that no story leads to: whatever was left behind by people, crashes and other controllers.
//!
//! In each, a decision does not panic, depends on nothing but what was observed, and every one of its effects is safe.

use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_crds::names;
use sluice_rollout::ReplicaSet;

use crate::fixtures::{Cluster, analysis, blue_green, rollout};

const IMAGES: [&str; 3] = ["web:1", "web:2", "web:3"];

#[derive(Debug, Clone)]
struct LeftBehind {
    routed: bool,
    dynamic: bool,
    /// Whether it is a blue-green, and whether that has a preview of one pod and a Service that it left.
    blue_green: Option<(bool, bool)>,
    replicas: i32,
    /// For each image: pods, available pods, whether it waits for a deadline, whether it is being deleted.
    sets: Vec<Option<(i32, i32, bool, bool)>>,
    /// Which image is new, stable, and selected by each Service; 3 is none, 4 is gone.
    roles: (usize, usize, usize, usize),
    routes: Vec<Result<i32, String>>,
    accepted: Option<bool>,
    status: Value,
    paused: bool,
    runs: Vec<(usize, &'static str, bool)>,
    seconds: i64,
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![8 => 0..12_i32, 1 => Just(i32::MAX), 1 => Just(i32::MIN), 1 => -5..0_i32]
}

fn left_behind() -> impl Strategy<Value = LeftBehind> {
    let set = proptest::option::of((
        prop_oneof![9 => 0..9_i32, 1 => Just(i32::MAX)],
        prop_oneof![9 => 0..9_i32, 1 => number()],
        any::<bool>(),
        proptest::bool::weighted(0.1),
    ));
    let route = prop_oneof![5 => (0..=100_i32).prop_map(Ok), 1 => number().prop_map(Ok), 1 => Just(Err("gone".to_owned()))];
    let status = (
        (number(), number(), number(), number(), number()),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        0..5_usize,
        0..6_usize,
    )
        .prop_map(|(numbers, flags, pause, progressing)| {
            status(numbers, flags, pause, progressing)
        });
    let replicas = prop_oneof![9 => 0..9_i32, 1 => Just(i32::MAX)];
    let roles = (0..3_usize, 0..5_usize, 0..5_usize, 0..5_usize);
    let phases = [
        "",
        "Running",
        "Successful",
        "Failed",
        "Error",
        "Inconclusive",
    ];
    let run = (
        0..6_usize,
        proptest::sample::select(phases.to_vec()),
        any::<bool>(),
    );
    (
        (
            any::<bool>(),
            any::<bool>(),
            proptest::option::of((any::<bool>(), any::<bool>())),
            replicas,
            proptest::collection::vec(set, 3),
        ),
        (
            roles,
            proptest::collection::vec(route, 1..3),
            any::<Option<bool>>(),
            status,
        ),
        (
            any::<bool>(),
            proptest::collection::vec(run, 0..4),
            0..1000_i64,
        ),
    )
        .prop_map(
            |(
                (routed, dynamic, blue_green, replicas, sets),
                (roles, routes, accepted, status),
                (paused, runs, seconds),
            )| LeftBehind {
                routed: routed && blue_green.is_none(),
                dynamic: dynamic && routed && blue_green.is_none(),
                blue_green,
                replicas,
                sets,
                roles,
                routes,
                accepted,
                status,
                paused,
                runs,
                seconds,
            },
        )
}

fn status(
    (replicas, updated, ready, available, index): (i32, i32, i32, i32, i32),
    (abort, full, controller, aborted_at): (bool, bool, bool, bool),
    pause: usize,
    progressing: usize,
) -> Value {
    let start = json!("2026-11-21T11:59:00Z");
    let reasons = [
        "CanaryPauseStep",
        "InconclusiveAnalysisRun",
        "BlueGreenPause",
    ];
    let pauses: Vec<Value> = reasons
        .get(pause)
        .map(|reason| json!({ "reason": reason, "startTime": start }))
        .into_iter()
        .collect();
    let reasons = [
        "RolloutAborted",
        "RolloutPaused",
        "NewReplicaSetAvailable",
        "ProgressDeadlineExceeded",
        "ReplicaSetUpdated",
    ];
    let conditions: Vec<Value> = reasons
        .get(progressing)
        .map(|reason| json!({ "type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": start }))
        .into_iter()
        .collect();
    json!({
        "replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": available,
        "currentStepIndex": index, "abort": abort, "promoteFull": full, "controllerPause": controller,
        "abortedAt": aborted_at.then_some(start), "pauseConditions": pauses, "conditions": conditions
    })
}

fn cluster(any: &LeftBehind) -> Cluster {
    let steps = json!([
        { "setWeight": 25 }, { "pause": { "duration": 30 } }, { "analysis": analysis("errors") }, { "setWeight": 75 }, { "pause": {} }
    ]);
    let mut object = rollout(any.replicas, steps, any.routed);
    object["spec"]["strategy"]["canary"]["analysis"] = analysis("latency");
    if let Some((small, _)) = any.blue_green {
        let mut fields = json!({
            "autoPromotionSeconds": 30, "scaleDownDelayRevisionLimit": 1,
            "prePromotionAnalysis": analysis("errors"), "postPromotionAnalysis": analysis("latency")
        });
        if small {
            fields["previewReplicaCount"] = json!(1);
        }
        object = blue_green(any.replicas, fields);
    }
    object["spec"]["progressDeadlineAbort"] = json!(true);
    object["spec"]["revisionHistoryLimit"] = json!(i32::from(any.blue_green.is_some()));
    object["spec"]["paused"] = json!(any.paused);
    if any.dynamic {
        object["spec"]["strategy"]["canary"]["dynamicStableScale"] = json!(true);
    }
    // The sets as they would have been made.
    let mut cluster = Cluster::new(object);
    if any.blue_green.is_some_and(|(_, left)| left) {
        cluster.add_service("web-stable");
    }
    let mut made = Vec::new();
    for image in IMAGES {
        cluster.set_image(image);
        cluster.pass();
        made.push(cluster.set(image).clone());
    }
    let mut hashes: Vec<String> = made
        .iter()
        .map(|set| set.hash().unwrap().to_owned())
        .collect();
    hashes.extend([String::new(), "gone".to_owned()]);
    let (new, stable, canary_service, stable_service) = any.roles;
    cluster.set_image(IMAGES[new]);
    let mut status = any.status.clone();
    status["stableRS"] = json!(hashes[stable]);
    status["currentPodHash"] = json!(hashes[new]);
    status["currentStepHash"] = json!(cluster.status().current_step_hash);
    if any.blue_green.is_some() {
        status["blueGreen"] = json!({ "scaleUpPreviewCheckPoint": canary_service == 1 });
    }
    cluster.rollout.status = serde_json::from_value(status).unwrap();
    let mut sets: Vec<ReplicaSet> = Vec::new();
    for (set, any) in made.iter().zip(&any.sets) {
        let Some((pods, available, waits, deleting)) = any else {
            continue;
        };
        let mut set = set.clone();
        (set.replicas, set.current, set.deleting) = (*pods, *pods, *deleting);
        (set.available, set.ready) = (*available, *available);
        if *waits {
            set.annotations.insert(
                names::SCALE_DOWN_DEADLINE.to_owned(),
                "2026-11-21T12:05:00Z".to_owned(),
            );
        }
        sets.push(set);
    }
    cluster.sets = sets;
    for (name, role) in [
        ("web-canary", canary_service),
        ("web-stable", stable_service),
        ("web-preview", canary_service),
        ("web-active", stable_service),
    ] {
        let Some(service) = cluster
            .services
            .get_mut(name)
            .filter(|_| !hashes[role].is_empty())
        else {
            continue;
        };
        service
            .selector
            .insert(names::POD_TEMPLATE_HASH.to_owned(), hashes[role].clone());
        service
            .annotations
            .insert(names::MANAGED_BY_ROLLOUTS.to_owned(), "web".to_owned());
    }
    if any.routed {
        cluster.routes.clone_from(&any.routes);
        cluster.accepted = any.accepted;
    }
    cluster.runs.clear();
    for (kind, phase, terminate) in &any.runs {
        let revision = cluster.set_revision(IMAGES[new]);
        let base = format!("web-{}-{revision}", hashes[new]);
        let name = ["", "-2", "-pre", ".1", "-post", "-x"].map(|suffix| format!("{base}{suffix}"))
            [*kind]
            .clone();
        let run = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {
                "name": name, "uid": "u", "resourceVersion": "1",
                "annotations": { names::ATTEMPT: cluster.status().current_step_hash.clone().unwrap_or_default() },
            },
            "spec": { "terminate": terminate },
            "status": { "phase": phase, "message": "so it is" }
        });
        if cluster
            .runs
            .iter()
            .all(|known| known.metadata.name.as_ref() != Some(&name))
        {
            cluster.runs.push(serde_json::from_value(run).unwrap());
        }
    }
    cluster.wait(any.seconds);
    cluster
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_any_world_a_decision_is_safe_and_depends_only_on_what_was_seen(any in left_behind()) {
        let mut cluster = cluster(&any);
        // `plan` checks every effect against the invariants.
        let plan = cluster.plan();
        prop_assert_eq!(&cluster.plan(), &plan);
        if !any.routed && any.blue_green.is_none() {
            // Every prefix of the plan leaves enough pods, not only each effect by itself.
            let available = |cluster: &Cluster| -> i64 {
                let sets = cluster.sets.iter().filter(|set| !set.deleting);
                sets.map(|set| i64::from(set.available.min(set.replicas).max(0))).sum()
            };
            let wanted = any.replicas.min(1 << 26);
            let least = available(&cluster).min(i64::from(wanted - wanted / 4));
            for writes in 1..=plan.effects.len() {
                let mut crashed = cluster.clone();
                crashed.crash_after(writes);
                prop_assert!(available(&crashed) >= least, "{:?}", plan.effects);
            }
        }
        cluster.sets.reverse();
        cluster.runs.reverse();
        cluster.routes.reverse();
        let mut other = cluster.plan();
        // Routers are told apart by their place here.
        other.reasons.clone_from(&plan.reasons);
        other.status.message.clone_from(&plan.status.message);
        other.status.conditions.clone_from(&plan.status.conditions);
        other.events.clone_from(&plan.events);
        prop_assert_eq!(&other, &plan);
    }
}
