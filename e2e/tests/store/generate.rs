//! Random sequences of requests, from seeds.

use serde_json::{Map, Value, json};
use sluice_simulation::random::Random;

use crate::kinds::{Kind, Kinds};
use crate::step::{Send, Slot, Step};

/// The sequence of a seed: requests to two objects of each of two kinds, so that each is met often.
pub(crate) fn sequence(kinds: &Kinds, seed: u64, length: usize) -> Vec<Step> {
    let mut random = Random::new(seed);
    // Every kind comes first in turn.
    let first = usize::try_from(seed).unwrap_or(0) % kinds.all.len();
    let second = random.index(kinds.all.len());
    let mut slots = Vec::new();
    for kind in [first, second].map(|index| &kinds.all[index]) {
        for name in ["a", "b"] {
            let slot = Slot {
                kind: kind.kind.clone(),
                name: name.to_owned(),
            };
            slots.push((kind, slot, false));
        }
    }
    let mut generator = Generator {
        kinds,
        slots: slots.iter().map(|(_, slot, _)| slot.clone()).collect(),
        random,
    };
    (0..length)
        .map(|_| {
            let at = generator.random.index(slots.len());
            let (kind, on, exists) = &mut slots[at];
            let send = match generator.random.below(100) {
                70.. if !*exists => generator.any(kind, on),
                _ if !*exists => generator.create(kind, on),
                0..8 => generator.create(kind, on),
                8..20 => generator.delete(on),
                20..45 => generator.json(kind, on),
                _ => generator.merge(kind, on),
            };
            // As far as can be known here: an object that was to be made, or to be deleted, may be as it was.
            *exists = match send {
                Send::Create(_) => true,
                Send::Delete(_) => false,
                _ => *exists,
            };
            let on = on.clone();
            Step { on, send }
        })
        .collect()
}

struct Generator<'a> {
    kinds: &'a Kinds,
    slots: Vec<Slot>,
    random: Random,
}

