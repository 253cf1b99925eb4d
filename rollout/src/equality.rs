//! Whether the template of a Rollout and that of a live ReplicaSet mean the same pods.
//!
//! The API server fills defaults into a ReplicaSet's template and none into a Rollout's, so the live template may hold
//! more: fields with exactly the value that the server would give them. Everything else must be equal; the hash label is
//! left out. Used only where the hashes differ: ReplicaSets made under another hash format.

use serde_json::{Map, Value};
use sluice_crds::names;
use sluice_crds::pod_template::PodTemplate;

use crate::hash;

/// Compares `wanted`, written by a person, with `live`, which went through the API server; both in canonical spelling.
pub(crate) fn same_template(wanted: &Value, live: &Value) -> bool {
    covers(wanted, live, &[])
}

/// The template in canonical spelling (quantities, field types), without the hash label.
pub(crate) fn canonical(template: &PodTemplate) -> Value {
    let mut template = template.clone();
    template.remove_label(names::POD_TEMPLATE_HASH);
    serde_json::from_slice(&hash::pod_template_json(&template)).unwrap_or(Value::Null)
}

/// Whether `live` is `wanted` with nothing added but defaults. `path` holds the keys above, indices left out.
fn covers(wanted: &Value, live: &Value, path: &[&str]) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => covers_object(wanted, live, path),
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() == live.len()
                && wanted
                    .iter()
                    .zip(live)
                    .all(|(wanted, live)| covers(wanted, live, path))
        }
        _ => wanted == live,
    }
}

fn covers_object(wanted: &Map<String, Value>, live: &Map<String, Value>, path: &[&str]) -> bool {
    // Keys of these maps are names that people choose: nothing there is a default.
    let names_of_people = path.last().is_some_and(|last| {
        matches!(
            *last,
            "labels" | "annotations" | "nodeSelector" | "matchLabels" | "limits" | "requests"
        )
    });
    // Go writes some optional fields as null where others are left out.
    let given = |key: &str| wanted.get(key).is_some_and(|value| !value.is_null());
    let mut all_given = wanted.iter().filter(|(key, _)| given(key));
    let wanted_fits = all_given.all(|(key, value)| match live.get(key) {
        Some(live) => covers(value, live, &[path, &[key.as_str()]].concat()),
        None => is_empty(value) && !names_of_people,
    });
    let added_fits = live
        .iter()
        .filter(|(key, _)| !given(key))
        .all(|(key, value)| {
            !names_of_people && (is_empty(value) || is_default(key, value, wanted, path))
        });
    wanted_fits && added_fits
}

/// Null, an empty map, an empty list: the same as absent.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Whether the API server would have put this value there.
fn is_default(key: &str, value: &Value, beside: &Map<String, Value>, path: &[&str]) -> bool {
    let text = value.as_str();
    let number = value.as_i64();
    let above = path.last().copied().unwrap_or_default();
    match key {
        "terminationMessagePath" => text == Some("/dev/termination-log"),
        "terminationMessagePolicy" => text == Some("File"),
        "imagePullPolicy" => {
            let image = beside
                .get("image")
                .and_then(Value::as_str)
                .unwrap_or_default();
            text == Some(if pulls_always(image) {
                "Always"
            } else {
                "IfNotPresent"
            })
        }
        "restartPolicy" => text == Some("Always") && above == "spec",
        "dnsPolicy" => text == Some("ClusterFirst"),
        "schedulerName" => text == Some("default-scheduler"),
        "terminationGracePeriodSeconds" => number == Some(30) && above == "spec",
        // The deprecated twin of serviceAccountName.
        "serviceAccount" => beside.get("serviceAccountName") == Some(value),
        "serviceAccountName" => beside.get("serviceAccount") == Some(value),
        "protocol" => text == Some("TCP"),
        "scheme" => text == Some("HTTP"),
        "timeoutSeconds" | "successThreshold" => number == Some(1),
        "periodSeconds" => number == Some(10),
        "failureThreshold" => number == Some(3),
        "service" => text == Some("") && above == "grpc",
        "defaultMode" => number == Some(0o644),
        "expirationSeconds" => number == Some(3600),
        "apiVersion" => text == Some("v1") && above == "fieldRef",
        "divisor" => text == Some("0"),
        "type" => text == Some("") && above == "hostPath",
        _ => false,
    }
}

