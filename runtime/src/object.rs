//! Objects as the caches keep them: identity in plain fields, everything else as compact JSON.
//!
//! A parsed JSON tree takes several times the memory of its text, and most objects are looked at seldom. So the text
//! is kept ([`crate::text`] makes it small), and parsed (some ten microseconds) when a decision needs the object. Lossless
//! but for what the projection of the cache drops.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_crds::decode::DecodeError;

use crate::text::{Packer, Text};

/// Namespace and name of an object; the namespace is empty for objects of the cluster. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace, or empty.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Key {
    /// Makes a key.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// The controlling owner of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `kind`.
    pub kind: Box<str>,
    /// `name`; the owner lives in the namespace of the object.
    pub name: Box<str>,
    /// `uid`.
    pub uid: Arc<str>,
}

/// One observed object.
#[derive(Clone)]
pub struct Object {
    /// Namespace and name.
    pub key: Key,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Box<str>,
    /// `metadata.generation`, 0 when absent.
    pub generation: i64,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// The owner with `controller: true`.
    pub owner: Option<Owner>,
    text: Text,
}

impl Object {
    /// Takes the identity out of an object and keeps the rest as text.
    ///
    /// # Errors
    /// When `metadata.name`, `metadata.uid` or `metadata.resourceVersion` is missing or not a string.
    pub fn from_value(value: &Value) -> Result<Self, DecodeError> {
        let required = |pointer: &str| {
            value
                .pointer(pointer)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| DecodeError {
                    field: pointer.trim_start_matches('/').replace('/', "."),
                    reason: "expected a string".to_owned(),
                })
        };
        let namespace = value
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let text = serde_json::to_vec(value).map_err(|error| DecodeError {
            field: ".".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            key: Key::new(namespace, required("/metadata/name")?),
            uid: required("/metadata/uid")?.into(),
            resource_version: required("/metadata/resourceVersion")?.into(),
            generation: value
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or(0),
            deleting: value
                .pointer("/metadata/deletionTimestamp")
                .is_some_and(|time| !time.is_null()),
            owner: owner(value),
            text: Text::Plain(text.into_boxed_slice()),
        })
    }

    /// The object as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        // The text was written by this type, so it always parses.
        serde_json::from_slice(&self.text.bytes()).unwrap_or(Value::Null)
    }

    /// The object as a type of the API; the error names the field that does not fit.
    ///
    /// # Errors
    /// When a field has a wrong type or a required field is missing.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        let text = self.text.bytes();
        let mut reader = serde_json::Deserializer::from_slice(&text);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| DecodeError {
            field: error.path().to_string(),
            reason: error.inner().to_string(),
        })
    }

    /// The same object with its text packed.
    pub(crate) fn packed(mut self, packer: &Packer) -> Self {
        self.text = packer.pack(self.text);
        self
    }

    /// Whether this is at least as new as a version of the same object; see [`compare_versions`].
    #[must_use]
    pub fn is_at_least(&self, resource_version: &str) -> bool {
        compare_versions(&self.resource_version, resource_version) != Some(Ordering::Less)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Object({} uid {} at {})",
            self.key, self.uid, self.resource_version
        )
    }
}

fn owner(value: &Value) -> Option<Owner> {
    let owner = value
        .pointer("/metadata/ownerReferences")?
        .as_array()?
        .iter()
        .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
    let text = |key| owner.get(key).and_then(Value::as_str).unwrap_or_default();
    Some(Owner {
        kind: text("kind").into(),
        name: text("name").into(),
        uid: text("uid").into(),
    })
}

/// Orders two resourceVersions of the same kind as Kubernetes defines it since 1.35 (KEP-5504): decimal integers
/// without leading zeros, of any length. `None` when one of them is not such a number (an aggregated API may do so).
#[must_use]
pub fn compare_versions(left: &str, right: &str) -> Option<Ordering> {
    let number = |text: &str| {
        !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    (number(left) && number(right))
        .then(|| left.len().cmp(&right.len()).then_with(|| left.cmp(right)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers_of_any_length() {
        for (left, right, order) in [
            ("9", "10", Some(Ordering::Less)),
            ("10", "10", Some(Ordering::Equal)),
            (
                "123456789012345678901234567890",
                "99",
                Some(Ordering::Greater),
            ),
            ("", "1", None),
            ("01", "1", None),
            ("v5", "5", None),
        ] {
            assert_eq!(compare_versions(left, right), order, "{left} {right}");
        }
    }

    #[test]
    fn an_object_without_identity_is_refused_with_the_field() {
        let error = Object::from_value(
            &json!({"metadata": {"name": "a", "uid": 5, "resourceVersion": "1"}}),
        );
        assert_eq!(error.unwrap_err().field, "metadata.uid");
    }

    #[test]
    fn what_is_kept_is_what_came() {
        let value = json!({
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 3,
                "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "o", "uid": "ou", "controller": true}]},
            "spec": {"unknown": [1, null, {"b": 1.5, "a": "ä"}]}
        });
        let object = Object::from_value(&value).unwrap();
        assert_eq!(object.value(), value);
        assert_eq!(object.key.to_string(), "n/a");
        assert_eq!(object.generation, 3);
        assert_eq!(&*object.owner.unwrap().uid, "ou");
    }

    #[test]
    fn a_wrong_type_is_reported_with_its_path() {
        let object = Object::from_value(&json!({
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "1"},
            "spec": {"replicas": "three"}
        }))
        .unwrap();
        let error = object
            .decode::<sluice_crds::rollout::Rollout>()
            .unwrap_err();
        assert_eq!(error.field, "spec.replicas");
    }
}
