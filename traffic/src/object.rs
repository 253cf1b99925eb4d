//! Names of API objects, and careful reading of objects that other people wrote.
//!
//! Nothing here trusts the shape of an object: every access may find nothing, or something of another type.

use std::fmt;

use serde_json::Value;

/// Which object of the API: enough to watch it, to find it in a store and to write it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// `group/version`, or `v1` for the core group, as in `gateway.networking.k8s.io/v1`.
    pub api_version: String,
    /// Kind, as in `HTTPRoute`.
    pub kind: String,
    /// Plural name in paths of the API, as in `httproutes`.
    pub plural: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// The API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        group_of(&self.api_version)
    }

    /// Whether `object` is the object that this names. The version does not count: it is the same object in all.
    #[must_use]
    pub fn names(&self, object: &Value) -> bool {
        text(object, &["kind"]) == Some(self.kind.as_str())
            && text(object, &["apiVersion"]).map(group_of) == Some(self.group())
            && text(object, &["metadata", "namespace"]) == Some(self.namespace.as_str())
            && text(object, &["metadata", "name"]) == Some(self.name.as_str())
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// A router object that a Rollout names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterObject {
    /// The object.
    pub object: ObjectRef,
    /// Field of the Rollout that names it, as in `spec.strategy.canary.trafficRouting.nginx.stableIngress`.
    pub field: String,
    /// True for an object that [`crate::edits`] makes and [`crate::removal`] deletes (a canary Ingress): it is normal
    /// that it does not exist. False for one that a person provides.
    pub managed: bool,
}

/// A field of a Rollout that cannot be driven, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Path of the field, as in `spec.strategy.canary.trafficRouting.istio`.
    pub field: String,
    /// What is wrong with it and what to do.
    pub message: String,
}

/// The group of an `apiVersion`; empty for the core group.
pub(crate) fn group_of(api_version: &str) -> &str {
    api_version
        .rsplit_once('/')
        .map_or("", |(group, _version)| group)
}

/// The value under a path of keys.
pub(crate) fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, key| value.get(key))
}

/// The text under a path of keys.
pub(crate) fn text<'a>(object: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(object, path)?.as_str()
}

/// The items of the list under a path of keys; none when there is no list.
pub(crate) fn list<'a>(object: &'a Value, path: &[&str]) -> &'a [Value] {
    at(object, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// `metadata.uid`, empty when absent.
pub(crate) fn uid(object: &Value) -> String {
    text(object, &["metadata", "uid"])
        .unwrap_or_default()
        .to_owned()
}

/// `metadata.resourceVersion`, empty when absent.
pub(crate) fn resource_version(object: &Value) -> String {
    text(object, &["metadata", "resourceVersion"])
        .unwrap_or_default()
        .to_owned()
}

/// Whether `metadata.ownerReferences` says that the object with this uid controls it.
pub(crate) fn controlled_by_uid(object: &Value, owner: &str) -> bool {
    !owner.is_empty()
        && list(object, &["metadata", "ownerReferences"])
            .iter()
            .any(|reference| {
                text(reference, &["uid"]) == Some(owner)
                    && at(reference, &["controller"]).and_then(Value::as_bool) == Some(true)
            })
}
