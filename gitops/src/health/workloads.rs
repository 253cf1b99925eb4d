//! Health of what runs pods.

use serde_json::Value;

use super::{Code, Health, condition, is, message};
use crate::key::{list, number, text};

/// Whether the status belongs to an older spec.
fn is_unobserved(object: &Value) -> bool {
    number(object, "/metadata/generation").unwrap_or(0)
        > number(object, "/status/observedGeneration").unwrap_or(0)
}

fn progressing(message: String) -> Health {
    Health::new(Code::Progressing, message)
}

pub(super) fn deployment(object: &Value) -> Health {
    if object.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return Health::new(Code::Suspended, "Deployment is paused");
    }
    if is_unobserved(object) {
        return progressing("Waiting for rollout to finish: observed deployment generation less than desired generation".to_owned());
    }
    let name = text(object, "/metadata/name");
    if let Some(condition) = condition(object, "Progressing")
        && text(condition, "/reason") == "ProgressDeadlineExceeded"
    {
        return Health::new(
            Code::Degraded,
            format!("Deployment {name:?} exceeded its progress deadline"),
        );
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let count = |field: &str| number(object, &format!("/status/{field}")).unwrap_or(0);
    let (updated, all, available) = (
        count("updatedReplicas"),
        count("replicas"),
        count("availableReplicas"),
    );
    if updated < wanted {
        return progressing(format!(
            "Waiting for rollout to finish: {updated} out of {wanted} new replicas have been updated..."
        ));
    }
    if all > updated {
        return progressing(format!(
            "Waiting for rollout to finish: {} old replicas are pending termination...",
            all - updated
        ));
    }
    if available < updated {
        return progressing(format!(
            "Waiting for rollout to finish: {available} of {updated} updated replicas are available..."
        ));
    }
    Health::healthy()
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if number(object, "/status/observedGeneration").unwrap_or(0) == 0 || is_unobserved(object) {
        return progressing("Waiting for statefulset spec update to be observed...".to_owned());
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let count = |field: &str| number(object, &format!("/status/{field}")).unwrap_or(0);
    let ready = count("readyReplicas");
    if ready < wanted {
        return progressing(format!(
            "Waiting for {} pods to be ready...",
            wanted - ready
        ));
    }
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::healthy();
    }
    if object
        .pointer("/spec/updateStrategy/rollingUpdate")
        .is_some_and(Value::is_object)
    {
        let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
        if partition > 0 {
            let (updated, due) = (count("updatedReplicas"), wanted - partition);
            return if updated < due {
                progressing(format!(
                    "Waiting for partitioned roll out to finish: {updated} out of {due} new pods have been updated..."
                ))
            } else {
                Health::new(
                    Code::Healthy,
                    format!(
                        "partitioned roll out complete: {updated} new pods have been updated..."
                    ),
                )
            };
        }
    }
    if text(object, "/status/updateRevision") != text(object, "/status/currentRevision") {
        return progressing(format!(
            "waiting for statefulset rolling update to complete {} pods at revision {}...",
            count("updatedReplicas"),
            text(object, "/status/updateRevision")
        ));
    }
    Health::healthy()
}

pub(super) fn replica_set(object: &Value) -> Health {
    if is_unobserved(object) {
        return progressing("Waiting for rollout to finish: observed replica set generation less than desired generation".to_owned());
    }
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|c| is(c, "True")) {
        return Health::new(Code::Degraded, message(failure));
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let available = number(object, "/status/availableReplicas").unwrap_or(0);
    if available < wanted {
        return progressing(format!(
            "Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
        ));
    }
    Health::healthy()
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if is_unobserved(object) {
        return progressing("Waiting for rollout to finish: observed daemon set generation less than desired generation".to_owned());
    }
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::healthy();
    }
    let count = |field: &str| number(object, &format!("/status/{field}")).unwrap_or(0);
    let wanted = count("desiredNumberScheduled");
    if count("updatedNumberScheduled") < wanted {
        return progressing(format!(
            "Waiting for daemon set {:?} rollout to finish: {} out of {wanted} new pods have been updated...",
            text(object, "/metadata/name"),
            count("updatedNumberScheduled")
        ));
    }
    if count("numberAvailable") < wanted {
        return progressing(format!(
            "Waiting for daemon set {:?} rollout to finish: {} of {wanted} updated pods are available...",
            text(object, "/metadata/name"),
            count("numberAvailable")
        ));
    }
    Health::healthy()
}

