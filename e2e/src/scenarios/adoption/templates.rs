//! Manifests that the members of the fleet share: pods, Services, and what is measured.

use serde_json::{Value, json};

use super::fleet::LABEL;
use crate::cluster::BUSYBOX_IMAGE;

/// The variable of the container by which versions differ.
pub(super) const VERSION: &str = "/spec/containers/0/env/0/value";

/// A condition that pods of an update must get before they are ready.
pub(super) const GATE: &str = "sluice.dev/let-ready";

/// The label that says which controller an object belongs to.
pub(super) const INSTANCE: &str = "argo-rollouts.argoproj.io/controller-instance-id";

/// Pods of a member, of version v1. Quantities and numbers are written as people write them, not as Kubernetes would.
pub(super) fn pod_template(app: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": app, LABEL.0: LABEL.1 }, "annotations": { "made-by": "a person" } },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "app", "image": BUSYBOX_IMAGE, "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", "exec sleep 100000"],
                "env": [{ "name": "VERSION", "value": "v1" }],
                "ports": [{ "name": "http", "containerPort": 8080 }],
                "resources": { "requests": { "cpu": "0.005", "memory": "8Mi" } }
            }]
        }
    })
}

/// A Service of a member.
pub(super) fn service(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": { "selector": { "app": app }, "ports": [{ "name": "http", "port": 80, "targetPort": "http" }] }
    })
}

/// What is measured.
///
/// `gate` is a Job that waits until somebody lets it run; `gate-and-counts` measures Prometheus beside it; `endless`
/// measures until it is ended; `doubt` is inconclusive; `quick` is over at once. Argo Rollouts sees only templates that
/// carry its instance id.
pub(super) fn analyses(prometheus: &str, instance: &str) -> Vec<Value> {
    let template = |name: &str, metrics: Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": { "name": name, "labels": { INSTANCE: instance } },
            "spec": { "metrics": metrics }
        })
    };
    let container = json!({
        "name": "check", "image": BUSYBOX_IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["/bin/true"]
    });
    let pod = json!({ "restartPolicy": "Never", "containers": [container] });
    let job =
        json!({ "spec": { "suspend": true, "backoffLimit": 0, "template": { "spec": pod } } });
    let gate = json!({ "name": "gate", "provider": { "job": job } });
    let one = json!({ "prometheus": { "address": prometheus, "query": "vector(1)" } });
    let counts = json!({
        "name": "counts", "interval": "2s", "count": 20, "successCondition": "result[0] == 1", "provider": one
    });
    vec![
        template("gate", json!([gate])),
        template("gate-and-counts", json!([gate, counts])),
        template(
            "endless",
            json!([{
                "name": "endless", "interval": "2s", "successCondition": "result[0] == 1", "provider": one
            }]),
        ),
        template(
            "doubt",
            json!([{
                "name": "doubt", "successCondition": "result[0] > 2", "failureCondition": "result[0] < 0",
                "provider": one
            }]),
        ),
        template("quick", json!([{ "name": "quick", "provider": one }])),
    ]
}
