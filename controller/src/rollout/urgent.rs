//! Which changes cannot wait behind others: those that send traffic back.
//!
//! A fleet that is updated keeps hundreds of Rollouts in the queue. An abort by hand and a bad verdict go before them.

use serde::Deserialize;
use sluice_runtime::Object;
use sluice_runtime::cache::Change;

/// The two fields that are looked at; an object in which they have other types is not urgent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Slim {
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    abort: Option<bool>,
    phase: Option<String>,
}

/// Whether a Rollout is aborted that was not before.
pub(super) fn is_abort(change: &Change<'_>) -> bool {
    became(change, |status| status.abort == Some(true))
}

/// Whether an AnalysisRun has come to a verdict that may send its Rollout back.
pub(super) fn is_bad_verdict(change: &Change<'_>) -> bool {
    let bad = ["Failed", "Error", "Inconclusive"];
    became(change, |status| {
        let phase = status.phase.as_deref();
        phase.is_some_and(|phase| bad.contains(&phase))
    })
}

/// Whether something holds of an object's status that did not hold before. What is seen for the first time, as after a
/// start, has nothing before it and comes in its turn.
fn became(change: &Change<'_>, holds: impl Fn(&Status) -> bool) -> bool {
    let Change::Applied {
        object,
        previous: Some(previous),
    } = change
    else {
        return false;
    };
    let holds = |object: &Object| {
        let slim = object.decode::<Slim>();
        slim.is_ok_and(|slim| holds(&slim.status))
    };
    holds(object) && !holds(previous)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn object(status: Value) -> Arc<Object> {
        let metadata = json!({"name": "a", "uid": "u", "resourceVersion": "1"});
        let value = json!({"metadata": metadata, "status": status});
        Arc::new(Object::from_value(&value).unwrap())
    }

    fn change(before: Value, after: Value, test: fn(&Change<'_>) -> bool) -> bool {
        test(&Change::Applied {
            object: &object(after),
            previous: Some(&object(before)),
        })
    }

    #[test]
    fn an_abort_is_urgent_once() {
        assert!(change(json!({}), json!({"abort": true}), is_abort));
        assert!(!change(
            json!({"abort": true}),
            json!({"abort": true}),
            is_abort
        ));
        assert!(!change(
            json!({"abort": true}),
            json!({"abort": false}),
            is_abort
        ));
        assert!(!change(json!({}), json!({"abort": "yes"}), is_abort));
    }

    #[test]
    fn a_bad_verdict_is_urgent_and_a_good_one_is_not() {
        let phase = |phase: &str| json!({"phase": phase});
        assert!(change(phase("Running"), phase("Failed"), is_bad_verdict));
        assert!(change(json!({}), phase("Error"), is_bad_verdict));
        assert!(!change(
            phase("Running"),
            phase("Successful"),
            is_bad_verdict
        ));
        assert!(!change(phase("Failed"), phase("Failed"), is_bad_verdict));
    }

    #[test]
    fn what_is_seen_for_the_first_time_comes_in_its_turn() {
        let aborted = object(json!({"abort": true}));
        let change = Change::Applied {
            object: &aborted,
            previous: None,
        };
        assert!(!is_abort(&change));
    }
}