/// Whether the tag of an image is `latest`, written or left out.
fn pulls_always(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or_default();
    name.rsplit_once(':').is_none_or(|(_, tag)| tag == "latest")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn same(wanted: &PodTemplate, live: &PodTemplate) -> bool {
        same_template(&canonical(wanted), &canonical(live))
    }

    fn template(value: Value) -> PodTemplate {
        serde_json::from_value(value).unwrap()
    }

    fn written() -> Value {
        json!({
            "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{
                "name": "web", "image": "web:1", "ports": [{ "containerPort": 80 }],
                "resources": { "requests": { "cpu": "1000m" } },
                "readinessProbe": { "httpGet": { "path": "/", "port": 80 } }
            }] }
        })
    }

    fn served() -> Value {
        json!({
            "metadata": {
                "creationTimestamp": null,
                "labels": { "app": "web", "rollouts-pod-template-hash": "6f64d5c5f8" }
            },
            "spec": {
                "containers": [{
                    "name": "web", "image": "web:1", "imagePullPolicy": "IfNotPresent",
                    "ports": [{ "containerPort": 80, "protocol": "TCP" }],
                    "resources": { "requests": { "cpu": "1" } },
                    "readinessProbe": {
                        "httpGet": { "path": "/", "port": 80, "scheme": "HTTP" },
                        "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3
                    },
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"
                }],
                "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
                "securityContext": {}, "schedulerName": "default-scheduler"
            }
        })
    }

    #[test]
    fn defaults_of_the_api_server_make_no_difference() {
        assert!(same(&template(written()), &template(served())));
    }

    #[test]
    fn everything_else_does() {
        for (pointer, value) in [
            ("/spec/containers/0/image", json!("web:2")),
            ("/spec/containers/0/imagePullPolicy", json!("Always")),
            ("/spec/terminationGracePeriodSeconds", json!(31)),
            ("/spec/containers/0/resources/requests/cpu", json!("2")),
            ("/metadata/labels/app", json!("other")),
        ] {
            let mut live = served();
            *live.pointer_mut(pointer).unwrap() = value;
            assert!(!same(&template(written()), &template(live)), "{pointer}");
        }
        let mut live = served();
        live["metadata"]["labels"]["extra"] = json!("");
        assert!(!same(&template(written()), &template(live)), "a label more");
        let mut wanted = written();
        wanted["spec"]["nodeSelector"] = json!({ "disk": "ssd" });
        assert!(
            !same(&template(wanted), &template(served())),
            "a node selector"
        );
    }

    #[test]
    fn a_default_counts_only_with_its_value_and_in_its_place() {
        let mut wanted = written();
        let spec = &mut wanted["spec"];
        spec["serviceAccountName"] = json!("web");
        spec["volumes"] = json!([
            { "name": "a", "secret": { "secretName": "s" } },
            { "name": "b", "hostPath": { "path": "/" } },
            { "name": "c", "projected": { "sources": [{ "serviceAccountToken": { "path": "t" } }] } }
        ]);
        spec["containers"][0]["livenessProbe"] = json!({ "grpc": { "port": 1 } });
        spec["containers"][0]["env"] = json!([
            { "name": "N", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            { "name": "C", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu" } } }
        ]);
        let same = |place: &str, key: &str, value: &Value| {
            let mut live = wanted.clone();
            live.pointer_mut(place).unwrap()[key] = value.clone();
            same(&template(wanted.clone()), &template(live))
        };
        let (container, env) = ("/spec/containers/0", "/spec/containers/0/env");
        for (place, key, default, other) in [
            ("/spec", "serviceAccount", json!("web"), json!("other")),
            ("/spec", "restartPolicy", json!("Always"), json!("Never")),
            (
                "/spec",
                "terminationGracePeriodSeconds",
                json!(30),
                json!(0),
            ),
            (
                "/spec/volumes/0/secret",
                "defaultMode",
                json!(420),
                json!(256),
            ),
            (
                "/spec/volumes/1/hostPath",
                "type",
                json!(""),
                json!("Directory"),
            ),
            (
                "/spec/volumes/2/projected/sources/0/serviceAccountToken",
                "expirationSeconds",
                json!(3600),
                json!(600),
            ),
            (
                &format!("{container}/livenessProbe/grpc"),
                "service",
                json!(""),
                json!("x"),
            ),
            (
                &format!("{env}/0/valueFrom/fieldRef"),
                "apiVersion",
                json!("v1"),
                json!("v2"),
            ),
            (
                &format!("{env}/1/valueFrom/resourceFieldRef"),
                "divisor",
                json!("0"),
                json!("1"),
            ),
        ] {
            assert!(same(place, key, &default), "{place}/{key}");
            assert!(!same(place, key, &other), "{place}/{key}: {other}");
        }
        // A side car that restarts is another pod, and so is a probe with a grace period of its own.
        assert!(!same(container, "restartPolicy", &json!("Always")));
        let grace = &json!(30);
        assert!(!same(
            &format!("{container}/livenessProbe"),
            "terminationGracePeriodSeconds",
            grace
        ));
    }

    #[test]
    fn the_old_name_of_the_service_account_is_the_same_as_the_new_one() {
        let mut wanted = written();
        wanted["spec"]["serviceAccount"] = json!("web");
        let mut live = wanted.clone();
        live["spec"]["serviceAccountName"] = json!("web");
        assert!(same(&template(wanted.clone()), &template(live.clone())));
        live["spec"]["serviceAccountName"] = json!("other");
        assert!(!same(&template(wanted), &template(live)));
    }

    #[test]
    fn what_is_empty_is_the_same_as_what_is_absent() {
        let mut wanted = written();
        wanted["spec"]["tolerations"] = json!([]);
        wanted["spec"]["affinity"] = json!({ "podAffinity": {} });
        wanted["spec"]["hostAliases"] = Value::Null;
        let (with, without) = (template(wanted.clone()), template(written()));
        assert!(same(&with, &without));
        assert!(same(&without, &with));
        wanted["spec"]["tolerations"] = json!([{ "operator": "Exists" }]);
        let with = template(wanted);
        assert!(!same(&with, &without));
        assert!(!same(&without, &with));
    }

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, always) in [
            ("web", true),
            ("web:latest", true),
            ("host:5000/web", true),
            ("web:1", false),
            ("web@sha256:00", false),
        ] {
            assert_eq!(pulls_always(image), always, "{image}");
        }
    }
}
