//! What must be the same before and after a change of hands.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use kube::api::ApiResource;
use serde_json::{Value, json};

use super::super::Stage;
use super::super::watch::{analysis_runs, experiments, pods, replica_sets, rollouts, services};
use super::fleet::LABEL;
use crate::demo::stage::{kind, text};

/// Facts by what they are about.
pub(super) type Look = BTreeMap<String, Value>;

/// The kinds of which a fleet consists; the record has them in this order.
pub(super) fn kinds() -> Vec<ApiResource> {
    vec![
        kind(
            "argoproj.io",
            "v1alpha1",
            "AnalysisTemplate",
            "analysistemplates",
        ),
        services(),
        kind("networking.k8s.io", "v1", "Ingress", "ingresses"),
        kind(
            "traefik.io",
            "v1alpha1",
            "TraefikService",
            "traefikservices",
        ),
        kind("apps", "v1", "Deployment", "deployments"),
        rollouts(),
        replica_sets(),
        analysis_runs(),
        experiments(),
        kind("batch", "v1", "Job", "jobs"),
        pods(),
    ]
}

/// Looks at the fleet.
pub(super) async fn look(stage: &Stage, namespace: &str) -> Result<Look> {
    let mut look = Look::new();
    for resource in kinds() {
        for object in stage.list(namespace, &resource).await? {
            if let Some(facts) = facts(&resource.kind, &object) {
                let name = text(&object, "/metadata/name");
                look.insert(format!("{} {name}", resource.kind), facts);
            }
        }
    }
    Ok(look)
}

/// Fails, with all differences, unless both looks are the same.
pub(super) fn compare(before: &Look, after: &Look) -> Result<()> {
    let mut differences = Vec::new();
    for key in before
        .keys()
        .chain(after.keys().filter(|key| !before.contains_key(*key)))
    {
        let (was, is) = (before.get(key), after.get(key));
        if was != is {
            differences.push(format!("{key}: {}", difference(was, is)));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    bail!(
        "the change of hands was seen:\n          {}",
        differences.join("\n          ")
    );
}

fn difference(was: Option<&Value>, is: Option<&Value>) -> String {
    let (Some(was), Some(is)) = (was, is) else {
        return if was.is_some() { "is gone" } else { "is new" }.to_owned();
    };
    let fields = was.as_object().into_iter().flatten();
    let parts: Vec<String> = fields
        .filter(|(field, value)| is.get(field.as_str()) != Some(value))
        .map(|(field, value)| format!("{field} was {value}, is {}", is[field.as_str()]))
        .collect();
    parts.join("; ")
}

/// What counts of one object; nothing of those that do not belong to the fleet.
fn facts(kind: &str, object: &Value) -> Option<Value> {
    let all = |pointers: &[&str]| {
        let facts: serde_json::Map<String, Value> = pointers
            .iter()
            .map(|pointer| {
                // Argo Rollouts writes sections without content, and leaves zeros out.
                let written = |value: &&Value| **value != json!({}) && **value != json!(0);
                let value = object.pointer(pointer).filter(written);
                let value = value.cloned().unwrap_or_default();
                (pointer.trim_start_matches('/').to_owned(), value)
            })
            .collect();
        Some(Value::Object(facts))
    };
    match kind {
        "Pod" => {
            let label = object.pointer(&format!("/metadata/labels/{}", LABEL.0));
            let deleted = object.pointer("/metadata/deletionTimestamp").is_some();
            if label != Some(&json!(LABEL.1)) || deleted {
                return None;
            }
            all(&[
                "/metadata/uid",
                "/metadata/labels",
                "/metadata/annotations",
                "/status/containerStatuses/0/restartCount",
            ])
        }
        "ReplicaSet"
            if object
                .pointer("/spec/template/metadata/labels/fleet")
                .is_none() =>
        {
            None
        }
        "ReplicaSet" => all(&[
            "/metadata/uid",
            "/metadata/labels",
            "/metadata/ownerReferences",
            "/metadata/annotations/rollout.argoproj.io~1revision",
            "/metadata/annotations/rollout.argoproj.io~1desired-replicas",
            "/metadata/annotations/scale-down-deadline",
            "/spec",
        ]),
        "Rollout" => all(&[
            "/metadata/generation",
            "/spec",
            "/status/phase",
            "/status/message",
            "/status/currentPodHash",
            "/status/stableRS",
            "/status/currentStepIndex",
            "/status/currentStepHash",
            "/status/pauseConditions",
            "/status/controllerPause",
            "/status/abort",
            "/status/abortedAt",
            "/status/replicas",
            "/status/updatedReplicas",
            "/status/availableReplicas",
            "/status/selector",
            "/status/HPAReplicas",
            "/status/canary",
            // Sluice remembers there, too, that somebody has let a revision pass; to Argo Rollouts that means nothing once
            // it is switched to.
            "/status/blueGreen/activeSelector",
            "/status/blueGreen/previewSelector",
            "/status/blueGreen/prePromotionAnalysisRunStatus",
            "/status/blueGreen/postPromotionAnalysisRunStatus",
        ]),
        "Service"
            if object
                .pointer("/spec/selector/app.kubernetes.io~1name")
                .is_some() =>
        {
            None
        }
        // After an abort Argo Rollouts points the canary's Service to the new set and back again in each of its passes.
        "Service" if object.pointer("/metadata/name") == Some(&json!("refused-canary")) => None,
        "Service" | "TraefikService" => all(&["/spec"]),
        "Ingress" => all(&["/metadata/annotations", "/spec"]),
        "Deployment"
            if object
                .pointer("/spec/template/metadata/labels/fleet")
                .is_none() =>
        {
            None
        }
        "Deployment" => all(&["/metadata/generation", "/spec/replicas"]),
        "AnalysisRun" => all(&[
            "/metadata/uid",
            "/spec",
            "/status/phase",
            "/status/startedAt",
        ]),
        "Experiment" => all(&[
            "/metadata/uid",
            "/spec",
            "/status/phase",
            "/status/availableAt",
        ]),
        "Job" => all(&["/metadata/uid", "/spec"]),
        _ => None,
    }
}
