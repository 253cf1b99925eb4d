//! `spec.template`: what the API server would refuse a ReplicaSet for, found before one is made.
//!
//! Types are checked completely. Of the rules between values, the ones that people run into are here; the others are
//! left to the API server, whose refusal is reported when the ReplicaSet is made.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use sluice_crds::LabelSelector;
use sluice_crds::pod_template::PodTemplate;

use super::{Errors, containers, names, selector};
use crate::hash;

const FIELD: &str = "spec.template";

/// The sources of volumes that people use, in the order in which Kubernetes looks at them.
const VOLUMES: [&str; 11] = [
    "emptyDir",
    "hostPath",
    "secret",
    "nfs",
    "persistentVolumeClaim",
    "downwardAPI",
    "configMap",
    "projected",
    "csi",
    "ephemeral",
    "image",
];

pub(super) fn check(template: &PodTemplate, wanted: Option<&LabelSelector>, errors: &mut Errors) {
    let mismatches = hash::mismatches(template);
    for mismatch in &mismatches {
        errors.add(
            format!("{FIELD}.{}", mismatch.path),
            format!(
                "Invalid value: {}: must be {}",
                mismatch.found, mismatch.expected
            ),
        );
    }
    if !mismatches.is_empty() {
        // Whatever else is wrong may follow from that.
        return;
    }
    let labels = template.labels();
    let selected = wanted.is_some_and(|wanted| selector::matches(wanted, &labels));
    if !selected && !wanted.is_some_and(selector::is_empty) {
        let shown = template.pointer("/metadata/labels").unwrap_or(&Value::Null);
        errors.invalid(
            format!("{FIELD}.metadata.labels"),
            shown,
            "`selector` does not match template `labels`",
        );
    }
    for (key, value) in &labels {
        selector::check_label(key, value, &format!("{FIELD}.metadata.labels"), errors);
    }
    for key in template.annotations().keys() {
        for why in names::qualified_name(&key.to_lowercase()) {
            errors.invalid(format!("{FIELD}.metadata.annotations"), key, why);
        }
    }
    let none = Map::new();
    let pod = template
        .pointer("/spec")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    pod_spec(pod, errors);
}

fn pod_spec(pod: &Map<String, Value>, errors: &mut Errors) {
    let field = format!("{FIELD}.spec");
    let volumes = volumes(pod, &format!("{field}.volumes"), errors);
    containers::check(pod, &volumes, &field, errors);
    let policy = text(pod, "restartPolicy");
    if !policy.is_empty() && policy != "Always" {
        errors.not_supported(format!("{field}.restartPolicy"), policy, &["Always"]);
    }
    if pod
        .get("activeDeadlineSeconds")
        .is_some_and(|value| !value.is_null())
    {
        errors.forbidden(
            format!("{field}.activeDeadlineSeconds"),
            "activeDeadlineSeconds in ReplicaSet is not Supported",
        );
    }
    if list(pod, "ephemeralContainers").next().is_some() {
        errors.forbidden(
            format!("{field}.ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// Checks the volumes; gives their names.
fn volumes<'a>(pod: &'a Map<String, Value>, field: &str, errors: &mut Errors) -> BTreeSet<&'a str> {
    let mut known = BTreeSet::new();
    for (index, volume) in list(pod, "volumes").enumerate() {
        let field = format!("{field}[{index}]");
        // A volume without a source becomes an empty directory.
        let mut sources: Vec<&str> = volume
            .iter()
            .filter(|(key, value)| *key != "name" && value.is_object())
            .map(|(key, _)| key.as_str())
            .collect();
        sources.sort_by_key(|source| VOLUMES.iter().position(|known| known == source));
        for source in sources.iter().skip(1) {
            errors.forbidden(
                format!("{field}.{source}"),
                "may not specify more than 1 volume type",
            );
        }
        named(volume, &field, &mut known, errors);
    }
    known
}

/// Checks the `name` of an element: there, a DNS label, and used once.
pub(super) fn named<'a>(
    element: &'a Map<String, Value>,
    field: &str,
    known: &mut BTreeSet<&'a str>,
    errors: &mut Errors,
) {
    let name = text(element, "name");
    let field = format!("{field}.name");
    if name.is_empty() {
        return errors.required(field, "");
    }
    for why in names::dns_label(name) {
        errors.invalid(field.as_str(), name, why);
    }
    if !known.insert(name) {
        errors.duplicate(field, name);
    }
}

/// A text field; empty when absent.
pub(super) fn text<'a>(object: &'a Map<String, Value>, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The objects of a list; a `null` among them is an object without fields.
pub(super) fn list<'a>(
    object: &'a Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> {
    static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    let items = object
        .get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    items
        .iter()
        .map(|item| item.as_object().unwrap_or(&NOTHING))
}
