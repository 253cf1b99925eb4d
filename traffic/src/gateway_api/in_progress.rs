//! The mark on a route while a canary has traffic there: a label, which GitOps tools are told to look for, and an
//! annotation that lists the Rollouts at work.
//!
//! Several Rollouts may share a route. Each adds and removes only itself; the label goes with the last one.

use serde_json::Value;
use sluice_crds::names::{GATEWAY_ACTIVE_ROLLOUTS, GATEWAY_IN_PROGRESS};
use sluice_crds::rollout::Rollout;

use crate::edit::Operations;
use crate::metadata::{pointer, put};
use crate::object::at;
use crate::spec::namespace;

/// The keys and the value of the mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Key of the label.
    pub(crate) label: String,
    /// Its value.
    pub(crate) value: String,
    /// Key of the annotation.
    pub(crate) annotation: String,
}

impl Default for Mark {
    fn default() -> Self {
        Self {
            label: GATEWAY_IN_PROGRESS.to_owned(),
            value: "in-progress".to_owned(),
            annotation: GATEWAY_ACTIVE_ROLLOUTS.to_owned(),
        }
    }
}

impl Mark {
    /// Adds the operations that put the Rollout's mark on the route, or take it off. Returns the change in words.
    pub(crate) fn set(
        &self,
        operations: &mut Operations,
        route: &Value,
        rollout: &Rollout,
        active: bool,
    ) -> Option<String> {
        let me = format!(
            "{}/{}",
            namespace(rollout),
            rollout.metadata.name.as_deref().unwrap_or_default()
        );
        let label = at(route, &["metadata", "labels", &self.label]);
        let annotation = at(route, &["metadata", "annotations", &self.annotation]);
        let listed: Vec<&str> = annotation
            .and_then(Value::as_str)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect();
        let mut wanted: Vec<&str> = listed.iter().copied().filter(|name| *name != me).collect();
        if active {
            if listed.contains(&me.as_str()) {
                wanted.clone_from(&listed);
            } else {
                wanted.push(&me);
            }
        }
        let mut changed = false;
        if wanted.is_empty() {
            if let Some(annotation) = annotation {
                operations.remove(&pointer("annotations", &self.annotation), annotation);
                changed = true;
            }
            if let Some(label) = label.filter(|label| label.as_str() == Some(&self.value)) {
                operations.remove(&pointer("labels", &self.label), label);
                changed = true;
            }
            return changed.then(|| format!("label {} removed", self.label));
        }
        if wanted != listed {
            changed |= put(
                operations,
                route,
                "annotations",
                &self.annotation,
                &wanted.join(","),
            );
        }
        if active && label.and_then(Value::as_str) != Some(self.value.as_str()) {
            changed |= put(operations, route, "labels", &self.label, &self.value);
        }
        changed.then(|| {
            if active {
                format!("label {}={}", self.label, self.value)
            } else {
                format!("label {} left to {}", self.label, wanted.join(", "))
            }
        })
    }
}
