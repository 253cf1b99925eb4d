//! Keeps a cache equal to what the API has: list, then watch, resume, list again when the server has forgotten.
//!
//! * A dropped watch is resumed from the last resourceVersion, at once.
//! * 410 leads to a new list.
//! * A kind that the API does not know is looked for again every few seconds.
//! * 429 and 5xx are answered with a bounded backoff, or with the wait that the server asks for.
//! * An object that cannot be read is counted and left out; others go on.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{AsyncBufReadExt, TryStreamExt};
use kube::core::params::WatchParams;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::api::{Api, ApiError, ErrorKind};
use crate::cache::{Cache, SyncState};
use crate::object::{Key, Object};
use crate::projection::{Projection, without_bookkeeping};

/// Seconds after which the server ends a watch by itself.
const WATCH_SECONDS: u32 = 240;
/// A watch that says nothing for that long, bookmarks included, is taken for dead.
const IDLE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);
/// How often a kind that the API does not know is looked for, at least.
const ABSENT: Duration = Duration::from_secs(5);
/// A watch that lived shorter than this is not resumed at once.
const SHORT: Duration = Duration::from_secs(1);

/// What of a kind is watched, and what is kept of it.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// Label selector.
    pub labels: Option<String>,
    /// What is dropped before an object is stored.
    pub projection: Projection,
    /// Ask for metadata alone.
    pub metadata_only: bool,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            namespace: None,
            labels: None,
            projection: without_bookkeeping,
            metadata_only: false,
        }
    }
}

/// Why a watch ended.
enum End {
    /// To be resumed from this resourceVersion.
    Resume(String),
    /// The server has forgotten; list again.
    Expired,
    /// Something else; wait first.
    Failed(String, ApiError),
}

/// Runs until `stop`.
pub async fn run(api: Api, cache: Arc<Cache>, options: WatchOptions, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = forever(&api, &cache, &options) => {}
    }
}

async fn forever(api: &Api, cache: &Cache, options: &WatchOptions) {
    let mut pauses = backoff();
    loop {
        match list(api, cache, options).await {
            Ok(version) => {
                pauses = backoff();
                follow(api, cache, options, version).await;
            }
            Err(error) => {
                let absent = error.kind == ErrorKind::NotFound;
                let wait = pause(&mut pauses, Some(&error));
                if absent {
                    if cache.state() != SyncState::Absent {
                        tracing::info!(kind = %cache.kind(), "the API does not know this kind; watching for it to appear");
                    }
                    cache.replace(Vec::new());
                    cache.set_state(SyncState::Absent);
                } else {
                    if error.kind == ErrorKind::Denied {
                        cache.set_state(SyncState::Denied);
                    }
                    metrics::counter!("sluice_watch_errors_total", "kind" => cache.kind().to_string()).increment(1);
                    tracing::warn!(%error, "cannot list; trying again");
                }
                sleep(if absent { wait.min(ABSENT) } else { wait }).await;
            }
        }
    }
}

async fn list(api: &Api, cache: &Cache, options: &WatchOptions) -> Result<String, ApiError> {
    let mut objects = Vec::new();
    let mut token: Option<String> = None;
    let version = loop {
        let (page, version, next) = api
            .list_page(
                cache.kind(),
                options.namespace.as_deref(),
                options.labels.as_deref(),
                options.metadata_only,
                token.as_deref(),
            )
            .await?;
        // Each page is made small before the next one is asked for.
        objects.extend(
            page.into_iter()
                .filter_map(|item| project(cache, options, item)),
        );
        if next.is_none() {
            break version;
        }
        token = next;
    };
    metrics::counter!("sluice_lists_total", "kind" => cache.kind().to_string()).increment(1);
    cache.replace(objects);
    cache.set_state(SyncState::Synced);
    Ok(version)
}

