//! Writes of a status that differs in nothing but counts of pods wait a moment, so that pods which become ready one
//! after the other cost one request instead of one each.
//!
//! Whatever anybody acts on — phase, conditions, steps, weights — is written at once, counts with it. Nothing is lost: the
//! pass that comes after the wait counts anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sluice_crds::rollout::RolloutStatus;
use sluice_runtime::Key;
use tokio::time::Instant;

/// How long counts wait at most. A person does not see it, and pods of one ReplicaSet come closer together.
const LONGEST: Duration = Duration::from_millis(250);

/// Since when the counts of a Rollout have waited.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    since: Mutex<HashMap<Key, Instant>>,
}

impl Counts {
    /// How long the status `new` may still wait, when all that it says anew is counts; `None` when it is to be written
    /// now, or says nothing anew.
    pub(crate) fn wait(
        &self,
        key: &Key,
        old: Option<&RolloutStatus>,
        new: &RolloutStatus,
        now: Instant,
    ) -> Option<Duration> {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if !old.is_some_and(|old| differs_in_counts_only(old, new)) {
            since.remove(key);
            return None;
        }
        let waited = now.duration_since(*since.entry(key.clone()).or_insert(now));
        let left = LONGEST.checked_sub(waited).filter(|left| !left.is_zero());
        if left.is_none() {
            since.remove(key);
        }
        left
    }

    /// Drops what is remembered of a Rollout.
    pub(crate) fn forget(&self, key: &Key) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.remove(key);
    }
}

/// Whether the two differ, but in nothing except counts of pods and the times at which conditions were confirmed.
fn differs_in_counts_only(old: &RolloutStatus, new: &RolloutStatus) -> bool {
    if old == new {
        return false;
    }
    let mut leveled = new.clone();
    leveled.replicas = old.replicas;
    leveled.updated_replicas = old.updated_replicas;
    leveled.ready_replicas = old.ready_replicas;
    leveled.available_replicas = old.available_replicas;
    leveled.hpa_replicas = old.hpa_replicas;
    for condition in leveled.conditions.iter_mut().flatten() {
        let known = old.conditions.iter().flatten();
        if let Some(known) = known.into_iter().find(|known| known.kind == condition.kind) {
            condition
                .last_update_time
                .clone_from(&known.last_update_time);
        }
    }
    leveled == *old
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use sluice_crds::rollout::RolloutStatus;
    use sluice_runtime::Key;
    use tokio::time::Instant;

    use super::{Counts, LONGEST};

    fn status(value: Value) -> RolloutStatus {
        serde_json::from_value(value).expect("a status")
    }

    fn progressing(ready: i32, at: &str) -> RolloutStatus {
        status(json!({
            "phase": "Progressing", "replicas": 10, "readyReplicas": ready, "availableReplicas": ready,
            "conditions": [{
                "type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated",
                "message": "m", "lastUpdateTime": at, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }))
    }

    #[test]
    fn counts_wait_once_and_for_a_bounded_time() {
        let (counts, key, began) = (Counts::default(), Key::new("shop", "web"), Instant::now());
        let old = progressing(1, "2026-01-01T00:00:01Z");
        let wait = |ready: i32, after: Duration| {
            let new = progressing(ready, "2026-01-01T00:00:02Z");
            counts.wait(&key, Some(&old), &new, began + after)
        };
        assert_eq!(wait(2, Duration::ZERO), Some(LONGEST));
        let later = Duration::from_millis(100);
        assert_eq!(
            wait(3, later),
            Some(LONGEST - later),
            "not from the beginning again"
        );
        assert_eq!(wait(4, LONGEST), None, "written");
        assert_eq!(wait(5, LONGEST), Some(LONGEST), "and from the beginning");
    }

    #[test]
    fn whatever_anybody_acts_on_is_written_at_once() {
        let (counts, key, now) = (Counts::default(), Key::new("shop", "web"), Instant::now());
        let old = progressing(1, "2026-01-01T00:00:01Z");
        let mut healthy = progressing(10, "2026-01-01T00:00:02Z");
        healthy.phase = Some("Healthy".to_owned());
        assert_eq!(counts.wait(&key, Some(&old), &healthy, now), None);
        let mut condition = progressing(10, "2026-01-01T00:00:02Z");
        condition.conditions.as_mut().expect("one")[0].reason = "NewReplicaSetAvailable".to_owned();
        assert_eq!(counts.wait(&key, Some(&old), &condition, now), None);
        assert_eq!(
            counts.wait(&key, Some(&old), &old, now),
            None,
            "nothing to write"
        );
        assert_eq!(counts.wait(&key, None, &old, now), None, "the first status");
    }
}
