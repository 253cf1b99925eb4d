//! The last decisions about each object, in memory: what `explain` shows. Bounded for each object and in total, so that
//! a large fleet costs no more than a small one.
//!
//! A decision that says the same as the one before it is counted, not kept again, so the log of a rollout that waits
//! for an hour still shows how it got there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::object::Key;
use crate::text::{Packer, Text};

/// Decisions kept for one object.
const PER_OBJECT: usize = 30;
/// Decisions kept in total, some 200 bytes each; beyond that the oldest is dropped, whichever object it is about.
const IN_TOTAL: usize = 20_000;

/// One decision, in the words for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When it was made.
    pub at: Timestamp,
    /// `metadata.resourceVersion` of the object that was looked at.
    pub resource_version: String,
    /// One sentence for each guard that was decided.
    pub reasons: Vec<String>,
    /// One sentence for each write that was ordered.
    pub effects: Vec<String>,
    /// What became of the writes: `done`, or why the rest was left.
    pub outcome: String,
    /// When it is decided again if nothing happens.
    pub wake_at: Option<Timestamp>,
}

/// Decisions as they are kept: `count` equal ones in a row, the last of them at `last`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The first of them.
    #[serde(flatten)]
    pub decision: Decision,
    /// How many there were.
    pub count: u64,
    /// When the last was made.
    pub last: Timestamp,
}

/// The log of all loops.
#[derive(Default)]
pub struct DecisionLog {
    log: Mutex<Log>,
    packer: Packer,
}

/// Kind and key of an object.
type Id = (String, Key);

/// An [`Entry`] as it is kept. Decisions are many and alike, so they are packed.
struct Kept {
    number: u64,
    count: u64,
    last: Timestamp,
    decision: Text,
}

impl Kept {
    fn decision(&self) -> Option<Decision> {
        // The text was written by this module, so it can be read.
        serde_json::from_slice(&self.decision.bytes()).ok()
    }

    fn entry(&self) -> Option<Entry> {
        Some(Entry {
            decision: self.decision()?,
            count: self.count,
            last: self.last,
        })
    }
}

#[derive(Default)]
struct Log {
    /// The entries of each object, oldest first.
    objects: BTreeMap<Arc<Id>, VecDeque<Kept>>,
    /// The object of each entry, by number: the first is the oldest of all.
    order: BTreeMap<u64, Arc<Id>>,
    next: u64,
}

impl Log {
    fn push(&mut self, id: Id, last: Timestamp, decision: Text) {
        let number = self.next;
        self.next += 1;
        let known = self.objects.get_key_value(&id);
        let id = known.map_or_else(|| Arc::new(id), |(id, _)| Arc::clone(id));
        // Of a large fleet most objects have one decision; unasked, the first one would make room for four.
        let entries = self.objects.entry(Arc::clone(&id));
        let entries = entries.or_insert_with(|| VecDeque::with_capacity(1));
        if entries.len() == PER_OBJECT
            && let Some(oldest) = entries.pop_front()
        {
            self.order.remove(&oldest.number);
        }
        entries.push_back(Kept {
            number,
            count: 1,
            last,
            decision,
        });
        self.order.insert(number, id);
        if self.order.len() > IN_TOTAL
            && let Some((_, id)) = self.order.pop_first()
            && let Some(entries) = self.objects.get_mut(&id)
        {
            entries.pop_front();
            if entries.is_empty() {
                self.objects.remove(&id);
            }
        }
    }
}

impl DecisionLog {
    /// Adds a decision about an object of a kind (`Rollout`, `AnalysisRun`, `Application`).
    pub fn record(&self, kind: &str, key: &Key, decision: Decision) {
        let mut log = self.lock();
        let id = (kind.to_owned(), key.clone());
        if let Some(last) = log.objects.get_mut(&id).and_then(VecDeque::back_mut)
            && let Some(before) = last.decision()
            && before.reasons == decision.reasons
            && before.effects == decision.effects
            && before.outcome == decision.outcome
        {
            last.count += 1;
            last.last = decision.at;
            last.decision = self.packed(&Decision {
                at: before.at,
                ..decision
            });
            return;
        }
        log.push(id, decision.at, self.packed(&decision));
    }

    /// The decisions about one object, oldest first.
    #[must_use]
    pub fn of(&self, kind: &str, key: &Key) -> Vec<Entry> {
        let id = (kind.to_owned(), key.clone());
        let log = self.lock();
        let entries = log.objects.get(&id).into_iter().flatten();
        entries.filter_map(Kept::entry).collect()
    }

    /// Drops the decisions about an object that is gone.
    pub fn forget(&self, kind: &str, key: &Key) {
        let mut log = self.lock();
        let entries = log.objects.remove(&(kind.to_owned(), key.clone()));
        for entry in entries.into_iter().flatten() {
            log.order.remove(&entry.number);
        }
    }

    fn packed(&self, decision: &Decision) -> Text {
        let text = serde_json::to_vec(decision).unwrap_or_default();
        self.packer.pack(Text::Plain(text.into_boxed_slice()))
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(second: i64, reason: &str) -> Decision {
        Decision {
            at: Timestamp::from_second(second).unwrap(),
            resource_version: second.to_string(),
            reasons: vec![reason.to_owned()],
            effects: Vec::new(),
            outcome: "done".to_owned(),
            wake_at: None,
        }
    }

    #[test]
    fn equal_decisions_in_a_row_are_counted() {
        let log = DecisionLog::default();
        let key = Key::new("a", "b");
        for (second, reason) in [(1, "wait"), (2, "wait"), (3, "go"), (4, "wait")] {
            log.record("Rollout", &key, decision(second, reason));
        }
        let counts: Vec<u64> = log
            .of("Rollout", &key)
            .iter()
            .map(|entry| entry.count)
            .collect();
        assert_eq!(counts, [2, 1, 1]);
        assert!(log.of("AnalysisRun", &key).is_empty());
    }

    #[test]
    fn the_log_is_bounded() {
        let log = DecisionLog::default();
        let key = Key::new("a", "b");
        for second in 0..100 {
            log.record("Rollout", &key, decision(second, &second.to_string()));
        }
        assert_eq!(log.of("Rollout", &key).len(), PER_OBJECT);
        log.forget("Rollout", &key);
        assert!(log.of("Rollout", &key).is_empty());
        assert!(log.lock().order.is_empty());
    }

    #[test]
    fn a_large_fleet_costs_no_more_than_the_total() {
        let log = DecisionLog::default();
        let keys: Vec<Key> = (0..IN_TOTAL / 10)
            .map(|index| Key::new("a", &index.to_string()))
            .collect();
        // One that decides all the time takes nothing from the others.
        let busy = Key::new("a", "busy");
        for second in 0..15 {
            for key in &keys {
                log.record("Rollout", key, decision(second, &second.to_string()));
            }
            for turn in 0..100 {
                log.record("Rollout", &busy, decision(second, &turn.to_string()));
            }
        }
        let kept = log
            .lock()
            .objects
            .values()
            .map(VecDeque::len)
            .sum::<usize>();
        assert_eq!((kept, log.lock().order.len()), (IN_TOTAL, IN_TOTAL));
        let reasons = |key: &Key| -> Vec<String> {
            let entries = log.of("Rollout", key).into_iter();
            entries.flat_map(|entry| entry.decision.reasons).collect()
        };
        assert!(keys.iter().all(|key| reasons(key).len() >= 9));
        assert!(keys.iter().all(|key| reasons(key).last().unwrap() == "14"));
        assert_eq!(reasons(&busy).len(), PER_OBJECT);
    }
}
