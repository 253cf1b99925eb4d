//! Any HTTP endpoint: the answer is JSON, or a text, and `jsonPath` picks the part that is `result`.

mod json_path;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder};
use sluice_analysis::Outcome;
use sluice_analysis::expression::{NumberText, Value};
use sluice_crds::analysis::{Sigv4, WebProvider};

pub use json_path::{JsonPath, JsonPathError};

use crate::http::{self, Clients, Failure, Trust, address, authorize, headers, origin};
use crate::provider::{Measuring, Provider, Task};

/// Seconds until a request is given up, when the metric does not say.
pub const DEFAULT_TIMEOUT_SECONDS: i64 = 10;

const WHO: &str = "the web metric";

/// The backend.
#[derive(Debug)]
pub struct Web {
    clients: Arc<Clients>,
}

impl Web {
    /// A backend.
    #[must_use]
    pub fn new(clients: Arc<Clients>) -> Self {
        Self { clients }
    }

    async fn ask(&self, metric: &WebProvider, now: Timestamp) -> Result<Outcome, Failure> {
        let path = JsonPath::parse(metric.json_path.as_deref().unwrap_or_default())
            .map_err(|error| Failure::permanent(format!("web.jsonPath: {error}")))?;
        let url = address("web.url", &metric.url, self.clients.allow_link_local)?;
        let timeout = timeout(metric.timeout_seconds)?;
        let origin = origin(&url);
        let client = self
            .clients
            .get(&Trust::of(metric.insecure.unwrap_or(false), None))?;
        let sigv4 = metric
            .authentication
            .as_ref()
            .and_then(|it| it.sigv4.as_ref());
        if sigv4.is_some_and(|sigv4| *sigv4 != Sigv4::default()) {
            return Err(Failure::permanent(
                "web.authentication.sigv4: only requests to Prometheus are signed for AWS: use basicAuth or oauth2",
            ));
        }
        let credentials = authorize(
            &self.clients,
            &client,
            metric.authentication.as_ref(),
            timeout,
            now,
        )
        .await?;
        let request = client.request(method(metric)?, url).timeout(timeout);
        let request = body(metric, request)?.headers(headers(metric.headers.as_ref())?);
        let answer = http::send(WHO, &origin, credentials.apply(request)?).await?;
        if !answer.status.is_success() {
            return Err(Failure {
                message: format!(
                    "{WHO} received non 2xx response code: {} from {origin}",
                    answer.status.as_u16()
                ),
                transient: answer.status.is_server_error(),
            });
        }
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&answer.body) else {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            if path != JsonPath::root() {
                return Err(Failure::permanent(format!(
                    "{WHO} at {origin} answers with something else than JSON, and jsonPath asks for a part of it"
                )));
            }
            return Ok(value(Value::from(text.as_str()), text));
        };
        let part = path.find(&json).map_err(|error| {
            Failure::permanent(format!("web.jsonPath: {error} in the answer of {origin}"))
        })?;
        let display = match part {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) => number.as_f64().map_or_else(
                || number.to_string(),
                |number| NumberText(number).to_string(),
            ),
            other => other.to_string(),
        };
        Ok(value(Value::from_json(part), display))
    }
}

fn value(value: Value, display: String) -> Outcome {
    Outcome::Value {
        value,
        display: shorten(display),
        metadata: BTreeMap::new(),
    }
}

/// Bytes of a value that the status of a run shows at most; conditions see all of it.
const SHOWN: usize = 1024;

fn shorten(text: String) -> String {
    if text.len() <= SHOWN {
        return text;
    }
    let end = (0..=SHOWN)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

impl Provider for Web {
    fn kind(&self) -> &'static str {
        "web"
    }

    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a> {
        Box::pin(async move {
            let Some(metric) = &task.metric.provider.web else {
                return Failure::permanent("the metric has no web provider").into();
            };
            self.ask(metric, task.now)
                .await
                .unwrap_or_else(Outcome::from)
        })
    }
}

fn method(metric: &WebProvider) -> Result<Method, Failure> {
    match metric.method.as_deref().unwrap_or_default() {
        "" | "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        other => Err(Failure::permanent(format!(
            "web.method must be GET, POST or PUT, not {other:?}"
        ))),
    }
}

fn body(metric: &WebProvider, request: RequestBuilder) -> Result<RequestBuilder, Failure> {
    let written = metric.body.as_deref().filter(|body| !body.is_empty());
    let body = match (written, &metric.json_body) {
        (None, None) => return Ok(request),
        (Some(_), Some(_)) => {
            return Err(Failure::permanent(
                "web.body and web.jsonBody exclude each other",
            ));
        }
        _ if method(metric)? == Method::GET => {
            return Err(Failure::permanent(
                "web.body and web.jsonBody need the method POST or PUT",
            ));
        }
        (Some(body), None) => return Ok(request.body(body.to_owned())),
        (None, Some(json)) => json.to_string(),
    };
    Ok(request
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(body))
}

fn timeout(seconds: Option<i64>) -> Result<Duration, Failure> {
    match seconds.filter(|seconds| *seconds != 0) {
        None => Ok(Duration::from_secs(DEFAULT_TIMEOUT_SECONDS.unsigned_abs())),
        Some(seconds) => u64::try_from(seconds)
            .map(Duration::from_secs)
            .map_err(|_| Failure::permanent("web.timeoutSeconds must not be negative")),
    }
}
