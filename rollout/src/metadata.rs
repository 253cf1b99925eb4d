//! Metadata of roles: `canaryMetadata`, `stableMetadata`, `previewMetadata`, `activeMetadata`.
//!
//! A set has the metadata of its role in its pod template, so that new pods get it, and so do its live pods; no pod is
//! restarted, and no hash changes. What was injected is remembered in an annotation of the set, as JSON, so that it can be
//! taken out again when the role changes.
//!
//! Pods come before the set that they belong to, since the annotation is what tells a crash in between what to remove.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sluice_crds::names;
use sluice_crds::pod_template::PodTemplate;
use sluice_crds::rollout::PodTemplateMetadata;

use crate::draft::{Draft, Slot};
use crate::plan::Effect;
use crate::seen::Seen;
use crate::world::{Pod, ReplicaSet};

/// Pods that one plan changes at most; the next one goes on.
const AT_ONCE: usize = 50;

/// Labels or annotations.
type Entries = BTreeMap<String, String>;
/// Entries to set or, with `None`, to remove.
type Changes = BTreeMap<String, Option<String>>;

/// The metadata of the two roles: the new revision's, and the stable one's.
fn roles<'a>(seen: &Seen<'a>) -> [Option<&'a PodTemplateMetadata>; 2] {
    match seen.blue_green {
        Some(strategy) => [
            strategy.preview_metadata.as_ref(),
            strategy.active_metadata.as_ref(),
        ],
        None => [
            seen.canary.canary_metadata.as_ref(),
            seen.canary.stable_metadata.as_ref(),
        ],
    }
}

/// The metadata that the set of the present template has: the stable one's when there is no other.
fn of_new<'a>(seen: &Seen<'a>) -> Option<&'a PodTemplateMetadata> {
    let [new, stable] = roles(seen);
    if seen.sets.stable.is_none() || seen.is_stable() {
        stable
    } else {
        new
    }
}

/// Puts the metadata of its role into the template and the annotations of a set that is to be made.
pub(crate) fn inject(seen: &Seen<'_>, template: &mut PodTemplate, annotations: &mut Entries) {
    let Some(metadata) = of_new(seen).filter(|metadata| !is_empty(metadata)) else {
        return;
    };
    for (key, value) in metadata.labels.iter().flatten() {
        template.set_label(key, value);
    }
    for (key, value) in metadata.annotations.iter().flatten() {
        template.set_annotation(key, value);
    }
    annotations.insert(names::EPHEMERAL_METADATA.to_owned(), record(metadata));
}

/// The template of a set without what was injected.
pub(crate) fn stripped(set: &ReplicaSet) -> PodTemplate {
    let mut template = set.template.clone();
    let injected = injected(set);
    for key in injected.labels.iter().flatten().map(|(key, _)| key) {
        template.remove_label(key);
    }
    for key in injected.annotations.iter().flatten().map(|(key, _)| key) {
        template.remove_annotation(key);
    }
    template
}

/// Gives every set, and every pod that is seen, the metadata of its role.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft) {
    let nothing = PodTemplateMetadata::default();
    let [_, stable_role] = roles(seen);
    let is = |set: &ReplicaSet, role: Option<&ReplicaSet>| {
        role.is_some_and(|role| role.name == set.name)
    };
    let mut left = AT_ONCE;
    for set in seen.sets.all() {
        let wanted = if is(set, seen.sets.new) {
            of_new(seen)
        } else if is(set, seen.sets.stable) {
            stable_role
        } else {
            None
        };
        let wanted = wanted.unwrap_or(&nothing);
        if !seen.world.pods.is_empty() {
            pods(seen, draft, set, wanted, &mut left);
        }
        if !is_empty(wanted) || set.annotations.contains_key(names::EPHEMERAL_METADATA) {
            template(draft, set, wanted);
        }
    }
}

