//! Leader election: what to do next with the Lease, as a pure function.
//!
//! The semantics are those of client-go: whether another holder's claim has run out is measured on our own clock, from
//! the moment when *we saw the record change*, never by comparing the timestamps of two machines. The timestamps in the
//! record are for people.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Durations of the election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long others wait for a holder that says nothing.
    pub lease: Duration,
    /// How long the holder keeps acting without a confirmed renewal; shorter than `lease`.
    pub renew: Duration,
    /// Time between attempts.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            renew: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// `spec` of the Lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Identity of the holder; empty when it was released.
    pub holder: String,
    /// Seconds.
    pub duration: u64,
    /// When the holder became the holder.
    pub acquired: Option<Timestamp>,
    /// When it said so last.
    pub renewed: Option<Timestamp>,
    /// How often the holder changed.
    pub transitions: i64,
}

impl Record {
    /// Reads a Lease; what is missing or malformed counts as empty.
    #[must_use]
    pub fn from_lease(lease: &Value) -> Self {
        let field = |name: &str| lease.pointer(&format!("/spec/{name}"));
        let time = |name| {
            field(name)
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok())
        };
        Self {
            holder: field("holderIdentity")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            duration: field("leaseDurationSeconds")
                .and_then(Value::as_u64)
                .unwrap_or(0),
            acquired: time("acquireTime"),
            renewed: time("renewTime"),
            transitions: field("leaseTransitions")
                .and_then(Value::as_i64)
                .unwrap_or(0),
        }
    }

    /// The record as `spec` of a Lease.
    #[must_use]
    pub fn to_spec(&self) -> Value {
        // The API takes microseconds with exactly six digits.
        let time = |time: &Option<Timestamp>| time.map(|time| format!("{time:.6}"));
        json!({
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.duration.max(1),
            "acquireTime": time(&self.acquired),
            "renewTime": time(&self.renewed),
            "leaseTransitions": self.transitions,
        })
    }
}

/// The Lease as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Its content.
    pub record: Record,
    /// Its resourceVersion.
    pub resource_version: String,
    /// When we first saw it in this version.
    pub since: Instant,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is no Lease: make one.
    Create(Record),
    /// Write the record, provided that the Lease is still at the observed version.
    Update(Record),
    /// Somebody else holds it, for this long at least.
    Wait(Duration),
}

/// Decides what `me` does next; `now` and `wall` are the same moment on the two clocks.
#[must_use]
pub fn decide(
    me: &str,
    timing: Timing,
    observed: Option<&Observed>,
    now: Instant,
    wall: Timestamp,
) -> Step {
    let fresh = Record {
        holder: me.to_owned(),
        duration: timing.lease.as_secs(),
        acquired: Some(wall),
        renewed: Some(wall),
        transitions: 0,
    };
    let Some(Observed { record, since, .. }) = observed else {
        return Step::Create(fresh);
    };
    if record.holder == me {
        return Step::Update(Record {
            acquired: record.acquired,
            transitions: record.transitions,
            ..fresh
        });
    }
    let expires = *since + Duration::from_secs(record.duration);
    if !record.holder.is_empty() && now < expires {
        return Step::Wait(expires - now);
    }
    Step::Update(Record {
        transitions: record.transitions.saturating_add(1),
        ..fresh
    })
}

/// The record with which `me` gives the Lease back, so that the next one need not wait; `None` when it is not ours.
#[must_use]
pub fn release(me: &str, observed: Option<&Observed>, wall: Timestamp) -> Option<Record> {
    let record = &observed?.record;
    (record.holder == me).then(|| Record {
        holder: String::new(),
        duration: 1,
        acquired: Some(wall),
        renewed: Some(wall),
        transitions: record.transitions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(holder: &str, since: Instant) -> Observed {
        let record = Record {
            holder: holder.into(),
            duration: 15,
            transitions: 4,
            ..Record::default()
        };
        Observed {
            record,
            resource_version: "7".into(),
            since,
        }
    }

    fn next(holder: Option<&str>, age: u64) -> Step {
        let since = Instant::now();
        let seen = holder.map(|holder| observed(holder, since));
        let now = since + Duration::from_secs(age);
        decide(
            "me",
            Timing::default(),
            seen.as_ref(),
            now,
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn a_missing_lease_is_made() {
        assert!(
            matches!(next(None, 0), Step::Create(record) if record.holder == "me" && record.transitions == 0)
        );
    }

    #[test]
    fn our_own_lease_is_renewed_without_a_transition() {
        assert!(matches!(next(Some("me"), 100), Step::Update(record) if record.transitions == 4));
    }

    #[test]
    fn a_living_holder_is_left_alone_and_a_silent_one_replaced() {
        assert_eq!(next(Some("other"), 14), Step::Wait(Duration::from_secs(1)));
        assert!(matches!(next(Some("other"), 15), Step::Update(record) if record.transitions == 5));
    }

    #[test]
    fn a_released_lease_is_taken_at_once() {
        assert!(matches!(next(Some(""), 0), Step::Update(record) if record.holder == "me"));
    }

    #[test]
    fn timestamps_of_other_machines_decide_nothing() {
        let now = Instant::now();
        let mut seen = observed("other", now);
        seen.record.renewed = Some(Timestamp::UNIX_EPOCH);
        let step = decide("me", Timing::default(), Some(&seen), now, Timestamp::MAX);
        assert_eq!(step, Step::Wait(Duration::from_secs(15)));
    }

    #[test]
    fn only_our_own_lease_is_released() {
        let now = Instant::now();
        assert!(release("me", Some(&observed("other", now)), Timestamp::UNIX_EPOCH).is_none());
        let record = release("me", Some(&observed("me", now)), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((record.holder.as_str(), record.transitions), ("", 4));
    }

    #[test]
    fn a_record_survives_the_way_through_the_api() {
        let record = Record {
            holder: "me".into(),
            duration: 15,
            acquired: Some("2026-01-02T03:04:05.5Z".parse().unwrap()),
            renewed: Some("2026-01-02T03:04:06Z".parse().unwrap()),
            transitions: 2,
        };
        let spec = record.to_spec();
        assert_eq!(spec["acquireTime"], "2026-01-02T03:04:05.500000Z");
        assert_eq!(Record::from_lease(&json!({ "spec": spec })), record);
    }
}
