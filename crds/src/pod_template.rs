//! A pod template that loses nothing: kept as the JSON that the user wrote, with typed views on the few parts that the
//! controller reads or adds to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::pointer::{at, split};

/// A `PodTemplateSpec`, lossless: fields that this build does not know stay as they are.
///
/// Copies share the fields until one of them is changed: a decision copies templates often and changes them seldom.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PodTemplate(Arc<Map<String, Value>>);

impl Serialize for PodTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PodTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::new)
    }
}

impl JsonSchema for PodTemplate {
    fn schema_name() -> Cow<'static, str> {
        "PodTemplateSpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
    }
}

impl PodTemplate {
    /// A template with these fields.
    #[must_use]
    pub fn new(fields: Map<String, Value>) -> Self {
        Self(Arc::new(fields))
    }

    /// Its fields: `metadata` and `spec`.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Its fields, to be changed.
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        Arc::make_mut(&mut self.0)
    }

    /// The value at a JSON pointer such as `/spec/containers`, without escapes.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        let (first, rest) = split(pointer)?;
        at(self.0.get(first)?, rest)
    }

    /// `metadata.labels`; labels whose value is not a string are left out.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.string_map("labels")
    }

    /// `metadata.annotations`; annotations whose value is not a string are left out.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        self.string_map("annotations")
    }

    fn string_map(&self, key: &str) -> BTreeMap<String, String> {
        let metadata = self.0.get("metadata");
        metadata
            .and_then(|metadata| metadata.get(key)?.as_object())
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    /// Sets one label of the template.
    pub fn set_label(&mut self, key: &str, value: &str) {
        self.set_entry("labels", key, value);
    }

    /// Sets one annotation of the template.
    pub fn set_annotation(&mut self, key: &str, value: &str) {
        self.set_entry("annotations", key, value);
    }

    fn set_entry(&mut self, map: &str, key: &str, value: &str) {
        let metadata = self
            .fields_mut()
            .entry("metadata")
            .or_insert_with(|| Value::Object(Map::new()));
        if !metadata.is_object() {
            *metadata = Value::Object(Map::new());
        }
        if let Some(metadata) = metadata.as_object_mut() {
            let entries = metadata
                .entry(map)
                .or_insert_with(|| Value::Object(Map::new()));
            if !entries.is_object() {
                *entries = Value::Object(Map::new());
            }
            if let Some(entries) = entries.as_object_mut() {
                entries.insert(key.to_owned(), Value::String(value.to_owned()));
            }
        }
    }

    /// Removes one label of the template, and the `labels` map with its last entry.
    pub fn remove_label(&mut self, key: &str) {
        self.remove_entry("labels", key);
    }

    /// Removes one annotation of the template, and the `annotations` map with its last entry.
    pub fn remove_annotation(&mut self, key: &str) {
        self.remove_entry("annotations", key);
    }

    fn remove_entry(&mut self, map: &str, key: &str) {
        let metadata = self.0.get("metadata");
        if metadata.and_then(|it| it.get(map)?.get(key)).is_none() {
            return;
        }
        let Some(metadata) = self
            .fields_mut()
            .get_mut("metadata")
            .and_then(Value::as_object_mut)
        else {
            return;
        };
        if let Some(entries) = metadata.get_mut(map).and_then(Value::as_object_mut) {
            entries.remove(key);
            if entries.is_empty() {
                metadata.remove(map);
            }
        }
    }

    /// `(container name, image)` of the containers, init containers excluded, in the order of the template.
    #[must_use]
    pub fn images(&self) -> Vec<(String, String)> {
        self.pointer("/spec/containers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|container| {
                let text = |key| Some(container.get(key)?.as_str()?.to_owned());
                Some((text("name")?, text("image")?))
            })
            .collect()
    }
}
