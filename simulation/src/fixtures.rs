//! The clusters that schedules are played on: one Rollout each, with everything that it names.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::metrics::Metrics;
use crate::schedule::Cluster;
use crate::workload::Behaviour;

/// Names of the fixtures.
pub const NAMES: [&str; 9] = [
    "routed-analysed",
    "routed-steps",
    "basic",
    "rolling",
    "blue-green",
    "blue-green-analysed",
    "switching",
    "ping-pong",
    "workload",
];

/// The cluster of a fixture, before its first deployment. Images `app:0` to `app:3` exist; `app:2` fails 30 % of its
/// requests and `app:3` is slow to start.
#[must_use]
pub fn cluster(name: &str) -> Cluster {
    let mut cluster = with_strategy(strategy(name), name == "workload");
    if name == "switching" {
        cluster.strategies = ["routed-steps", "blue-green", "basic"].map(strategy).into();
    }
    cluster
}

fn strategy(name: &str) -> Value {
    match name {
        "blue-green" | "switching" => json!({ "blueGreen": {
            "activeService": "active", "previewService": "preview", "previewReplicaCount": 1,
            "autoPromotionSeconds": 15, "scaleDownDelaySeconds": 8, "scaleDownDelayRevisionLimit": 2
        } }),
        "blue-green-analysed" => json!({ "blueGreen": {
            "activeService": "active", "autoPromotionEnabled": true, "abortScaleDownDelaySeconds": 6,
            "activeMetadata": { "labels": { "role": "active" } },
            "previewMetadata": { "labels": { "role": "preview" }, "annotations": { "shown": "yes" } },
            "prePromotionAnalysis": { "templates": [{ "templateName": "once" }] },
            "postPromotionAnalysis": {
                "templates": [{ "templateName": "thrice" }],
                "args": [{ "name": "hash", "valueFrom": { "podTemplateHashValue": "Latest" } }]
            }
        } }),
        "routed-analysed" => json!({ "canary": {
            "canaryService": "canary", "stableService": "stable",
            "trafficRouting": { "plugins": { "argoproj-labs/gatewayAPI": {
                "httpRoute": "route", "namespace": "default" } } },
            "analysis": {
                "templates": [{ "templateName": "success" }], "startingStep": 1,
                "args": [{ "name": "hash", "valueFrom": { "podTemplateHashValue": "Latest" } }]
            },
            "steps": [
                { "setWeight": 10 }, { "pause": { "duration": 20 } },
                { "setWeight": 50 }, { "pause": { "duration": "10s" } }
            ]
        } }),
        "routed-steps" => json!({ "canary": {
            "canaryService": "canary", "stableService": "stable",
            "trafficRouting": { "plugins": { "argoproj-labs/gatewayAPI": {
                "httpRoute": "route", "namespace": "default" } } },
            "abortScaleDownDelaySeconds": 5, "scaleDownDelaySeconds": 10,
            "canaryMetadata": { "labels": { "role": "canary" } },
            "stableMetadata": { "labels": { "role": "stable" } },
            "antiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {} },
            "steps": [
                { "setCanaryScale": { "replicas": 2 } }, { "setWeight": 25 }, { "pause": {} },
                { "setCanaryScale": { "matchTrafficWeight": true } }, { "setWeight": 75 },
                { "analysis": { "templates": [{ "templateName": "once" }] } }
            ]
        } }),
        "ping-pong" => json!({ "canary": {
            "pingPong": { "pingService": "canary", "pongService": "stable" },
            "trafficRouting": { "plugins": { "argoproj-labs/gatewayAPI": {
                "httpRoute": "route", "namespace": "default" } } },
            "scaleDownDelaySeconds": 4,
            "steps": [
                { "setWeight": 20 },
                { "plugin": { "name": "sluice/steady", "config": { "for": "6s", "within": "40s" } } },
                { "setWeight": 60 }, { "pause": {} }
            ]
        } }),
        "basic" => json!({ "canary": {
            "maxSurge": 1, "maxUnavailable": 0,
            "replicaProgressThreshold": { "type": "Percent", "value": 75 },
            "steps": [
                { "setWeight": 20 }, { "pause": { "duration": 10 } }, { "setWeight": 60 },
                { "plugin": { "name": "sluice/steady", "config": { "for": 3 } } }
            ]
        } }),
        _ => json!({ "canary": {} }),
    }
}

fn with_strategy(strategy: Value, by_reference: bool) -> Cluster {
    let mut objects: Vec<Value> = [
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": { "name": "app", "namespace": "default" },
            "spec": {
                "replicas": 4,
                "revisionHistoryLimit": 2,
                "selector": { "matchLabels": { "app": "app" } },
                "strategy": strategy,
                "template": {
                    "metadata": { "labels": { "app": "app" } },
                    "spec": { "containers": [{ "name": "app", "image": "app:0" }] }
                }
            }
        }),
        template("success", &json!({ "interval": "4s", "failureLimit": 1 })),
        template("once", &json!({ "count": 2, "interval": "3s" })),
        template("thrice", &json!({ "count": 3, "interval": "2s" })),
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": { "name": "route", "namespace": "default" },
            "spec": { "rules": [{ "backendRefs": [
                { "name": "stable", "port": 80, "weight": 100 },
                { "name": "canary", "port": 80, "weight": 0 }
            ] }] }
        }),
    ]
    .into_iter()
    .chain(["stable", "canary", "active", "preview"].map(|name| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": "default" },
            "spec": { "selector": { "app": "app" }, "ports": [{ "port": 80 }] }
        })
    }))
    .collect();
    if by_reference {
        refer(&mut objects);
    }
    let mut metrics = Metrics::default();
    let images = &mut metrics.workloads.images;
    images.insert(
        "app:2".to_owned(),
        Behaviour {
            error_rate: 0.3,
            ..Behaviour::default()
        },
    );
    let slow = Some(jiff::SignedDuration::from_secs(9));
    images.insert(
        "app:3".to_owned(),
        Behaviour {
            ready_after: slow,
            error_rate: 0.0,
        },
    );
    Cluster::new(&objects, metrics, Timestamp::UNIX_EPOCH)
}

/// Moves the template of the Rollout, which is the first object, into a Deployment that it refers to.
fn refer(objects: &mut Vec<Value>) {
    let Some(spec) = objects
        .first_mut()
        .and_then(|rollout| rollout.get_mut("spec"))
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let template = spec.remove("template");
    let selector = spec.remove("selector");
    spec.insert(
        "workloadRef".to_owned(),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "name": "old", "scaleDown": "progressively"
        }),
    );
    objects.push(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "old", "namespace": "default" },
        "spec": { "replicas": 4, "selector": selector, "template": template }
    }));
}

fn template(name: &str, settings: &Value) -> Value {
    let mut metric = json!({
        "name": "success-rate",
        "successCondition": "result[0] >= 0.95",
        "provider": { "prometheus": { "address": "http://prometheus", "query": "up" } }
    });
    crate::store::merge_patch(&mut metric, settings);
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "metrics": [metric], "args": [{ "name": "hash", "value": "none" }] }
    })
}
