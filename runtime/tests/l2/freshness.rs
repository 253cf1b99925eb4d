//! The freshness gate: no decision on a view that is older than our own writes.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{FakeApi, Fault, service, settle};
use serde_json::json;
use sluice_runtime::freshness::{BOUND, Freshness, Gate};
use sluice_runtime::kind::SERVICE;
use sluice_runtime::watch::WatchOptions;
use sluice_runtime::{Cache, Caches, Executor, Fence, Key, Must};
use tokio_util::sync::CancellationToken;

struct Setting {
    server: FakeApi,
    cache: Arc<Cache>,
    executor: Executor,
    freshness: Freshness,
    work: Key,
}

async fn setting() -> Setting {
    let server = FakeApi::with(&[&SERVICE]);
    server.put(&SERVICE, service("web"));
    let caches = Caches::new(server.api(), None, CancellationToken::new());
    let cache = caches.start(&SERVICE, "test", WatchOptions::default(), Vec::new());
    cache.settled().await;
    settle().await;
    let executor = Executor::new(server.api(), Fence::open(), "test");
    Setting {
        server,
        cache,
        executor,
        freshness: Freshness::default(),
        work: Key::new("a", "rollout"),
    }
}

impl Setting {
    async fn write(&self) {
        let key = Key::new("a", "web");
        let patch = json!({"spec": {"selector": {"hash": "x"}}});
        let written = self
            .executor
            .merge(&SERVICE, &key, &Must::exist(), patch)
            .await
            .unwrap();
        self.freshness.wrote(
            &self.work,
            &self.cache,
            key,
            &written.uid,
            &written.resource_version,
        );
    }

    async fn check(&self) -> Gate {
        self.freshness.check(&self.server.api(), &self.work).await
    }
}

/// argo-rollouts#4786 and seven more: decided on a cache that did not show the last write yet.
#[tokio::test(start_paused = true)]
async fn r06_a_decision_waits_until_the_watch_shows_the_write() {
    let setting = setting().await;
    assert_eq!(setting.check().await, Gate::Fresh);
    setting.server.lag(true);
    setting.write().await;
    assert!(matches!(setting.check().await, Gate::Stale(_)));
    setting.server.lag(false);
    settle().await;
    assert_eq!(setting.check().await, Gate::Fresh);
    assert_eq!(
        setting
            .server
            .count("GET /api/v1/namespaces/a/services/web"),
        0
    );
}

/// The other side of the same: a watch that never shows the write must not hold the object up for ever.
#[tokio::test(start_paused = true)]
async fn r06_after_the_bound_the_object_is_read_directly() {
    let setting = setting().await;
    setting.server.lag(true);
    setting.write().await;
    tokio::time::sleep(BOUND).await;
    assert_eq!(setting.check().await, Gate::Fresh);
    let seen = setting.cache.get(&Key::new("a", "web")).unwrap().value();
    assert_eq!(seen["spec"]["selector"]["hash"], "x");
    // What the watch brings later is not newer and changes nothing.
    setting.server.lag(false);
    settle().await;
    assert_eq!(setting.check().await, Gate::Fresh);
}

#[tokio::test(start_paused = true)]
async fn a_direct_read_that_fails_keeps_the_gate_shut() {
    let setting = setting().await;
    setting.server.lag(true);
    setting.write().await;
    tokio::time::sleep(BOUND).await;
    setting
        .server
        .fail("GET", "services/web", 1, Fault::Answer(403, vec![], "{}"));
    assert!(matches!(setting.check().await, Gate::Stale(_)));
    assert_eq!(setting.check().await, Gate::Fresh);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_waited_for_and_a_new_object_of_the_same_name_counts_as_deleted() {
    let setting = setting().await;
    let key = Key::new("a", "web");
    let uid = setting.cache.get(&key).unwrap().uid.to_string();
    setting.server.lag(true);
    setting.server.delete(&SERVICE, "a", "web");
    setting
        .freshness
        .deleted(&setting.work, &setting.cache, key.clone(), &uid);
    assert!(matches!(setting.check().await, Gate::Stale(_)));
    setting.server.put(&SERVICE, service("web"));
    setting.server.lag(false);
    settle().await;
    assert_eq!(setting.check().await, Gate::Fresh);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_made_and_deleted_unseen_does_not_block_for_ever() {
    let setting = setting().await;
    let key = Key::new("a", "short-lived");
    setting
        .freshness
        .wrote(&setting.work, &setting.cache, key, "uid", "999");
    assert!(matches!(setting.check().await, Gate::Stale(_)));
    tokio::time::sleep(BOUND + Duration::from_millis(1)).await;
    assert_eq!(setting.check().await, Gate::Fresh);
}
