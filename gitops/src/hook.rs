//! Hooks: objects that run at a moment of the sync instead of being part of the application.

use std::fmt;

use serde_json::Value;
use sluice_crds::names;

use crate::key::annotation;

/// A moment of the sync. The order is that in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before anything is applied.
    PreSync,
    /// Together with the objects.
    Sync,
    /// When everything is healthy.
    PostSync,
    /// When the sync has failed.
    SyncFail,
}

impl Phase {
    /// Name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "PreSync",
            Self::Sync => "Sync",
            Self::PostSync => "PostSync",
            Self::SyncFail => "SyncFail",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When a hook is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeletePolicy {
    /// After it succeeded.
    HookSucceeded,
    /// After it failed.
    HookFailed,
    /// Before it is made the next time.
    BeforeHookCreation,
}

/// What makes an object a hook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hook {
    /// Moments at which it runs, in order. Empty for hooks that are never applied (tests, rollback hooks).
    pub phases: Vec<Phase>,
    /// When it is deleted.
    pub delete_policies: Vec<DeletePolicy>,
    /// Whether it is a hook of the Application's deletion.
    pub on_delete: bool,
}

/// What the annotations of an object say about hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookKind {
    /// It is a plain object.
    None,
    /// It is a hook.
    Hook(Hook),
    /// It is never applied: `Skip`, or a hook type that does not exist.
    Skip,
}

const HELM_HOOK: &str = "helm.sh/hook";
const HELM_DELETE_POLICY: &str = "helm.sh/hook-delete-policy";

