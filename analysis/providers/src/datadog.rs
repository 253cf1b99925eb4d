//! Datadog: the newest number of a query, by the scalar API (v2) or by the series API (v1). Nothing found is nil.
//!
//! Credentials are in the Secret `datadog` of the controller's namespace, or in the one that `secretRef` names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use sluice_analysis::Outcome;
use sluice_analysis::expression::{NumberText, Value};
use sluice_crds::analysis::Metric;

use crate::backend::{CredentialsRef, Server, needed, period, settings, value};
use crate::http::{Clients, Failure};
use crate::provider::{Measuring, Provider, Task};

const TIMEOUT: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(300);
const ADDRESS: &str = "https://api.datadoghq.com";

/// The backend.
#[derive(Debug)]
pub(crate) struct Datadog(pub(crate) Arc<Clients>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct Settings {
    interval: Option<String>,
    query: String,
    queries: BTreeMap<String, String>,
    formula: String,
    api_version: Option<String>,
    aggregator: String,
    secret_ref: SecretRef,
    request_timeout: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct SecretRef {
    name: String,
    namespaced: bool,
}

impl Settings {
    fn first_version(&self) -> bool {
        // The default of the API.
        self.api_version.as_deref().unwrap_or("v1") == "v1"
    }

    fn check(&self) -> Result<(), Failure> {
        let many = self.queries.len();
        let problem = if self.query.is_empty() && many == 0 {
            "Must have either a query or queries. Please review the Analysis Template."
        } else if !self.query.is_empty() && many > 0 {
            "Cannot have both a query and queries. Please review the Analysis Template."
        } else if self.first_version() && self.query.is_empty() {
            "Query is empty. API Version v1 only supports using the query parameter in your Analysis Template."
        } else if !self.formula.is_empty() && many == 0 {
            "Formula are only valid when queries are set. Please review the Analysis Template."
        } else if self.formula.is_empty() && many > 1 {
            "When multiple queries are provided you must include a formula."
        } else if self.first_version() && !self.aggregator.is_empty() {
            "Aggregator is not supported in v1. Please review the Analysis Template."
        } else {
            return Ok(());
        };
        Err(Failure::permanent(format!("datadog: {problem}")))
    }
}

impl Datadog {
    async fn ask(&self, task: Task<'_>) -> Result<Outcome, Failure> {
        let metric: Settings = settings("datadog", task.metric.provider.datadog.as_ref())?;
        metric.check()?;
        let api_key = needed("datadog", task.credentials, "api-key")?;
        let app_key = needed("datadog", task.credentials, "app-key")?;
        let address = task.credentials.and_then(|all| all.get("address"));
        let address = address
            .map(|text| text.trim())
            .filter(|text| !text.is_empty());
        let server = Server::new(
            "Datadog",
            &self.0,
            "address of the datadog Secret",
            address.unwrap_or(ADDRESS),
        )?;
        let interval = period("datadog.interval", metric.interval.as_deref(), INTERVAL)?;
        let timeout = metric.request_timeout.as_deref();
        let timeout = period("datadog.requestTimeout", timeout, TIMEOUT)?;
        let (to, seconds) = (task.now.as_second(), i64::try_from(interval.as_secs()));
        let from = to.saturating_sub(seconds.unwrap_or(i64::MAX));
        let request = if metric.first_version() {
            let mut url = server.below(&["api", "v1", "query"])?;
            url.query_pairs_mut()
                .append_pair("query", &metric.query)
                .append_pair("from", &from.to_string())
                .append_pair("to", &to.to_string());
            server.client.get(url)
        } else {
            let url = server.below(&["api", "v2", "query", "scalar"])?;
            server
                .client
                .post(url)
                .body(scalar_request(&metric, from, to).to_string())
        };
        let request = request
            .header("Content-Type", "application/json")
            .header("DD-API-KEY", api_key)
            .header("DD-APPLICATION-KEY", app_key)
            .timeout(timeout);
        let answer = server.ask_json(request).await?;
        if metric.first_version() {
            series(&answer)
        } else {
            scalar(&answer)
        }
    }
}

fn scalar_request(metric: &Settings, from: i64, to: i64) -> Json {
    let aggregator = match metric.aggregator.as_str() {
        "" => "last",
        given => given,
    };
    let mut queries = metric.queries.clone();
    if !metric.query.is_empty() {
        queries.insert("query".to_owned(), metric.query.clone());
    }
    let queries: Vec<Json> = queries
        .iter()
        .map(|(name, query)| {
            json!({ "aggregator": aggregator, "data_source": "metrics", "name": name, "query": query })
        })
        .collect();
    let formulas: Vec<Json> = Some(&metric.formula)
        .filter(|formula| !formula.is_empty())
        .map(|formula| json!({ "formula": formula }))
        .into_iter()
        .collect();
    json!({ "data": { "type": "scalar_request", "attributes": {
        "from": from.saturating_mul(1000), "to": to.saturating_mul(1000),
        "queries": queries, "formulas": formulas
    } } })
}

/// The newest point of the first series.
fn series(answer: &Json) -> Result<Outcome, Failure> {
    let series = answer.get("series").and_then(Json::as_array);
    let series =
        series.ok_or_else(|| Failure::permanent("Could not parse JSON body: no series"))?;
    let points = series
        .first()
        .and_then(|one| one.get("pointlist")?.as_array());
    let Some(last) = points.and_then(|points| points.last()) else {
        return Ok(value(Value::Nil, "[]".to_owned()));
    };
    let number = last.get(1).and_then(Json::as_f64);
    number
        .map(found)
        .ok_or_else(|| Failure::permanent("Datapoint does not have 2 values"))
}

/// The first value of the first column.
fn scalar(answer: &Json) -> Result<Outcome, Failure> {
    let errors = answer.pointer("/data/errors").and_then(Json::as_str);
    if let Some(errors) = errors.filter(|errors| !errors.is_empty()) {
        let message = format!("There were errors in your query: {errors}");
        return Err(Failure::permanent(message));
    }
    let column = answer.pointer("/data/attributes/columns/0/values");
    match column.and_then(|values| values.get(0)?.as_f64()) {
        Some(number) => Ok(found(number)),
        None => Ok(value(
            Value::Nil,
            column.map_or("[]".to_owned(), Json::to_string),
        )),
    }
}

fn found(number: f64) -> Outcome {
    value(Value::Float(number), NumberText(number).to_string())
}

impl Provider for Datadog {
    fn kind(&self) -> &'static str {
        "datadog"
    }

    fn credentials(&self, metric: &Metric) -> Option<CredentialsRef> {
        let given: Option<Settings> = settings("datadog", metric.provider.datadog.as_ref()).ok();
        let given = given.unwrap_or_default().secret_ref;
        let name = if given.name.is_empty() {
            "datadog"
        } else {
            &given.name
        };
        Some(CredentialsRef {
            secret: name.to_owned(),
            of_run: given.namespaced,
        })
    }

    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a> {
        Box::pin(async move { self.ask(task).await.unwrap_or_else(Outcome::from) })
    }
}