/// What was injected into a set.
fn injected(set: &ReplicaSet) -> PodTemplateMetadata {
    set.annotations
        .get(names::EPHEMERAL_METADATA)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn is_empty(metadata: &PodTemplateMetadata) -> bool {
    let none = |entries: &Option<Entries>| entries.as_ref().is_none_or(BTreeMap::is_empty);
    none(&metadata.labels) && none(&metadata.annotations)
}

fn record(metadata: &PodTemplateMetadata) -> String {
    serde_json::to_string(metadata).unwrap_or_default()
}

fn template(draft: &mut Draft, set: &ReplicaSet, wanted: &PodTemplateMetadata) {
    let (before, none) = (injected(set), Entries::new());
    let change = |before: &Option<Entries>, wanted: &Option<Entries>, present: &Entries| {
        let gone = before.iter().flatten().map(|(key, _)| key.clone());
        changes(wanted.as_ref().unwrap_or(&none), gone.collect(), present)
    };
    let labels = change(&before.labels, &wanted.labels, &set.template.labels());
    let annotations = change(
        &before.annotations,
        &wanted.annotations,
        &set.template.annotations(),
    );
    let text = (!is_empty(wanted)).then(|| record(wanted));
    let same = labels.is_empty() && annotations.is_empty();
    if same && set.annotations.get(names::EPHEMERAL_METADATA) == text.as_ref() {
        return;
    }
    let mut patch = json!({});
    for (field, changes) in [("labels", labels), ("annotations", annotations)] {
        if let (Some(patch), false) = (patch.as_object_mut(), changes.is_empty()) {
            patch.insert(field.to_owned(), json!(changes));
        }
    }
    let edit = draft.set(set);
    edit.merge_template(json!({ "metadata": patch }));
    edit.with_template
        .insert(names::EPHEMERAL_METADATA.to_owned(), text);
}

/// Entries of `wanted` that `present` lacks, and those of `gone` that it still has.
fn changes(wanted: &Entries, gone: BTreeSet<String>, present: &Entries) -> Changes {
    let missing = wanted
        .iter()
        .filter(|(key, value)| present.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), Some(value.clone())));
    let left = gone
        .into_iter()
        .filter(|key| !wanted.contains_key(key) && present.contains_key(key))
        .map(|key| (key, None));
    missing.chain(left).collect()
}

fn pods(
    seen: &Seen<'_>,
    draft: &mut Draft,
    set: &ReplicaSet,
    wanted: &PodTemplateMetadata,
    left: &mut usize,
) {
    let (before, own) = (injected(set), stripped(set));
    let known = roles(seen);
    let gone = |of: fn(&PodTemplateMetadata) -> &Option<Entries>, own: &Entries| {
        let sources = known.into_iter().flatten().chain([&before]);
        let keys = sources.flat_map(|metadata| of(metadata).iter().flatten());
        let keys = keys.map(|(key, _)| key.clone());
        keys.filter(|key| !own.contains_key(key))
            .collect::<BTreeSet<String>>()
    };
    let labels = gone(|metadata| &metadata.labels, &own.labels());
    let annotations = gone(|metadata| &metadata.annotations, &own.annotations());
    let none = Entries::new();
    let mut mine: Vec<&Pod> = seen
        .world
        .pods
        .iter()
        .filter(|pod| pod.owner.as_deref() == Some(set.uid.as_str()) && !pod.deleting)
        .collect();
    mine.sort_by(|a, b| a.name.cmp(&b.name));
    for pod in mine {
        let labels = changes(
            wanted.labels.as_ref().unwrap_or(&none),
            labels.clone(),
            &pod.labels,
        );
        let annotations = changes(
            wanted.annotations.as_ref().unwrap_or(&none),
            annotations.clone(),
            &pod.annotations,
        );
        if labels.is_empty() && annotations.is_empty() {
            continue;
        }
        if *left == 0 {
            return;
        }
        *left -= 1;
        draft.effect(
            Slot::Pods,
            Effect::PatchPod {
                name: pod.name.clone(),
                uid: pod.uid.clone(),
                labels,
                annotations,
            },
        );
    }
}

/// The value at a field of a role's metadata that a selector needs to stay as it is; for the validation.
pub(crate) fn selected<'a>(
    metadata: &'a PodTemplateMetadata,
    selector: &Entries,
) -> Option<&'a String> {
    let mut keys = metadata.labels.iter().flatten().map(|(key, _)| key);
    keys.find(|key| selector.contains_key(*key) || *key == names::POD_TEMPLATE_HASH)
}

/// A merge patch as it is put together from several.
pub(crate) fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch,
    }
}
