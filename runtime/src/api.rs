//! Requests to the Kubernetes API: a time limit on each, errors sorted into kinds, retries only where they are safe.
//!
//! Reads are public here; writes are made by [`crate::execute`] alone. The client should be built without kube's own
//! retry layer (`Config::default_retry = false`, see [`client`]): that one retries every method 15 times for up to
//! 1,000 s behind one `await`. Here a request that may be repeated (`Retry::Safe`) is repeated within its time limit, and
//! a `Retry-After` of the server is honoured.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use kube::client::Body;
use kube::core::params::{GetParams, ListParams, WatchParams};
use kube::core::request::Request as RequestBuilder;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::kind::Kind;
use crate::object::Key;
use crate::throttle::Throttle;

/// Time limit of one request, its retries included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Objects of one page of a list. A parsed page takes many times the memory of what is kept of it, and an allocator does
/// not give back what was needed once: pages of 500 left a controller with half as much memory again after a start.
const PAGE: u32 = 100;
const FIRST_RETRY: Duration = Duration::from_millis(25);
const MAX_RETRY: Duration = Duration::from_secs(1);
/// Begins the message of a server-side apply whose fields do not have the types of the schema.
const WRONG_TYPE: &str = "failed to create typed patch object";
const METADATA_ONLY: HeaderValue = HeaderValue::from_static(
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
);
/// For lists: the API server refuses the single form with 406.
const METADATA_ONLY_LIST: HeaderValue = HeaderValue::from_static(
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
);

/// What went wrong, as far as callers act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 404.
    NotFound,
    /// 409: somebody else wrote in between.
    Conflict,
    /// 409: an object of that name exists.
    AlreadyExists,
    /// 401 or 403.
    Denied,
    /// 400 or 422, and every other refusal that will not go away by itself.
    Invalid,
    /// 410: the resourceVersion or the continue token is too old.
    Expired,
    /// Time limit, network, 429, 5xx: may go away by itself.
    Unavailable,
}

/// A request that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{request}: {message}")]
pub struct ApiError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// HTTP status; 0 when there was no answer.
    pub code: u16,
    /// Verb, kind and name, as in `patch HTTPRoute.gateway.networking.k8s.io web/web`.
    pub request: String,
    /// In the words of the server or of the network stack.
    pub message: String,
    /// Fields that the server names as the cause.
    pub fields: Vec<String>,
    /// What the server asked to wait.
    pub retry_after: Option<Duration>,
    /// Whether the request may have reached the server and been carried out.
    pub ambiguous: bool,
}

/// Whether a request may be sent again after a failure without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Sending it twice does what sending it once does, or is refused the second time.
    Safe,
    /// The caller decides.
    Never,
}

/// A request's name for messages and metrics.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// `get`, `list`, `watch`, `create`, `patch`, `apply`, `delete`.
    pub verb: &'static str,
    /// The kind.
    pub kind: &'a Kind,
    /// The object, or the namespace of a collection.
    pub target: &'a dyn TargetName,
}

/// Something that names the target of a request.
pub trait TargetName: fmt::Display + fmt::Debug + Send + Sync {}
impl<T: fmt::Display + fmt::Debug + Send + Sync> TargetName for T {}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.verb, self.kind, self.target)
    }
}

/// The connection to the API; cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    throttle: Arc<Throttle>,
}

/// Builds a client as this crate wants it: without the retry layer.
///
/// # Errors
/// When the configuration's certificates or credentials cannot be used.
pub fn client(mut config: kube::Config) -> Result<kube::Client, kube::Error> {
    config.default_retry = false;
    kube::Client::try_from(config)
}

impl Api {
    /// Wraps a client. `qps` 0 means no limit on requests.
    #[must_use]
    pub fn new(client: kube::Client, qps: f64, burst: u32) -> Self {
        Self {
            client,
            throttle: Arc::new(Throttle::new(qps, burst)),
        }
    }

