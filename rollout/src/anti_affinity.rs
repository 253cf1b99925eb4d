//! `antiAffinity`: the pods of a new revision keep off the nodes of the stable one, so that an autoscaler of nodes does
//! not take a node away under both.
//!
//! One term is added to the template of the new set, after those that people wrote; it is no part of the hash. It goes
//! when the revision is stable, and names another revision when another one is.

use serde_json::{Value, json};
use sluice_crds::merge_patch::merge_diff;
use sluice_crds::names;
use sluice_crds::pod_template::PodTemplate;
use sluice_crds::pointer::at;
use sluice_crds::rollout::AntiAffinity;

use crate::draft::Draft;
use crate::seen::Seen;
use crate::world::ReplicaSet;

const HOST: &str = "kubernetes.io/hostname";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn asked<'a>(seen: &Seen<'a>) -> Option<&'a AntiAffinity> {
    match seen.blue_green {
        Some(strategy) => strategy.anti_affinity.as_ref(),
        None => seen.canary.anti_affinity.as_ref(),
    }
}

/// The list that gets a term, and the term; `None` while there is nobody to keep off from.
fn term(seen: &Seen<'_>) -> Option<(&'static str, Value)> {
    let asked = asked(seen)?;
    if seen.is_stable() {
        return None;
    }
    let stable = seen.sets.stable?.hash()?;
    let term = json!({
        "labelSelector": { "matchExpressions": [
            { "key": names::POD_TEMPLATE_HASH, "operator": "In", "values": [stable] }
        ] },
        "namespaces": [seen.world.rollout.metadata.namespace.as_deref().unwrap_or_default()],
        "topologyKey": HOST
    });
    match &asked.preferred_during_scheduling_ignored_during_execution {
        Some(preferred) => Some((
            PREFERRED,
            json!({ "weight": preferred.weight, "podAffinityTerm": term }),
        )),
        None => Some((REQUIRED, term)),
    }
}

/// Adds the term to a template.
pub(crate) fn inject(seen: &Seen<'_>, template: &mut PodTemplate) {
    let Some((list, term)) = term(seen) else {
        return;
    };
    let spec = template
        .fields_mut()
        .entry("spec")
        .or_insert_with(|| json!({}))
        .as_object_mut();
    let Some(spec) = spec else { return };
    let mut at = spec.entry("affinity").or_insert(Value::Null);
    for key in ["podAntiAffinity", list] {
        if at.is_null() {
            *at = json!({});
        }
        let Some(object) = at.as_object_mut() else {
            return;
        };
        at = object.entry(key).or_insert(Value::Null);
    }
    match at {
        Value::Array(terms) => terms.push(term),
        _ => *at = json!([term]),
    }
}

/// Keeps the term of the new set as it should be.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft) {
    let Some(new) = seen.sets.new else { return };
    if asked(seen).is_none() && !has_injected(&new.template) {
        return;
    }
    let mut wanted = stripped(&new.template);
    inject(seen, &mut wanted);
    let affinity = |template: &PodTemplate| {
        let spec = template.fields().get("spec");
        json!({ "spec": { "affinity": spec.and_then(|spec| spec.get("affinity")) } })
    };
    if let Some(patch) = merge_diff(&affinity(&new.template), &affinity(&wanted)) {
        draft.set(new).merge_template(patch);
    }
}

/// Whether a template has an injected term.
fn has_injected(template: &PodTemplate) -> bool {
    let anti = template.pointer("/spec/affinity/podAntiAffinity");
    let terms = |list| anti.and_then(|anti| anti.get(list)?.as_array());
    let mut all = [REQUIRED, PREFERRED]
        .into_iter()
        .filter_map(terms)
        .flatten();
    all.any(is_injected)
}

/// A template without injected terms, and without what is empty for that reason.
pub(crate) fn stripped(template: &PodTemplate) -> PodTemplate {
    let mut template = template.clone();
    if !has_injected(&template) {
        return template;
    }
    let Some(spec) = template
        .fields_mut()
        .get_mut("spec")
        .and_then(Value::as_object_mut)
    else {
        return template;
    };
    if let Some(anti) = spec
        .get_mut("affinity")
        .and_then(|affinity| affinity.get_mut("podAntiAffinity"))
        .and_then(Value::as_object_mut)
    {
        for list in [REQUIRED, PREFERRED] {
            if let Some(terms) = anti.get_mut(list).and_then(Value::as_array_mut) {
                let before = terms.len();
                terms.retain(|term| !is_injected(term));
                if terms.len() < before && terms.is_empty() {
                    anti.remove(list);
                }
            }
        }
    }
    if let Some(affinity) = spec.get_mut("affinity").and_then(Value::as_object_mut)
        && affinity
            .get("podAntiAffinity")
            .is_some_and(|anti| anti == &json!({}))
    {
        affinity.remove("podAntiAffinity");
    }
    if spec.get("affinity") == Some(&json!({})) {
        spec.remove("affinity");
    }
    template
}

/// Whether a term keeps off one revision of a Rollout, which no person writes.
fn is_injected(term: &Value) -> bool {
    // Those that are only preferred have a weight around them.
    let term = term.get("podAffinityTerm").unwrap_or(term);
    let first = at(term, "/labelSelector/matchExpressions/0/key");
    first.and_then(Value::as_str) == Some(names::POD_TEMPLATE_HASH)
        && term.get("topologyKey").and_then(Value::as_str) == Some(HOST)
}

/// The template of a set as the Rollout's template is: without anything that was injected.
pub(crate) fn without_injections(set: &ReplicaSet) -> PodTemplate {
    stripped(&crate::metadata::stripped(set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_injected_is_taken_out() {
        let own =
            json!({ "topologyKey": HOST, "labelSelector": { "matchLabels": { "app": "web" } } });
        let injected = json!({
            "topologyKey": HOST,
            "labelSelector": { "matchExpressions": [
                { "key": names::POD_TEMPLATE_HASH, "operator": "In", "values": ["x"] }
            ] }
        });
        let template = |terms: Value| -> PodTemplate {
            serde_json::from_value(json!({ "spec": { "affinity": { "podAntiAffinity": {
                REQUIRED: terms
            } } } }))
            .unwrap()
        };
        let both = template(json!([own, injected]));
        assert_eq!(stripped(&both), template(json!([own])));
        let bare = stripped(&template(json!([injected])));
        assert_eq!(json!(bare), json!({ "spec": {} }));
        let empty: PodTemplate =
            serde_json::from_value(json!({ "spec": { "affinity": {} } })).unwrap();
        for written in [empty, template(json!([])), template(json!([own]))] {
            assert_eq!(stripped(&written), written);
        }
    }
}