pub(super) fn pod(object: &Value) -> Health {
    let policy = match text(object, "/spec/restartPolicy") {
        "" => "Always",
        policy => policy,
    };
    let is_hook = crate::hook::of(object) != crate::hook::HookKind::None;
    let ignores_policy =
        crate::key::annotation(object, "argocd.argoproj.io/ignore-restart-policy") == Some("true");
    if policy == "Always" || (ignores_policy && !is_hook) {
        let waiting: Vec<&str> = containers(object)
            .filter(|status| {
                let reason = text(status, "/state/waiting/reason");
                reason.starts_with("Err")
                    || reason.ends_with("Error")
                    || reason.ends_with("BackOff")
            })
            .map(|status| text(status, "/state/waiting/message"))
            .collect();
        if !waiting.is_empty() {
            let said: Vec<&str> = waiting
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect();
            return Health::new(Code::Degraded, said.join(", "));
        }
    }
    let said = text(object, "/status/message");
    match text(object, "/status/phase") {
        "Pending" => Health::new(Code::Progressing, said),
        "Succeeded" => Health::new(Code::Healthy, said),
        "Failed" => Health::new(Code::Degraded, failure(object)),
        "Running" if policy == "Always" => {
            if condition(object, "Ready").is_some_and(|ready| is(ready, "True")) {
                return Health::new(Code::Healthy, said);
            }
            // A container that ended once and is not ready again has failed, rather than being slow to start.
            let ended = list(object, "/status/containerStatuses")
                .iter()
                .any(|status| status.pointer("/lastState/terminated").is_some());
            Health::new(
                if ended {
                    Code::Degraded
                } else {
                    Code::Progressing
                },
                said,
            )
        }
        "Running" => Health::new(Code::Progressing, said),
        _ => Health::new(Code::Unknown, said),
    }
}

fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    list(object, "/status/initContainerStatuses")
        .iter()
        .chain(list(object, "/status/containerStatuses"))
}

/// Why a pod failed: its own message, else that of the first container that did not end well.
fn failure(object: &Value) -> String {
    let said = text(object, "/status/message");
    if !said.is_empty() {
        return said.to_owned();
    }
    containers(object)
        .find_map(|status| {
            let ended = status.pointer("/state/terminated")?;
            let code = number(ended, "/exitCode").unwrap_or(0);
            let name = text(status, "/name");
            match (text(ended, "/message"), text(ended, "/reason")) {
                (message, _) if !message.is_empty() => Some(message.to_owned()),
                (_, "OOMKilled") => Some(format!("container {name:?} was out of memory")),
                _ if code != 0 => Some(format!("container {name:?} failed with exit code {code}")),
                _ => None,
            }
        })
        .unwrap_or_default()
}

pub(super) fn job(object: &Value) -> Health {
    let holds = |kind: &str| condition(object, kind).filter(|condition| is(condition, "True"));
    if let Some(failed) = holds("Failed") {
        Health::new(Code::Degraded, message(failed))
    } else if let Some(complete) = holds("Complete") {
        Health::new(Code::Healthy, message(complete))
    } else if let Some(suspended) = holds("Suspended") {
        Health::new(Code::Suspended, message(suspended))
    } else {
        Health::new(Code::Progressing, "")
    }
}

const AUTOSCALER_FAILURES: [&str; 8] = [
    "FailedGetScale",
    "FailedUpdateScale",
    "FailedGetResourceMetric",
    "FailedGetObjectMetric",
    "FailedGetPodsMetric",
    "FailedGetExternalMetric",
    "FailedComputeMetricsReplicas",
    "InvalidSelector",
];

/// Conditions are in the status, or for `autoscaling/v1` in an annotation.
pub(super) fn autoscaler(object: &Value, in_annotation: bool) -> Health {
    let annotated: Vec<Value>;
    let conditions = if in_annotation {
        let annotation =
            crate::key::annotation(object, "autoscaling.alpha.kubernetes.io/conditions");
        annotated = annotation
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        annotated.as_slice()
    } else {
        list(object, "/status/conditions")
    };
    for condition in conditions {
        if AUTOSCALER_FAILURES.contains(&text(condition, "/reason")) {
            return Health::new(Code::Degraded, message(condition));
        }
    }
    for condition in conditions {
        if matches!(text(condition, "/type"), "AbleToScale" | "ScalingLimited")
            && is(condition, "True")
        {
            return Health::new(Code::Healthy, message(condition));
        }
    }
    Health::new(Code::Progressing, "Waiting to Autoscale")
}