    /// The client underneath, for what this crate does not cover (discovery, proxies).
    #[must_use]
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// Reads one object; `None` when it does not exist (or its kind does not).
    ///
    /// # Errors
    /// When the API refuses, or does not answer within [`REQUEST_TIMEOUT`].
    pub async fn get(&self, kind: &Kind, key: &Key) -> Result<Option<Value>, ApiError> {
        let label = Label {
            verb: "get",
            kind,
            target: key,
        };
        let request = RequestBuilder::new(kind.collection_path(Some(&key.namespace)))
            .get(&key.name, &GetParams::default())
            .map_err(|error| malformed(label, &error))?;
        match self
            .call(
                label,
                request,
                Retry::Safe,
                Instant::now() + REQUEST_TIMEOUT,
            )
            .await
        {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists a collection (of one namespace, or of all), in pages, as the server has it now.
    ///
    /// Returns the objects and the resourceVersion of the list.
    ///
    /// # Errors
    /// When the API refuses, or a page does not arrive within three times [`REQUEST_TIMEOUT`].
    pub async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        labels: Option<&str>,
        metadata_only: bool,
    ) -> Result<(Vec<Value>, String), ApiError> {
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let (page, version, next) = self
                .list_page(kind, namespace, labels, metadata_only, token.as_deref())
                .await?;
            items.extend(page);
            if next.is_none() {
                return Ok((items, version));
            }
            token = next;
        }
    }

