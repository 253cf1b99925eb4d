//! Numbers of pods, and what the scale subresource reads, in the status.

use sluice_crds::LabelSelector;
use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;

use crate::blue_green;
use crate::seen::Seen;
use crate::world::ReplicaSet;

/// Writes the observed numbers.
pub(crate) fn update(seen: &Seen<'_>, status: &mut RolloutStatus) {
    let sum =
        |number: fn(&ReplicaSet) -> i32| seen.sets.all().map(number).fold(0, i32::saturating_add);
    let current = sum(|set| set.current);
    status.replicas = Some(current);
    status.hpa_replicas = Some(current);
    status.updated_replicas = Some(seen.sets.new.map_or(0, |set| set.current));
    status.ready_replicas = Some(sum(|set| set.ready));
    status.available_replicas = Some(sum(|set| set.available));
    blue_green::observe(seen, status);
    status.selector = seen.world.rollout.spec.selector.as_ref().map(selector_text);
    if let Some(active) = blue_green::active(seen) {
        // Autoscalers and people look at what serves.
        status.hpa_replicas = Some(active.current);
        status.ready_replicas = Some(active.ready);
        status.available_replicas = Some(active.available);
        if let (Some(selector), Some(hash)) = (&mut status.selector, active.hash()) {
            let separator = if selector.is_empty() { "" } else { "," };
            *selector = format!("{selector}{separator}{}={hash}", names::POD_TEMPLATE_HASH);
        }
    }
    status.observed_generation = seen
        .world
        .rollout
        .metadata
        .generation
        .map(|number| number.to_string());
}

/// A selector in the form of query parameters: `app=web,tier in (a,b),!legacy`.
fn selector_text(selector: &LabelSelector) -> String {
    let equal = selector.match_labels.iter().flatten();
    let mut parts: Vec<(String, String)> = equal
        .map(|(key, value)| (key.clone(), format!("{key}={value}")))
        .collect();
    for expression in selector.match_expressions.iter().flatten() {
        let key = &expression.key;
        let mut values = expression.values.clone().unwrap_or_default();
        values.sort();
        let values = values.join(",");
        let part = match expression.operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.clone(),
        };
        parts.push((key.clone(), part));
    }
    parts.sort();
    parts
        .into_iter()
        .map(|(_, part)| part)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_written_as_a_query() {
        let selector = serde_json::json!({
            "matchLabels": { "app": "web" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["b", "a"] },
                { "key": "env", "operator": "NotIn", "values": ["test"] },
                { "key": "legacy", "operator": "DoesNotExist" },
                { "key": "zone", "operator": "Exists" }
            ]
        });
        let selector: LabelSelector = serde_json::from_value(selector).unwrap();
        assert_eq!(
            selector_text(&selector),
            "app=web,env notin (test),!legacy,tier in (a,b),zone"
        );
    }
}