/// Reads the annotations of an object: Argo's own, else Helm's.
#[must_use]
pub fn of(object: &Value) -> HookKind {
    if let Some(types) = annotation(object, names::HOOK).filter(|text| !text.trim().is_empty()) {
        return argo(object, types);
    }
    match annotation(object, HELM_HOOK) {
        Some(types) => helm(object, types),
        None => HookKind::None,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

fn argo(object: &Value, types: &str) -> HookKind {
    let mut hook = Hook::default();
    let mut known = false;
    for word in words(types) {
        known = true;
        match word {
            "PreSync" => hook.phases.push(Phase::PreSync),
            "Sync" => hook.phases.push(Phase::Sync),
            "PostSync" => hook.phases.push(Phase::PostSync),
            "SyncFail" => hook.phases.push(Phase::SyncFail),
            "PreDelete" | "PostDelete" => hook.on_delete = true,
            "Skip" => return HookKind::Skip,
            _ => known = false,
        }
        if !known {
            return HookKind::Skip;
        }
    }
    if !known {
        return HookKind::None;
    }
    finish(&mut hook, object)
}

fn helm(object: &Value, types: &str) -> HookKind {
    let mut hook = Hook::default();
    for word in words(types) {
        match word {
            "crd-install" => return HookKind::None,
            "pre-install" | "pre-upgrade" => hook.phases.push(Phase::PreSync),
            "post-install" | "post-upgrade" => hook.phases.push(Phase::PostSync),
            "pre-delete" | "post-delete" => hook.on_delete = true,
            // Rollback and test hooks, and types to come, have no moment here.
            _ => {}
        }
    }
    finish(&mut hook, object)
}

fn finish(hook: &mut Hook, object: &Value) -> HookKind {
    hook.phases.sort_unstable();
    hook.phases.dedup();
    hook.delete_policies = delete_policies(object);
    HookKind::Hook(std::mem::take(hook))
}

fn delete_policies(object: &Value) -> Vec<DeletePolicy> {
    let argo = annotation(object, names::HOOK_DELETE_POLICY).unwrap_or("");
    let helm = annotation(object, HELM_DELETE_POLICY).unwrap_or("");
    let mut policies: Vec<_> = words(argo)
        .filter_map(|word| match word {
            "HookSucceeded" => Some(DeletePolicy::HookSucceeded),
            "HookFailed" => Some(DeletePolicy::HookFailed),
            "BeforeHookCreation" => Some(DeletePolicy::BeforeHookCreation),
            _ => None,
        })
        .chain(words(helm).filter_map(|word| match word {
            "hook-succeeded" => Some(DeletePolicy::HookSucceeded),
            "hook-failed" => Some(DeletePolicy::HookFailed),
            "before-hook-creation" => Some(DeletePolicy::BeforeHookCreation),
            _ => None,
        }))
        .collect();
    policies.sort_unstable();
    policies.dedup();
    if policies.is_empty() {
        policies.push(DeletePolicy::BeforeHookCreation);
    }
    policies
}

/// The wave of an object: the annotation, else Helm's hook weight, else 0. What is not a number counts as 0.
#[must_use]
pub fn wave(object: &Value) -> i64 {
    annotation(object, names::SYNC_WAVE)
        .or_else(|| annotation(object, HELM_HOOK).and(annotation(object, "helm.sh/hook-weight")))
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(annotations: Value) -> Value {
        json!({"metadata": {"annotations": annotations}})
    }

    #[test]
    fn types_of_hooks_are_read_from_argo_and_helm_annotations() {
        use Phase::{PostSync, PreSync, SyncFail};
        for (annotations, expected) in [
            (json!({}), None),
            (json!({names::HOOK: ""}), None),
            (json!({names::HOOK: "PreSync"}), Some(vec![PreSync])),
            (
                json!({names::HOOK: "SyncFail, PreSync"}),
                Some(vec![PreSync, SyncFail]),
            ),
            (json!({names::HOOK: "PostDelete"}), Some(vec![])),
            (
                json!({HELM_HOOK: "pre-install,pre-upgrade"}),
                Some(vec![PreSync]),
            ),
            (json!({HELM_HOOK: "post-upgrade"}), Some(vec![PostSync])),
            (json!({HELM_HOOK: "test"}), Some(vec![])),
            (json!({HELM_HOOK: "crd-install"}), None),
            (
                json!({names::HOOK: "PostSync", HELM_HOOK: "pre-install"}),
                Some(vec![PostSync]),
            ),
        ] {
            let phases = match of(&object(annotations.clone())) {
                HookKind::Hook(hook) => Some(hook.phases),
                _ => None,
            };
            assert_eq!(phases, expected, "{annotations}");
        }
    }

    #[test]
    fn an_unknown_type_and_skip_are_never_applied() {
        assert_eq!(of(&object(json!({names::HOOK: "Skip"}))), HookKind::Skip);
        assert_eq!(of(&object(json!({names::HOOK: "PreSink"}))), HookKind::Skip);
    }

    #[test]
    fn the_default_is_to_delete_before_creation() {
        let HookKind::Hook(hook) = of(&object(json!({names::HOOK: "Sync"}))) else {
            panic!()
        };
        assert_eq!(hook.delete_policies, [DeletePolicy::BeforeHookCreation]);
        let HookKind::Hook(hook) = of(&object(
            json!({HELM_HOOK: "post-install", HELM_DELETE_POLICY: "hook-succeeded,hook-failed"}),
        )) else {
            panic!()
        };
        assert_eq!(
            hook.delete_policies,
            [DeletePolicy::HookSucceeded, DeletePolicy::HookFailed]
        );
    }

    #[test]
    fn waves_come_from_the_annotation_or_the_hook_weight() {
        for (annotations, expected) in [
            (json!({}), 0),
            (json!({names::SYNC_WAVE: "-5"}), -5),
            (json!({names::SYNC_WAVE: "many"}), 0),
            (json!({"helm.sh/hook-weight": "3"}), 0),
            (
                json!({HELM_HOOK: "pre-install", "helm.sh/hook-weight": "3"}),
                3,
            ),
            (
                json!({HELM_HOOK: "pre-install", "helm.sh/hook-weight": "3", names::SYNC_WAVE: "1"}),
                1,
            ),
        ] {
            assert_eq!(
                wave(&object(annotations.clone())),
                expected,
                "{annotations}"
            );
        }
    }
}