    /// One page of a list: objects, resourceVersion, and the token of the next page.
    ///
    /// # Errors
    /// As [`Api::list`].
    pub async fn list_page(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        labels: Option<&str>,
        metadata_only: bool,
        token: Option<&str>,
    ) -> Result<(Vec<Value>, String, Option<String>), ApiError> {
        let target = namespace.unwrap_or("(all namespaces)");
        let label = Label {
            verb: "list",
            kind,
            target: &target,
        };
        let params = ListParams {
            label_selector: labels.map(str::to_owned),
            limit: Some(PAGE),
            continue_token: token.map(str::to_owned),
            ..ListParams::default()
        };
        let mut request = RequestBuilder::new(kind.collection_path(namespace))
            .list(&params)
            .map_err(|error| malformed(label, &error))?;
        if metadata_only {
            request
                .headers_mut()
                .insert(header::ACCEPT, METADATA_ONLY_LIST);
        }
        let deadline = Instant::now() + REQUEST_TIMEOUT * 3;
        let mut page = self.call(label, request, Retry::Safe, deadline).await?;
        let text = |pointer: &str| {
            page.pointer(pointer)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let version = text("/metadata/resourceVersion").unwrap_or_default();
        let next = text("/metadata/continue");
        let items = match page.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        Ok((items, version, next))
    }

    /// Starts a watch from a resourceVersion; the response's body is a line of JSON for each event.
    ///
    /// # Errors
    /// When the API refuses, or does not answer within [`REQUEST_TIMEOUT`].
    pub async fn watch(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        params: &WatchParams,
        metadata_only: bool,
        resource_version: &str,
    ) -> Result<Response<Body>, ApiError> {
        let target = namespace.unwrap_or("(all namespaces)");
        let label = Label {
            verb: "watch",
            kind,
            target: &target,
        };
        let mut request = RequestBuilder::new(kind.collection_path(namespace))
            .watch(params, resource_version)
            .map_err(|error| malformed(label, &error))?;
        // One gzip member for each event is more than most decoders take.
        request.headers_mut().insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        if metadata_only {
            request.headers_mut().insert(header::ACCEPT, METADATA_ONLY);
        }
        self.once(label, request, Instant::now() + REQUEST_TIMEOUT)
            .await
    }

    /// Sends a request until it is answered, as `retry` allows, and parses the answer.
    ///
    /// # Errors
    /// When the API refuses, or does not answer before the deadline.
    pub(crate) async fn call(
        &self,
        label: Label<'_>,
        request: Request<Vec<u8>>,
        retry: Retry,
        deadline: Instant,
    ) -> Result<Value, ApiError> {
        let mut pause = FIRST_RETRY;
        let mut ambiguous = false;
        loop {
            self.throttle.take().await;
            let mut error = match self.once(label, request.clone(), deadline).await {
                Ok(response) => match read(label, response, deadline).await {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            ambiguous |= error.ambiguous;
            error.ambiguous = ambiguous;
            let wait = error.retry_after.unwrap_or(pause);
            let again = error.kind == ErrorKind::Unavailable
                && (retry == Retry::Safe || !error.ambiguous)
                && Instant::now() + wait < deadline;
            if !again {
                return Err(error);
            }
            tracing::debug!(%error, ?wait, "trying again");
            sleep(wait).await;
            pause = (pause * 2).min(MAX_RETRY);
        }
    }

    async fn once(
        &self,
        label: Label<'_>,
        request: Request<Vec<u8>>,
        deadline: Instant,
    ) -> Result<Response<Body>, ApiError> {
        let answer = timeout_at(deadline, self.client.send(request.map(Body::from))).await;
        let code = match &answer {
            Ok(Ok(response)) => response.status().as_u16(),
            _ => 0,
        };
        metrics::counter!(
            "controller_clientset_k8s_request_total",
            "kind" => label.kind.plural.clone(), "verb" => label.verb, "status_code" => code.to_string()
        )
        .increment(1);
        match answer {
            Ok(Ok(response)) if response.status().is_success() => Ok(response),
            Ok(Ok(response)) => Err(refusal(label, response, deadline).await),
            Ok(Err(error)) => Err(unanswered(label, chain(&error))),
            Err(_) => Err(unanswered(
                label,
                "no answer within the time limit".to_owned(),
            )),
        }
    }
}

async fn read(
    label: Label<'_>,
    response: Response<Body>,
    deadline: Instant,
) -> Result<Value, ApiError> {
    let bytes = timeout_at(deadline, response.into_body().collect_bytes())
        .await
        .map_err(|_| {
            unanswered(
                label,
                "the answer did not end within the time limit".to_owned(),
            )
        })?
        .map_err(|error| unanswered(label, chain(&error)))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| unanswered(label, format!("the answer is not JSON: {error}")))
}

async fn refusal(label: Label<'_>, response: Response<Body>, deadline: Instant) -> ApiError {
    let code = response.status().as_u16();
    let mut retry_after = header_retry_after(response.headers());
    let body = timeout_at(deadline, response.into_body().collect_bytes()).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    let status: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let text = |key| status.get(key).and_then(Value::as_str).unwrap_or_default();
    let message = match text("message") {
        "" => {
            let plain = String::from_utf8_lossy(&body);
            let plain: String = plain.trim().chars().take(300).collect();
            if plain.is_empty() {
                format!("HTTP {code}")
            } else {
                format!("HTTP {code}: {plain}")
            }
        }
        message => message.to_owned(),
    };
    retry_after = retry_after.or_else(|| {
        let seconds = status.pointer("/details/retryAfterSeconds")?.as_u64()?;
        Some(Duration::from_secs(seconds)).filter(|wait| !wait.is_zero())
    });
    let causes = status.pointer("/details/causes").and_then(Value::as_array);
    let fields: Vec<String> = causes
        .into_iter()
        .flatten()
        .filter_map(|cause| Some(cause.get("field")?.as_str()?.to_owned()))
        .collect();
    let kind = match (code, text("reason")) {
        (_, "AlreadyExists") => ErrorKind::AlreadyExists,
        (404, _) => ErrorKind::NotFound,
        (409, _) => ErrorKind::Conflict,
        (401 | 403, _) => ErrorKind::Denied,
        (410, _) => ErrorKind::Expired,
        // A patch that carries the uid of an object that was deleted and made again.
        (422, _) if fields.iter().any(|field| field == "metadata.uid") => ErrorKind::Conflict,
        // The server answers 500 to an apply whose fields do not have the types of the schema; asking again helps nobody.
        (500, _) if message.starts_with(WRONG_TYPE) => ErrorKind::Invalid,
        (408 | 429, _) | (500.., _) => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    };
    ApiError {
        kind,
        code,
        request: label.to_string(),
        message,
        fields,
        retry_after,
        // 429 is given before anything is done; other 5xx may come after it.
        ambiguous: code >= 500 && kind == ErrorKind::Unavailable,
    }
}

/// `Retry-After` in seconds; the form with a date is not used by Kubernetes.
fn header_retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

fn unanswered(label: Label<'_>, message: String) -> ApiError {
    ApiError {
        kind: ErrorKind::Unavailable,
        code: 0,
        request: label.to_string(),
        message,
        fields: Vec::new(),
        retry_after: None,
        ambiguous: true,
    }
}

pub(crate) fn malformed(label: Label<'_>, error: &dyn fmt::Display) -> ApiError {
    ApiError {
        kind: ErrorKind::Invalid,
        code: 0,
        request: label.to_string(),
        message: format!("the request cannot be made: {error}"),
        fields: Vec::new(),
        retry_after: None,
        ambiguous: false,
    }
}

/// An error with its causes on one line; network errors say what happened only in their sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

pub(crate) fn accept_metadata_only(request: &mut Request<Vec<u8>>) {
    request.headers_mut().insert(header::ACCEPT, METADATA_ONLY);
}
