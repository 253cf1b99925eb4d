//! What one server calls things: uids and resourceVersions, in the order in which they were seen. The n-th uid of an
//! object here is the n-th there, and so is the n-th version: that is all that the two need to have in common.
//!
//! It also takes out of objects what only one of the servers says, in [`Names::normal`] and nowhere else.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sluice_crds::pointer::text;

use crate::step::Slot;

#[derive(Debug, Default)]
pub(crate) struct Names {
    uids: BTreeMap<Slot, Vec<String>>,
    versions: BTreeMap<Slot, Vec<String>>,
    /// Stands for a version that no object ever had.
    no_version: &'static str,
}

impl Names {
    pub(crate) fn new(no_version: &'static str) -> Self {
        Self {
            no_version,
            ..Self::default()
        }
    }

    /// Remembers what a read object is called now.
    pub(crate) fn learn(&mut self, slot: &Slot, object: &Value) {
        for (known, pointer) in [
            (&mut self.uids, "/metadata/uid"),
            (&mut self.versions, "/metadata/resourceVersion"),
        ] {
            let known = known.entry(slot.clone()).or_default();
            let name = text(object, pointer);
            if known.last().is_none_or(|last| last != name) {
                known.push(name.to_owned());
            }
        }
    }

    /// The body of a request in this server's words.
    pub(crate) fn render(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.word(text)),
            Value::Array(items) => items.iter().map(|item| self.render(item)).collect(),
            Value::Object(fields) => {
                let field = |(key, value): (&String, &Value)| (key.clone(), self.render(value));
                Value::Object(fields.iter().map(field).collect())
            }
            other => other.clone(),
        }
    }

    fn word(&self, text: &str) -> String {
        let mut words = text.split(' ');
        let (known, none) = match words.next() {
            Some("$uid") => (&self.uids, "nobody"),
            Some("$version") => (&self.versions, self.no_version),
            _ => return text.to_owned(),
        };
        let slot = words.next().unwrap_or_default().split_once('/');
        let slot = slot.map(|(kind, name)| Slot {
            kind: kind.to_owned(),
            name: name.to_owned(),
        });
        let back: usize = words.next().and_then(|it| it.parse().ok()).unwrap_or(0);
        slot.and_then(|slot| known.get(&slot)?.iter().rev().nth(back))
            .map_or_else(|| none.to_owned(), String::clone)
    }

    /// An object in words that both servers share.
    pub(crate) fn normal(&self, slot: &Slot, object: &Value) -> Value {
        let mut object = object.clone();
        let version = nth(
            self.versions.get(slot),
            text(&object, "/metadata/resourceVersion"),
        );
        let uid = self.uid(text(&object, "/metadata/uid"));
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), json!(version));
            metadata.insert("uid".to_owned(), json!(uid));
            // Which manager set a field is asked by nobody but server-side apply, which the simulation does not have.
            metadata.remove("managedFields");
            // 0 where there are no pods; decisions look at the deletionTimestamp.
            metadata.remove("deletionGracePeriodSeconds");
            // Each server has a clock of its own.
            for time in ["creationTimestamp", "deletionTimestamp"] {
                if let Some(time) = metadata.get_mut(time) {
                    *time = json!("a time");
                }
            }
            let owners = metadata.get_mut("ownerReferences");
            for owner in owners.and_then(Value::as_array_mut).into_iter().flatten() {
                owner["uid"] = json!(self.uid(text(owner, "/uid")));
            }
        }
        if slot.kind == "Service" {
            // Addresses are given out by the API server, and no decision looks at them.
            let given = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];
            remove(&mut object, "spec", &given);
        }
        if matches!(slot.kind.as_str(), "Service" | "Ingress" | "Deployment") {
            // Empty objects that are written where there is nothing to say.
            let none = |it: &Value| it.as_object().is_some_and(Map::is_empty);
            if object.pointer("/status/loadBalancer").is_some_and(none) {
                remove(&mut object, "status", &["loadBalancer"]);
            }
            if object.get("status").is_some_and(none)
                && let Some(object) = object.as_object_mut()
            {
                object.remove("status");
            }
        }
        object
    }

    fn uid(&self, uid: &str) -> String {
        let known = self.uids.iter().find_map(|(slot, uids)| {
            let at = uids.iter().position(|it| it == uid)?;
            Some(format!("uid {at} of {slot}"))
        });
        known.unwrap_or_else(|| "a uid".to_owned())
    }
}

fn nth(known: Option<&Vec<String>>, version: &str) -> String {
    let at = known.and_then(|known| known.iter().position(|it| it == version));
    at.map_or_else(|| "a new version".to_owned(), |at| format!("version {at}"))
}

fn remove(object: &mut Value, section: &str, fields: &[&str]) {
    if let Some(section) = object.get_mut(section).and_then(Value::as_object_mut) {
        for field in fields {
            section.remove(*field);
        }
    }
}
