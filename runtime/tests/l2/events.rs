//! Kubernetes Events: in order, counted when they repeat, bounded.

use std::sync::Arc;
use std::time::Duration;

use crate::support::FakeApi;
use jiff::Timestamp;
use serde_json::Value;
use sluice_runtime::clock::{Clock, TokioClock};
use sluice_runtime::events::{BURST, Events, Involved, Note, ROLLOUTS_COMPONENT, Severity};
use sluice_runtime::kind::{EVENT, ROLLOUT};
use sluice_runtime::{Executor, Fence, Key};
use tokio_util::sync::CancellationToken;

fn note(reason: &str, message: &str) -> Note {
    Note {
        involved: Involved {
            kind: ROLLOUT.clone(),
            key: Key::new("a", "web"),
            uid: "u".into(),
            resource_version: "5".into(),
        },
        component: ROLLOUTS_COMPONENT,
        severity: Severity::Normal,
        reason: reason.into(),
        message: message.into(),
    }
}

fn start(server: &FakeApi) -> Events {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(
        Timestamp::from_second(1_800_000_000).unwrap(),
    ));
    let (events, writer) = Events::new(Executor::new(server.api(), Fence::open(), "test"), clock);
    tokio::spawn(writer.run(CancellationToken::new()));
    events
}

fn written(server: &FakeApi) -> Vec<Value> {
    let mut all = server.all(&EVENT);
    all.sort_by_key(|event| {
        event["metadata"]["resourceVersion"]
            .as_str()
            .map(str::to_owned)
    });
    all
}

#[tokio::test(start_paused = true)]
async fn events_are_written_in_order_and_a_repeated_one_is_counted() {
    let server = FakeApi::with(&[&EVENT]);
    let events = start(&server);
    for (reason, message) in [
        ("RolloutUpdated", "x"),
        ("ScalingReplicaSet", "y"),
        ("ScalingReplicaSet", "z"),
    ] {
        events.emit(note(reason, message));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reasons: Vec<_> = written(&server)
        .iter()
        .map(|event| event["message"].clone())
        .collect();
    assert_eq!(reasons, ["x", "y", "z"]);
    events.emit(note("RolloutUpdated", "x"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all = written(&server);
    assert_eq!(all.len(), 3);
    let updated = all
        .iter()
        .find(|event| event["reason"] == "RolloutUpdated")
        .unwrap();
    assert_eq!(updated["count"], 2);
    assert_eq!(updated["source"]["component"], "rollouts-controller");
    assert_eq!(
        updated["involvedObject"]["apiVersion"],
        "argoproj.io/v1alpha1"
    );
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_whose_first_one_was_deleted_is_written_anew() {
    let server = FakeApi::with(&[&EVENT]);
    let events = start(&server);
    events.emit(note("RolloutUpdated", "x"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let name = written(&server)[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    server.delete(&EVENT, "a", &name);
    events.emit(note("RolloutUpdated", "x"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(written(&server).len(), 1);
}

/// A broken object that tells of it in a loop.
#[tokio::test(start_paused = true)]
async fn r21_one_object_cannot_flood_the_api() {
    let server = FakeApi::with(&[&EVENT]);
    let events = start(&server);
    for number in 0..500 {
        events.emit(note("Broken", &number.to_string()));
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(written(&server).len(), BURST as usize);
    tokio::time::sleep(Duration::from_secs(30)).await;
    events.emit(note("Broken", "later"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(written(&server).len(), BURST as usize + 1);
}