impl Generator<'_> {
    fn any(&mut self, kind: &Kind, on: &Slot) -> Send {
        match self.random.below(3) {
            0 => self.delete(on),
            1 => self.json(kind, on),
            _ => self.merge(kind, on),
        }
    }

    fn create(&mut self, kind: &Kind, on: &Slot) -> Send {
        let mut metadata = json!({ "name": on.name });
        if !self.random.one_in(4) {
            metadata["labels"] = json!({ "one": "a" });
        }
        if self.random.one_in(3) {
            metadata["annotations"] = json!({ "one": "a" });
        }
        if self.random.one_in(8) {
            metadata["annotations"] = json!({});
        }
        if self.random.one_in(3) {
            metadata["ownerReferences"] = json!([self.owner(true)]);
        }
        if self.random.one_in(6) {
            metadata["finalizers"] = json!(["example.com/hold"]);
        }
        // What the server sets itself, and what it does not take.
        if self.random.one_in(10) {
            metadata["uid"] = json!(format!("$uid {on} 0"));
            metadata["generation"] = json!(5);
            metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        if self.random.one_in(30) {
            metadata["resourceVersion"] = json!(format!("$version {on} 0"));
        }
        let mut object =
            json!({ "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata });
        both(&mut object, &kind.object);
        for _ in 0..self.random.below(3) {
            let patches = if self.random.one_in(2) && !kind.statuses.is_empty() {
                &kind.statuses
            } else {
                &kind.merges
            };
            let patch = self.random.pick(patches).cloned().unwrap_or_default();
            // An object that is made has no nulls.
            sluice_simulation::store::merge_patch(&mut object, &patch);
        }
        Send::Create(object)
    }

    fn merge(&mut self, kind: &Kind, on: &Slot) -> Send {
        let mut patch = Value::Object(Map::new());
        let mut fragments = Vec::new();
        if self.random.one_in(3) {
            fragments.extend(self.random.pick(&self.kinds.metadata.merges).cloned());
        }
        if self.random.one_in(12) {
            let owners = match self.random.below(4) {
                0 => json!([self.owner(true), self.owner(true)]),
                1 => json!([self.owner(false), self.owner(true)]),
                _ => json!([self.owner(true)]),
            };
            fragments.push(json!({ "metadata": { "ownerReferences": owners } }));
        }
        if self.random.one_in(2) {
            fragments.extend(self.random.pick(&kind.merges).cloned());
        }
        if self.random.one_in(2) {
            fragments.extend(self.random.pick(&kind.statuses).cloned());
        }
        if self.random.one_in(20) {
            fragments.extend(self.random.pick(&kind.refused).cloned());
        }
        for fragment in &fragments {
            both(&mut patch, fragment);
        }
        let takes_part = |patch: &Value| patch.get("status").is_some();
        let of_status = match kind.subresource {
            // The path does not exist.
            false => self.random.one_in(30),
            true if takes_part(&patch) => !self.random.one_in(4),
            true => self.random.one_in(6),
        };
        self.fence(&mut patch, on);
        if of_status {
            Send::MergeStatus(patch)
        } else {
            Send::Merge(patch)
        }
    }

    fn fence(&mut self, patch: &mut Value, on: &Slot) {
        if self.random.one_in(2) {
            both(patch, &json!({ "metadata": { "uid": self.uid(on) } }));
        }
        if self.random.one_in(2) {
            let version = self.version(on);
            both(
                patch,
                &json!({ "metadata": { "resourceVersion": version } }),
            );
        }
    }

    fn json(&mut self, kind: &Kind, on: &Slot) -> Send {
        let mut operations = Vec::new();
        if self.random.one_in(3) {
            let uid = self.uid(on);
            operations.push(json!({ "op": "test", "path": "/metadata/uid", "value": uid }));
        }
        if self.random.one_in(3) {
            let version = self.version(on);
            let path = "/metadata/resourceVersion";
            operations.push(json!({ "op": "test", "path": path, "value": version }));
        }
        for _ in 0..=self.random.below(2) {
            let of_kind = self.random.one_in(2);
            let list = if of_kind {
                &kind.operations
            } else {
                &self.kinds.metadata.operations
            };
            operations.extend(self.random.pick(list).cloned().unwrap_or_default());
        }
        Send::Json(Value::Array(operations))
    }

    fn delete(&mut self, on: &Slot) -> Send {
        let mut expected = json!({});
        if self.random.one_in(2) {
            expected["uid"] = json!(self.uid(on));
        }
        if self.random.one_in(2) {
            expected["resourceVersion"] = json!(self.version(on));
        }
        Send::Delete(expected)
    }

    /// Mostly the uid that the object has, sometimes the one that it had before it was deleted and made again.
    fn uid(&mut self, on: &Slot) -> String {
        let back = match self.random.below(20) {
            0..16 => 0,
            16..19 => 1,
            _ => 9,
        };
        format!("$uid {on} {back}")
    }

    /// Mostly the version that the object has, sometimes an older one.
    fn version(&mut self, on: &Slot) -> String {
        let back = match self.random.below(20) {
            0..15 => 0,
            15..18 => 1,
            18 => 2,
            _ => 99,
        };
        format!("$version {on} {back}")
    }

    fn owner(&mut self, controller: bool) -> Value {
        let fallback = Slot {
            kind: "Rollout".to_owned(),
            name: "a".to_owned(),
        };
        let of = self.random.pick(&self.slots).unwrap_or(&fallback);
        let found = self.kinds.all.iter().find(|kind| kind.kind == of.kind);
        json!({
            "apiVersion": found.map(|kind| &kind.api_version), "kind": of.kind, "name": of.name,
            "uid": format!("$uid {of} 0"), "controller": controller, "blockOwnerDeletion": true
        })
    }
}

/// Puts two patches together; unlike the merge of one into an object, nulls stay.
fn both(patch: &mut Value, more: &Value) {
    match (patch, more) {
        (Value::Object(patch), Value::Object(more)) => {
            for (key, value) in more {
                both(patch.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (patch, more) => *patch = more.clone(),
    }
}
