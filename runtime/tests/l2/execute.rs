//! Writes: what comes back, what is sent again, and what is never sent.

use std::time::Duration;

use crate::support::{FakeApi, Fault, service};
use kube::core::params::PropagationPolicy;
use serde_json::json;
use sluice_runtime::execute::Deleted;
use sluice_runtime::kind::SERVICE;
use sluice_runtime::{Executor, Fence, Key, Must, WriteError};
use tokio::time::Instant;

fn setting() -> (FakeApi, Executor, Key) {
    let server = FakeApi::with(&[&SERVICE]);
    server.put(&SERVICE, service("web"));
    let executor = Executor::new(server.api(), Fence::open(), "test");
    (server, executor, Key::new("a", "web"))
}

#[tokio::test(start_paused = true)]
async fn a_patch_with_an_old_version_is_a_conflict_and_is_not_repeated() {
    let (server, executor, key) = setting();
    let error = executor
        .merge(&SERVICE, &key, &Must::be("uid-1", "7"), json!({"spec": {}}))
        .await;
    assert!(matches!(error, Err(WriteError::Conflict(_))));
    assert_eq!(server.count("PATCH"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_did_not_change_is_not_written() {
    let (server, executor, key) = setting();
    let status = json!({"phase": "Healthy"});
    let written = executor
        .status(&SERVICE, &key, &Must::exist(), &status, &status)
        .await
        .unwrap();
    assert!(written.is_none());
    assert!(server.requests().is_empty());
    let new = json!({"phase": "Paused"});
    executor
        .status(&SERVICE, &key, &Must::exist(), &json!({"other": 1}), &new)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(server.get(&SERVICE, "a", "web").unwrap()["status"], new);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_asked_again_after_the_time_that_it_names() {
    let (server, executor, key) = setting();
    server.fail(
        "PATCH",
        "web",
        1,
        Fault::Answer(429, vec![("retry-after", "3")], ""),
    );
    let before = Instant::now();
    executor
        .merge(&SERVICE, &key, &Must::exist(), json!({"spec": {"x": 1}}))
        .await
        .unwrap();
    assert!(before.elapsed() >= Duration::from_secs(3));
    assert_eq!(server.count("PATCH"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_costs_ten_seconds_at_most() {
    let (server, executor, key) = setting();
    server.fail("PATCH", "web", 100, Fault::Hang);
    let before = Instant::now();
    let error = executor
        .merge(&SERVICE, &key, &Must::exist(), json!({"spec": {"x": 1}}))
        .await
        .unwrap_err();
    assert!(matches!(error, WriteError::Unavailable(_)), "{error}");
    assert!(
        before.elapsed() <= Duration::from_millis(10_010),
        "{:?}",
        before.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_create_shows_as_already_exists() {
    let (server, executor, _) = setting();
    server.fail("POST", "services", 1, Fault::LoseAnswer);
    let error = executor
        .create(&SERVICE, "a", &service("new"))
        .await
        .unwrap_err();
    assert!(matches!(error, WriteError::AlreadyExists(_)), "{error}");
    assert!(server.get(&SERVICE, "a", "new").is_some());
}

/// An outage between a write and its answer: it was carried out, and must not be carried out on top of another.
#[tokio::test(start_paused = true)]
async fn r30_a_lost_answer_to_a_fenced_patch_shows_as_a_conflict() {
    let (server, executor, key) = setting();
    let old = server.get(&SERVICE, "a", "web").unwrap();
    let version = old["metadata"]["resourceVersion"].as_str().unwrap();
    server.fail("PATCH", "web", 1, Fault::LoseAnswer);
    let error = executor
        .merge(
            &SERVICE,
            &key,
            &Must::be("uid-1", version),
            json!({"spec": {"x": 1}}),
        )
        .await;
    assert!(matches!(error, Err(WriteError::Conflict(_))));
}

#[tokio::test(start_paused = true)]
async fn a_json_patch_whose_test_fails_is_a_conflict() {
    let (_, executor, key) = setting();
    let operations = vec![
        json!({"op": "test", "path": "/spec/selector/app", "value": "other"}),
        json!({"op": "replace", "path": "/spec/selector/app", "value": "x"}),
    ];
    let error = executor
        .json_patch(&SERVICE, &key, &Must::exist(), operations)
        .await;
    assert!(matches!(error, Err(WriteError::Conflict(_))));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_checks_the_uid_and_one_that_is_done_already_counts() {
    let (server, executor, key) = setting();
    let delete = |uid: &'static str| {
        let (executor, key) = (executor.clone(), key.clone());
        async move {
            executor
                .delete(
                    &SERVICE,
                    &key,
                    &Must::be_uid(uid),
                    PropagationPolicy::Background,
                )
                .await
        }
    };
    assert!(matches!(
        delete("uid-9").await,
        Err(WriteError::Conflict(_))
    ));
    assert_eq!(delete("uid-1").await.unwrap(), Deleted::Gone);
    assert_eq!(delete("uid-1").await.unwrap(), Deleted::Gone);
    assert!(server.get(&SERVICE, "a", "web").is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_forbidden_is_told_apart() {
    let (server, executor, _) = setting();
    let missing = Key::new("a", "missing");
    let error = executor
        .merge(&SERVICE, &missing, &Must::exist(), json!({}))
        .await;
    assert!(matches!(error, Err(WriteError::Gone(_))));
    server.fail(
        "PATCH",
        "missing",
        1,
        Fault::Answer(403, vec![], "{\"message\": \"no\"}"),
    );
    let error = executor
        .merge(&SERVICE, &missing, &Must::exist(), json!({}))
        .await
        .unwrap_err();
    assert!(matches!(error, WriteError::Denied(_)));
    assert_eq!(error.to_string(), "patch Service a/missing: no");
    server.fail(
        "PATCH",
        "missing",
        1,
        Fault::Answer(422, vec![], "{\"reason\": \"Invalid\"}"),
    );
    let error = executor
        .merge(&SERVICE, &missing, &Must::exist(), json!({}))
        .await;
    assert!(matches!(error, Err(WriteError::Invalid(_))));
}

/// The other half of the same: whoever lost the lead writes nothing more, not even what was on its way.
#[tokio::test(start_paused = true)]
async fn r18_who_is_not_the_leader_sends_nothing() {
    let (server, _, key) = setting();
    let fence = Fence::shut();
    let executor = Executor::new(server.api(), fence.clone(), "test");
    let error = executor
        .merge(&SERVICE, &key, &Must::exist(), json!({}))
        .await;
    assert!(matches!(error, Err(WriteError::NotLeader)));
    assert!(server.requests().is_empty());
    // In another cluster neither.
    let other = FakeApi::with(&[&SERVICE]);
    let error = executor
        .with_api(other.api())
        .create(&SERVICE, "a", &service("new"))
        .await;
    assert!(matches!(error, Err(WriteError::NotLeader)));
    assert!(other.requests().is_empty());
    // A write may not outlive the permission.
    fence.extend(Instant::now() + Duration::from_secs(1));
    server.fail("PATCH", "web", 100, Fault::Hang);
    let before = Instant::now();
    let error = executor
        .merge(&SERVICE, &key, &Must::exist(), json!({}))
        .await;
    assert!(matches!(error, Err(WriteError::Unavailable(_))));
    assert!(before.elapsed() <= Duration::from_millis(1_010));
}
