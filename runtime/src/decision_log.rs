//! The last decisions about each object, in memory: what `explain` shows. Bounded in both directions.
//!
//! A decision that says the same as the one before it is counted, not kept again, so the log of a rollout that waits
//! for an hour still shows how it got there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use crate::object::Key;

/// Decisions kept for one object.
const PER_OBJECT: usize = 30;
/// Objects for which decisions are kept; beyond that the one that was decided longest ago is dropped.
const OBJECTS: usize = 5_000;

/// One decision, in the words for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// The log of one loop.
#[derive(Default)]
pub struct DecisionLog {
    objects: Mutex<BTreeMap<(String, Key), VecDeque<Entry>>>,
}

impl DecisionLog {
    /// Adds a decision about an object of a kind (`Rollout`, `AnalysisRun`, `Application`).
    pub fn record(&self, kind: &str, key: &Key, decision: Decision) {
        let mut objects = self.lock();
        let id = (kind.to_owned(), key.clone());
        if !objects.contains_key(&id) && objects.len() >= OBJECTS {
            let oldest = objects
                .iter()
                .min_by_key(|(_, entries)| entries.back().map(|entry| entry.last))
                .map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                objects.remove(&oldest);
            }
        }
        let entries = objects.entry(id).or_default();
        if let Some(last) = entries.back_mut()
            && last.decision.reasons == decision.reasons
            && last.decision.effects == decision.effects
            && last.decision.outcome == decision.outcome
        {
            last.count += 1;
            last.last = decision.at;
            last.decision.wake_at = decision.wake_at;
            last.decision.resource_version = decision.resource_version;
            return;
        }
        if entries.len() == PER_OBJECT {
            entries.pop_front();
        }
        entries.push_back(Entry {
            last: decision.at,
            count: 1,
            decision,
        });
    }

    /// The decisions about one object, oldest first.
    #[must_use]
    pub fn of(&self, kind: &str, key: &Key) -> Vec<Entry> {
        let id = (kind.to_owned(), key.clone());
        self.lock()
            .get(&id)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Drops the decisions about an object that is gone.
    pub fn forget(&self, kind: &str, key: &Key) {
        self.lock().remove(&(kind.to_owned(), key.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Key), VecDeque<Entry>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
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
    }
}
