//! Containers of the pod template.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::template::{list, named, text};
use super::{Errors, names};
use crate::hash::whole;

/// Checks `containers` and `initContainers` of a pod spec.
pub(super) fn check(
    pod: &Map<String, Value>,
    volumes: &BTreeSet<&str>,
    field: &str,
    errors: &mut Errors,
) {
    let mut known = BTreeSet::new();
    if list(pod, "containers").next().is_none() {
        errors.required(format!("{field}.containers"), "");
    }
    for key in ["containers", "initContainers"] {
        for (index, container) in list(pod, key).enumerate() {
            let field = format!("{field}.{key}[{index}]");
            named(container, &field, &mut known, errors);
            one(container, volumes, &field, errors);
        }
    }
}

fn one(container: &Map<String, Value>, volumes: &BTreeSet<&str>, field: &str, errors: &mut Errors) {
    if text(container, "image").is_empty() {
        errors.required(format!("{field}.image"), "");
    }
    ports(container, &format!("{field}.ports"), errors);
    for (index, variable) in list(container, "env").enumerate() {
        if text(variable, "name").is_empty() {
            errors.required(format!("{field}.env[{index}].name"), "");
        }
    }
    mounts(container, volumes, &format!("{field}.volumeMounts"), errors);
    let policy = text(container, "imagePullPolicy");
    let policies = ["Always", "IfNotPresent", "Never"];
    if !policy.is_empty() && !policies.contains(&policy) {
        errors.not_supported(format!("{field}.imagePullPolicy"), policy, &policies);
    }
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get(key).and_then(Value::as_object) {
            handler(probe, &format!("{field}.{key}"), errors);
        }
    }
}

fn ports(container: &Map<String, Value>, field: &str, errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for (index, port) in list(container, "ports").enumerate() {
        let field = format!("{field}[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            let wrong = names::port_name(name);
            if wrong.is_empty() && !known.insert(name) {
                errors.duplicate(format!("{field}.name"), name);
            }
            for why in wrong {
                errors.invalid(format!("{field}.name"), name, why);
            }
        }
        for (key, needed) in [("containerPort", true), ("hostPort", false)] {
            match port
                .get(key)
                .and_then(Value::as_number)
                .and_then(whole)
                .unwrap_or(0)
            {
                0 if needed => errors.required(format!("{field}.{key}"), ""),
                0..=65_535 => {}
                number => errors.invalid(
                    format!("{field}.{key}"),
                    number,
                    "must be between 1 and 65535, inclusive",
                ),
            }
        }
        let protocol = text(port, "protocol");
        if !["", "SCTP", "TCP", "UDP"].contains(&protocol) {
            errors.not_supported(
                format!("{field}.protocol"),
                protocol,
                &["SCTP", "TCP", "UDP"],
            );
        }
    }
}

fn mounts(
    container: &Map<String, Value>,
    volumes: &BTreeSet<&str>,
    field: &str,
    errors: &mut Errors,
) {
    let mut paths = BTreeSet::new();
    for (index, mount) in list(container, "volumeMounts").enumerate() {
        let field = format!("{field}[{index}]");
        let (name, path) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            errors.required(format!("{field}.name"), "");
        }
        if path.is_empty() {
            errors.required(format!("{field}.mountPath"), "");
        }
        if !volumes.contains(name) {
            errors.add(
                format!("{field}.name"),
                format!("Not found: {}", super::shown(name)),
            );
        }
        if !paths.insert(path) {
            errors.invalid(format!("{field}.mountPath"), path, "must be unique");
        }
    }
}

/// A probe has exactly one way to ask.
fn handler(probe: &Map<String, Value>, field: &str, errors: &mut Errors) {
    let mut handlers = ["exec", "httpGet", "tcpSocket", "grpc"]
        .into_iter()
        .filter(|key| probe.get(*key).is_some_and(Value::is_object));
    if handlers.next().is_none() {
        errors.required(field, "must specify a handler type");
    }
    for key in handlers {
        errors.forbidden(
            format!("{field}.{key}"),
            "may not specify more than 1 handler type",
        );
    }
}
