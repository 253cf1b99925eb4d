//! From rendered manifests to targets: the objects that should be there.
//!
//! Input: what a source rendered, the Application's place and tracking name, and which kinds have a namespace.
//! Output: targets with their keys, waves, hooks and tracking stamps, and what people should be told.
//!
//! A manifest that is no Kubernetes object is an error for the whole rendering: to leave it out would mean to delete
//! the object that it was meant to be.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_crds::application::Application;
use sluice_crds::names;

use crate::digest;
use crate::glob;
use crate::hook::{self, Hook, HookKind};
use crate::key::{GroupKind, Key, api_version, set_annotation, text};
use crate::options::SyncOptions;
use crate::scope::Scope;
use crate::sync_plan::task;
use crate::tracking;

/// Where an Application's objects go and how they are marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Name in tracking annotations, see [`tracking::app_name`].
    pub app: String,
    /// Namespace of objects that name none.
    pub namespace: String,
}

/// An object that should be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Which object. The name of a hook with `generateName` is empty until a sync gives it one.
    pub key: Key,
    /// `apiVersion` as written.
    pub api_version: String,
    /// Its wave.
    pub wave: i64,
    /// What makes it a hook; `None` for plain objects.
    pub hook: Option<Hook>,
    /// The object, with its namespace and its tracking stamp.
    pub object: Value,
    /// Whether it may only be applied to the version of the live object that was looked at: it holds values that
    /// somebody else (a Rollout) changes, copied from there.
    pub fenced: bool,
}

/// All objects that one rendering wants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Targets {
    /// Plain objects and hooks, by key; hooks without a name come in the order of the rendering.
    pub objects: Vec<Target>,
    /// Digest of the rendering.
    pub digest: String,
    /// `(condition type, message)` of what people should be told.
    pub warnings: Vec<(&'static str, String)>,
}

impl Targets {
    /// The plain object with this key.
    #[must_use]
    pub fn plain(&self, key: &Key) -> Option<&Target> {
        self.objects
            .iter()
            .find(|target| target.hook.is_none() && target.key == *key)
    }
}

/// Manifests that are no Kubernetes objects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ManifestError(pub Vec<String>);

/// Kinds that are never applied, since the cluster makes them by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// Glob of the group.
    pub group: &'static str,
    /// Glob of the kind.
    pub kind: &'static str,
}

/// The exclusions that upstream ships with.
pub const EXCLUSIONS: [Exclusion; 13] = [
    Exclusion {
        group: "",
        kind: "Endpoints",
    },
    Exclusion {
        group: "",
        kind: "Event",
    },
    Exclusion {
        group: "events.k8s.io",
        kind: "*",
    },
    Exclusion {
        group: "metrics.k8s.io",
        kind: "*",
    },
    Exclusion {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
    },
    Exclusion {
        group: "coordination.k8s.io",
        kind: "Lease",
    },
    Exclusion {
        group: "authentication.k8s.io",
        kind: "*Review",
    },
    Exclusion {
        group: "authorization.k8s.io",
        kind: "*Review",
    },
    Exclusion {
        group: "certificates.k8s.io",
        kind: "CertificateSigningRequest",
    },
    Exclusion {
        group: "cert-manager.io",
        kind: "CertificateRequest",
    },
    Exclusion {
        group: "cilium.io",
        kind: "Cilium{Identity,Endpoint,EndpointSlice}",
    },
    Exclusion {
        group: "kyverno.io",
        kind: "{*Report,UpdateRequest}",
    },
    Exclusion {
        group: "wgpolicyk8s.io",
        kind: "*Report",
    },
];

fn is_excluded(kind: &GroupKind) -> bool {
    EXCLUSIONS.iter().any(|rule| {
        glob::matches(rule.group, &kind.group, None) && glob::matches(rule.kind, &kind.kind, None)
    })
}

/// Makes targets of rendered manifests.
///
/// # Errors
/// When a manifest is no object of the Kubernetes API; each is named by its place in the rendering.
pub fn targets(
    rendered: &[Value],
    placement: &Placement,
    scope: &Scope,
) -> Result<Targets, ManifestError> {
    let objects = flatten(rendered);
    let problems: Vec<String> = objects
        .iter()
        .enumerate()
        .filter_map(|(index, object)| {
            problem(object).map(|problem| format!("{}: {problem}", describe(index, object)))
        })
        .collect();
    if !problems.is_empty() {
        return Err(ManifestError(problems));
    }
    let digest = digest::rendering(objects.iter());
    let scope = scope.clone().with_definitions_in(&objects);

    let mut named: BTreeMap<(bool, Key), (Target, u32)> = BTreeMap::new();
    let mut unnamed = Vec::new();
    let mut warnings = Vec::new();
    for object in objects {
        let hook = match hook::of(&object) {
            HookKind::Skip => continue,
            HookKind::Hook(hook) => Some(hook),
            HookKind::None => None,
        };
        let target = place(object, hook, placement, &scope);
        if is_excluded(&target.key.kind) {
            warnings.push((
                "ExcludedResourceWarning",
                format!(
                    "Resource {} is excluded: the cluster makes objects of this kind itself",
                    target.key
                ),
            ));
            continue;
        }
        if target.key.name.is_empty() {
            unnamed.push(target);
            continue;
        }
        let entry = named
            .entry((target.hook.is_some(), target.key.clone()))
            .or_insert_with(|| (target.clone(), 0));
        // The last one wins.
        entry.0 = target;
        entry.1 += 1;
    }
    for (target, count) in named.values() {
        if *count > 1 {
            warnings.push((
                "RepeatedResourceWarning",
                format!(
                    "Resource {} appeared {count} times among application resources.",
                    target.key
                ),
            ));
        }
    }
    let mut objects: Vec<Target> = named.into_values().map(|(target, _)| target).collect();
    objects.extend(unnamed);
    Ok(Targets {
        objects,
        digest,
        warnings,
    })
}