/// Watches until a new list is needed.
async fn follow(api: &Api, cache: &Cache, options: &WatchOptions, mut version: String) {
    let mut pauses = backoff();
    loop {
        let started = Instant::now();
        match watch(api, cache, options, version).await {
            End::Resume(next) => {
                version = next;
                if started.elapsed() < SHORT {
                    sleep(pause(&mut pauses, None)).await;
                } else {
                    pauses = backoff();
                }
            }
            End::Expired => {
                tracing::debug!(kind = %cache.kind(), "the watch is too old to be resumed; listing again");
                return;
            }
            End::Failed(next, error) => {
                version = next;
                metrics::counter!("sluice_watch_errors_total", "kind" => cache.kind().to_string())
                    .increment(1);
                if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Denied) {
                    // The list says which of the two it is, and sets the state.
                    return;
                }
                tracing::debug!(%error, "the watch ended; trying again");
                sleep(pause(&mut pauses, Some(&error))).await;
            }
        }
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

async fn watch(api: &Api, cache: &Cache, options: &WatchOptions, mut version: String) -> End {
    let params = WatchParams {
        label_selector: options.labels.clone(),
        timeout: Some(WATCH_SECONDS),
        bookmarks: true,
        ..WatchParams::default()
    };
    let response = api
        .watch(
            cache.kind(),
            options.namespace.as_deref(),
            &params,
            options.metadata_only,
            &version,
        )
        .await;
    let body = match response {
        Ok(response) => response.into_body(),
        Err(error) if error.kind == ErrorKind::Expired => return End::Expired,
        Err(error) => return End::Failed(version, error),
    };
    let stream = axum::body::Body::new(body)
        .into_data_stream()
        .map_err(std::io::Error::other);
    let mut reader = stream.into_async_read();
    let mut line = Vec::new();
    loop {
        line.clear();
        match timeout(IDLE, reader.read_until(b'\n', &mut line)).await {
            // An idle watch, one that the server ended, or one that broke: resumed from where it was.
            Err(_) | Ok(Ok(0) | Err(_)) => return End::Resume(version),
            Ok(Ok(_)) => {}
        }
        let Ok(event) = serde_json::from_slice::<Event<'_>>(&line) else {
            // Cut off in the middle of a line.
            return End::Resume(version);
        };
        let Ok(object) = serde_json::from_str::<Value>(event.object.get()) else {
            return End::Resume(version);
        };
        if let Some(next) = object
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
        {
            next.clone_into(&mut version);
        }
        match event.kind {
            "ADDED" | "MODIFIED" => {
                if let Some(object) = project(cache, options, object) {
                    cache.apply(object);
                }
            }
            "DELETED" => {
                let text = |pointer: &str| {
                    object
                        .pointer(pointer)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                };
                let key = Key::new(text("/metadata/namespace"), text("/metadata/name"));
                cache.remove(&key, Some(text("/metadata/uid")));
            }
            "BOOKMARK" => {}
            "ERROR" => {
                let code = object.get("code").and_then(Value::as_u64).unwrap_or(0);
                if code == 410 {
                    return End::Expired;
                }
                let error = ApiError {
                    kind: ErrorKind::Unavailable,
                    code: u16::try_from(code).unwrap_or(0),
                    request: format!("watch {}", cache.kind()),
                    message: object
                        .get("message")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned(),
                    fields: Vec::new(),
                    retry_after: None,
                    ambiguous: false,
                };
                return End::Failed(version, error);
            }
            other => {
                tracing::warn!(kind = %cache.kind(), event = other, "unknown type of watch event")
            }
        }
    }
}

fn project(cache: &Cache, options: &WatchOptions, mut value: Value) -> Option<Object> {
    // Items of a list carry no type; readers expect one.
    if let Some(map) = value.as_object_mut().filter(|_| !options.metadata_only) {
        map.entry("apiVersion")
            .or_insert_with(|| cache.kind().api_version().into());
        map.entry("kind")
            .or_insert_with(|| cache.kind().kind.as_ref().into());
    }
    (options.projection)(&mut value);
    match Object::from_value(&value) {
        Ok(object) => Some(cache.packed(object)),
        Err(error) => {
            metrics::counter!("sluice_malformed_objects_total", "kind" => cache.kind().to_string())
                .increment(1);
            tracing::warn!(kind = %cache.kind(), %error, "left out an object that cannot be read");
            None
        }
    }
}

type Pauses = <ExponentialBuilder as BackoffBuilder>::Backoff;

fn backoff() -> Pauses {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(15))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
}

fn pause(pauses: &mut Pauses, error: Option<&ApiError>) -> Duration {
    let own = pauses
        .next()
        .unwrap_or(Duration::from_secs(15))
        .min(Duration::from_secs(20));
    error
        .and_then(|error| error.retry_after)
        .map_or(own, |asked| asked.min(Duration::from_secs(60)))
}
