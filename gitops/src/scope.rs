//! Which kinds have a namespace.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::key::{GroupKind, text};

/// The kinds that the cluster serves, each with whether its objects are in a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    kinds: BTreeMap<GroupKind, bool>,
}

impl Scope {
    /// From pairs of a kind and whether its objects are in a namespace.
    #[must_use]
    pub fn new(kinds: impl IntoIterator<Item = (GroupKind, bool)>) -> Self {
        Self {
            kinds: kinds.into_iter().collect(),
        }
    }

    /// Whether objects of the kind are in a namespace; `None` for a kind that is not served.
    #[must_use]
    pub fn namespaced(&self, kind: &GroupKind) -> Option<bool> {
        self.kinds.get(kind).copied()
    }

    /// Adds the kinds that CustomResourceDefinitions among the objects will bring.
    #[must_use]
    pub fn with_definitions_in(mut self, objects: &[Value]) -> Self {
        for object in objects {
            if let Some((kind, namespaced)) = defined_kind(object) {
                self.kinds.entry(kind).or_insert(namespaced);
            }
        }
        self
    }
}

/// The kind that a CustomResourceDefinition brings, and whether its objects are in a namespace.
#[must_use]
pub fn defined_kind(object: &Value) -> Option<(GroupKind, bool)> {
    if text(object, "/kind") != "CustomResourceDefinition" {
        return None;
    }
    let kind = GroupKind::new(
        text(object, "/spec/group"),
        text(object, "/spec/names/kind"),
    );
    Some((kind, text(object, "/spec/scope") != "Cluster"))
}