/// Takes `List` objects apart.
fn flatten(rendered: &[Value]) -> Vec<Value> {
    let mut flat = Vec::with_capacity(rendered.len());
    for object in rendered {
        match object.get("items").and_then(Value::as_array) {
            Some(items) if text(object, "/kind").ends_with("List") => flat.extend(flatten(items)),
            _ => flat.push(object.clone()),
        }
    }
    flat
}

fn describe(index: usize, object: &Value) -> String {
    let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
    match (kind, name) {
        ("", "") => format!("manifest {}", index + 1),
        _ => format!("manifest {} ({kind} {name})", index + 1),
    }
}

/// What keeps a manifest from being an object.
fn problem(object: &Value) -> Option<String> {
    if !object.is_object() {
        return Some("it is not a mapping".to_owned());
    }
    for field in ["apiVersion", "kind"] {
        match object.get(field) {
            Some(Value::String(text)) if !text.is_empty() => {}
            None => return Some(format!("{field} is missing")),
            Some(_) => return Some(format!("{field} must be a non-empty string")),
        }
    }
    if !object.get("metadata").is_some_and(Value::is_object) {
        return Some("metadata is missing".to_owned());
    }
    for field in ["name", "generateName", "namespace"] {
        match object.pointer(&format!("/metadata/{field}")) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(_) => return Some(format!("metadata.{field} must be a string")),
        }
    }
    for field in ["labels", "annotations"] {
        let map = object.pointer(&format!("/metadata/{field}"));
        match map {
            None | Some(Value::Null) => {}
            Some(Value::Object(entries)) => {
                if let Some((key, _)) = entries.iter().find(|(_, value)| !value.is_string()) {
                    return Some(format!("metadata.{field}[{key:?}] must be a string"));
                }
            }
            Some(_) => return Some(format!("metadata.{field} must be a mapping")),
        }
    }
    if text(object, "/metadata/name").is_empty() {
        let generated = !text(object, "/metadata/generateName").is_empty();
        let is_hook = !matches!(hook::of(object), HookKind::None);
        if !(generated && is_hook) {
            return Some("metadata.name is missing".to_owned());
        }
    }
    None
}

fn place(mut object: Value, hook: Option<Hook>, placement: &Placement, scope: &Scope) -> Target {
    let kind = GroupKind::new(api_version(&object).0, text(&object, "/kind"));
    // A kind that is not served counts as namespaced: most are.
    let namespaced = scope.namespaced(&kind).unwrap_or(true);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        if !namespaced {
            metadata.remove("namespace");
        } else if metadata
            .get("namespace")
            .and_then(Value::as_str)
            .unwrap_or("")
            .is_empty()
        {
            if placement.namespace.is_empty() {
                metadata.remove("namespace");
            } else {
                metadata.insert(
                    "namespace".to_owned(),
                    Value::String(placement.namespace.clone()),
                );
            }
        }
    }
    if let Some(fields) = object.as_object_mut() {
        // The cluster writes it; applying it would claim to know it.
        fields.remove("status");
    }
    let key = Key::of(&object);
    if !key.name.is_empty() {
        stamp(&mut object, &key, placement);
    }
    Target {
        api_version: text(&object, "/apiVersion").to_owned(),
        wave: hook::wave(&object),
        key,
        hook,
        object,
        fenced: false,
    }
}

/// Adds the destination namespace to the targets when `CreateNamespace=true` comes with labels or annotations for it
/// (`managedNamespaceMetadata`): then it is compared like everything else. It is not stamped, so it is never pruned, and
/// it is no part of the rendering's digest.
pub fn add_namespace(targets: &mut Targets, app: &Application) {
    let Some(policy) = &app.spec.sync_policy else {
        return;
    };
    let options = policy.sync_options.as_deref().unwrap_or(&[]);
    let (options, _) = SyncOptions::parse(options.iter().map(String::as_str));
    let name = app.spec.destination.namespace();
    let Some(metadata) = &policy.managed_namespace_metadata else {
        return;
    };
    if !options.create_namespace || name.is_empty() {
        return;
    }
    let key = Key::new("", "Namespace", "", name);
    if targets.plain(&key).is_some() {
        return;
    }
    targets.objects.push(Target {
        key,
        api_version: "v1".to_owned(),
        wave: 0,
        hook: None,
        object: task::namespace(name, Some(metadata)),
        fenced: false,
    });
}

/// Marks an object as belonging to the Application.
pub fn stamp(object: &mut Value, key: &Key, placement: &Placement) {
    if tracking::is_stamped(key) {
        let id = tracking::id(&placement.app, key, &placement.namespace);
        set_annotation(object, names::TRACKING_ID, &id);
    }
}
