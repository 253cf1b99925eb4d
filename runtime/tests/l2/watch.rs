//! The watch loop against an API server in memory: what it shows stays what the server has.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{FakeApi, Fault, service, settle};
use serde_json::json;
use sluice_runtime::cache::{Cache, Change, SyncState};
use sluice_runtime::kind::{HTTP_ROUTE, SERVICE};
use sluice_runtime::object::{Key, Object};
use sluice_runtime::watch::{self, WatchOptions};
use sluice_runtime::{Caches, Kind};
use tokio_util::sync::CancellationToken;

fn start(server: &FakeApi, kind: &Kind) -> Arc<Cache> {
    let cache = Arc::new(Cache::new(kind.clone()));
    let (api, copy) = (server.api(), Arc::clone(&cache));
    tokio::spawn(watch::run(
        api,
        copy,
        WatchOptions::default(),
        CancellationToken::new(),
    ));
    cache
}

fn names(cache: &Cache) -> Vec<String> {
    cache
        .all()
        .iter()
        .map(|object| object.key.name.to_string())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_cache_shows_what_was_there_and_what_happens_then() {
    let server = FakeApi::with(&[&SERVICE]);
    server.put(&SERVICE, service("one"));
    let cache = start(&server, &SERVICE);
    cache.settled().await;
    assert_eq!(names(&cache), ["one"]);
    server.put(&SERVICE, service("two"));
    server.delete(&SERVICE, "a", "one");
    settle().await;
    assert_eq!(names(&cache), ["two"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_watch_is_resumed_without_a_new_list() {
    let server = FakeApi::with(&[&SERVICE]);
    let cache = start(&server, &SERVICE);
    cache.settled().await;
    settle().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.drop_watches();
    server.put(&SERVICE, service("meanwhile"));
    settle().await;
    assert_eq!(names(&cache), ["meanwhile"]);
    assert_eq!(server.count("GET /api/v1/services"), 1);
    assert_eq!(server.count("WATCH"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_too_old_leads_to_a_new_list_and_deletions_are_noticed() {
    let server = FakeApi::with(&[&SERVICE]);
    server.put(&SERVICE, service("old"));
    let cache = start(&server, &SERVICE);
    let deleted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&deleted);
    cache.subscribe(Box::new(move |change| {
        if matches!(change, Change::Deleted { .. }) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }));
    cache.settled().await;
    settle().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.lag(true);
    server.delete(&SERVICE, "a", "old");
    server.put(&SERVICE, service("new"));
    server.forget_history();
    server.drop_watches();
    settle().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(names(&cache), ["new"]);
    assert_eq!(deleted.load(Ordering::SeqCst), 1);
    assert_eq!(server.count("GET /api/v1/services"), 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_410_inside_a_watch_leads_to_a_new_list() {
    let server = FakeApi::with(&[&SERVICE]);
    let cache = start(&server, &SERVICE);
    cache.settled().await;
    settle().await;
    server.send_raw(
        &SERVICE,
        &json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}}).to_string(),
    );
    settle().await;
    assert_eq!(server.count("GET /api/v1/services"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_a_busy_server_asks_for_is_honoured() {
    let server = FakeApi::with(&[&SERVICE]);
    server.fail(
        "GET",
        "services",
        1,
        Fault::Answer(429, vec![("retry-after", "7")], "too many requests"),
    );
    let cache = start(&server, &SERVICE);
    let before = tokio::time::Instant::now();
    cache.settled().await;
    let waited = before.elapsed();
    assert!(
        waited >= Duration::from_secs(7) && waited < Duration::from_secs(8),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_asked_again_with_a_bounded_backoff() {
    let server = FakeApi::with(&[&SERVICE]);
    server.fail("GET", "services", 10_000, Fault::Break);
    let cache = start(&server, &SERVICE);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(cache.state(), SyncState::Starting);
    let asked = server.count("GET");
    assert!(
        (60..1_000).contains(&asked),
        "{asked} requests in ten minutes"
    );
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_installed_is_watched_when_it_appears() {
    let server = FakeApi::with(&[]);
    let cache = start(&server, &HTTP_ROUTE);
    cache.settled().await;
    assert_eq!(cache.state(), SyncState::Absent);
    server.serve(&HTTP_ROUTE);
    server.put(
        &HTTP_ROUTE,
        json!({"metadata": {"name": "web", "namespace": "a"}}),
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(cache.state(), SyncState::Synced);
    assert_eq!(names(&cache), ["web"]);
}

#[tokio::test(start_paused = true)]
async fn one_object_that_cannot_be_read_does_not_hide_the_others() {
    let server = FakeApi::with(&[&SERVICE]);
    let cache = start(&server, &SERVICE);
    cache.settled().await;
    settle().await;
    let bad =
        json!({"type": "ADDED", "object": {"metadata": {"name": "bad", "resourceVersion": "200"}}});
    server.send_raw(&SERVICE, &bad.to_string());
    server.put(&SERVICE, service("good"));
    settle().await;
    assert_eq!(names(&cache), ["good"]);
}

#[tokio::test(start_paused = true)]
async fn an_older_event_does_not_undo_a_newer_view() {
    let cache = Cache::new(SERVICE.clone());
    let at = |version: &str| {
        let mut object = service("one");
        object["metadata"]["uid"] = json!("u");
        object["metadata"]["resourceVersion"] = json!(version);
        Object::from_value(&object).unwrap()
    };
    assert!(cache.apply(at("10")));
    assert!(!cache.apply(at("9")));
    assert!(!cache.apply(at("10")));
    assert!(cache.apply(at("11")));
    assert_eq!(
        &*cache.get(&Key::new("a", "one")).unwrap().resource_version,
        "11"
    );
}

#[tokio::test(start_paused = true)]
async fn objects_are_found_by_owner_and_without_one() {
    let cache = Cache::new(SERVICE.clone());
    let object = |name: &str, owner: Option<&str>| {
        let mut object = service(name);
        object["metadata"]["uid"] = json!(name);
        object["metadata"]["resourceVersion"] = json!("1");
        if let Some(owner) = owner {
            object["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "K", "name": "o", "uid": owner, "controller": true}]);
        }
        Object::from_value(&object).unwrap()
    };
    cache.apply(object("x", Some("o1")));
    cache.apply(object("y", Some("o1")));
    cache.apply(object("z", None));
    let named = |list: Vec<Arc<Object>>| {
        list.iter()
            .map(|o| o.key.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(named(cache.owned_by("o1")), ["x", "y"]);
    assert_eq!(named(cache.without_owner("a")), ["z"]);
    assert!(cache.without_owner("b").is_empty());
    cache.remove(&Key::new("a", "x"), Some("another uid"));
    assert_eq!(named(cache.owned_by("o1")), ["x", "y"]);
    cache.remove(&Key::new("a", "x"), Some("x"));
    assert_eq!(named(cache.owned_by("o1")), ["y"]);
}

#[tokio::test(start_paused = true)]
async fn only_objects_with_the_label_are_kept_and_a_lost_label_is_a_deletion_of_the_server() {
    let server = FakeApi::with(&[&SERVICE]);
    let mut labelled = service("one");
    labelled["metadata"]["labels"] = json!({"hash": "x"});
    server.put(&SERVICE, labelled);
    server.put(&SERVICE, service("two"));
    let stop = CancellationToken::new();
    let caches = Caches::new(server.api(), None, stop);
    let options = WatchOptions {
        labels: Some("hash".to_owned()),
        ..WatchOptions::default()
    };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&seen);
    let subscriber = Box::new(move |change: &Change<'_>| {
        copy.lock().unwrap().push(change.object().key.to_string());
    });
    let cache = caches.start(&SERVICE, "test", options, vec![subscriber]);
    caches.settled(Duration::from_secs(5)).await.unwrap();
    assert_eq!(names(&cache), ["one"]);
    assert_eq!(*seen.lock().unwrap(), ["a/one"]);
}
