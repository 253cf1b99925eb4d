//! Prometheus, and what speaks its API: instant queries, and range queries.
//!
//! `result` is a number for a scalar and a list of numbers for a vector. A range gives the numbers of all its series,
//! one after the other. NaN and infinities are kept.

mod answer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode, Url};
use sluice_analysis::Outcome;
use sluice_analysis::condition;
use sluice_crds::analysis::{PrometheusProvider, PrometheusRangeQuery};
use sluice_crds::duration;

use crate::http::{
    self, Answer, Clients, Credentials, Failure, Trust, address, authorize, headers, origin,
};
use crate::provider::{Measuring, Provider, Task};

/// Seconds until a query is given up, when the metric does not say.
pub const DEFAULT_TIMEOUT_SECONDS: i64 = 30;

const WHO: &str = "Prometheus";

/// The backend.
#[derive(Debug)]
pub struct Prometheus {
    clients: Arc<Clients>,
    default_address: Option<String>,
}

impl Prometheus {
    /// A backend with a default address.
    #[must_use]
    pub fn new(clients: Arc<Clients>, default_address: Option<String>) -> Self {
        Self {
            clients,
            default_address,
        }
    }

    async fn query(&self, metric: &PrometheusProvider, now: Timestamp) -> Result<Outcome, Failure> {
        let written = metric
            .address
            .as_deref()
            .filter(|address| !address.is_empty())
            .or(self.default_address.as_deref())
            .ok_or_else(|| {
                Failure::permanent(
                    "prometheus.address: neither the metric nor the controller says where Prometheus is",
                )
            })?;
        let base = address("prometheus.address", written, self.clients.allow_link_local)?;
        let timeout = timeout(metric.timeout)?;
        let trust = Trust::of(metric.insecure.unwrap_or(false), metric.ca_cert.as_deref());
        let client = self.clients.get(&trust)?;
        let request = Request {
            origin: origin(&base),
            headers: headers(metric.headers.as_ref())?,
            timeout,
            form: form(metric, timeout, now)?,
            url: endpoint(&base, metric.range_query.is_some())?,
            credentials: authorize(
                &self.clients,
                &client,
                metric.authentication.as_ref(),
                timeout,
                now,
            )
            .await?,
            client,
        };
        let answer = request.send().await?.hiding(&request.credentials);
        let parsed = answer::parse(&answer.body, answer.status)?;
        let mut metadata = BTreeMap::new();
        if !parsed.warnings.is_empty() {
            metadata.insert("warnings".to_owned(), parsed.warnings.join(", "));
        }
        Ok(Outcome::Value {
            value: parsed.value,
            display: parsed.display,
            metadata,
        })
    }
}

impl Provider for Prometheus {
    fn kind(&self) -> &'static str {
        "prometheus"
    }

    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a> {
        Box::pin(async move {
            let Some(metric) = &task.metric.provider.prometheus else {
                return Failure::permanent("the metric has no prometheus provider").into();
            };
            self.query(metric, task.now)
                .await
                .unwrap_or_else(Outcome::from)
        })
    }
}

/// A query, ready to be sent.
struct Request {
    client: Client,
    origin: String,
    headers: HeaderMap,
    timeout: Duration,
    form: Vec<(&'static str, String)>,
    url: Url,
    credentials: Credentials,
}

impl Request {
    /// In the body of a POST, since queries are long; in the address of a GET for servers that take nothing else.
    async fn send(&self) -> Result<Answer, Failure> {
        let post = self
            .client
            .post(self.url.clone())
            .form(&self.form)
            .headers(self.headers.clone())
            .timeout(self.timeout);
        let answer = http::send(WHO, &self.origin, self.credentials.apply(post)?).await?;
        if !matches!(
            answer.status,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
        ) {
            return Ok(answer);
        }
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(&self.form);
        let get = self
            .client
            .get(url)
            .headers(self.headers.clone())
            .timeout(self.timeout);
        http::send(WHO, &self.origin, self.credentials.apply(get)?).await
    }
}

fn timeout(seconds: Option<i64>) -> Result<Duration, Failure> {
    match seconds.filter(|seconds| *seconds != 0) {
        None => Ok(Duration::from_secs(DEFAULT_TIMEOUT_SECONDS.unsigned_abs())),
        Some(seconds) => u64::try_from(seconds)
            .map(Duration::from_secs)
            .map_err(|_| Failure::permanent("prometheus.timeout must not be negative")),
    }
}

/// The address of the API below the base, which may have a path of its own.
fn endpoint(base: &Url, range: bool) -> Result<Url, Failure> {
    let mut url = base.clone();
    url.set_query(None);
    url.path_segments_mut()
        .map_err(|()| Failure::permanent("prometheus.address: not an address of a server"))?
        .pop_if_empty()
        .extend(["api", "v1", if range { "query_range" } else { "query" }]);
    Ok(url)
}

fn form(
    metric: &PrometheusProvider,
    timeout: Duration,
    now: Timestamp,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let query = metric.query.as_deref().unwrap_or_default().trim();
    if query.is_empty() {
        return Err(Failure::permanent("prometheus.query is empty"));
    }
    let mut form = vec![
        ("query", query.to_owned()),
        ("timeout", format!("{}s", timeout.as_secs())),
    ];
    if let Some(range) = &metric.range_query {
        form.extend(range_form(range, now)?);
    }
    Ok(form)
}

fn range_form(
    range: &PrometheusRangeQuery,
    now: Timestamp,
) -> Result<[(&'static str, String); 3], Failure> {
    let bound = |field: &str, text: Option<&String>| {
        condition::instant(text.map_or("", String::as_str), now)
            .map_err(|error| Failure::permanent(format!("prometheus.rangeQuery.{field}: {error}")))
    };
    let start = bound("start", range.start.as_ref())?;
    let end = bound("end", range.end.as_ref())?;
    let step = duration::parse(range.step.as_deref().unwrap_or_default())
        .map_err(|error| Failure::permanent(format!("prometheus.rangeQuery.step: {error}")))?;
    if step.is_negative() || step.is_zero() {
        return Err(Failure::permanent(
            "prometheus.rangeQuery.step must be longer than nothing",
        ));
    }
    if end < start {
        return Err(Failure::permanent(format!(
            "prometheus.rangeQuery: the end {end} is before the start {start}"
        )));
    }
    let seconds = |time: Timestamp| format!("{}", time.as_duration().as_secs_f64());
    Ok([
        ("start", seconds(start)),
        ("end", seconds(end)),
        ("step", format!("{}", step.as_secs_f64())),
    ])
}
