//! CloudWatch: `GetMetricData` over the last `interval`, in AWS' JSON protocol. `result` is the list of `MetricDataResults`,
//! with the names of AWS (`result[0].Values`); the value that is shown is the list of their numbers.
//!
//! Keys are those of the controller (see `crate::aws`), the region is `AWS_REGION`, and the address that of the region unless
//! `AWS_ENDPOINT_URL_CLOUDWATCH` or `AWS_ENDPOINT_URL` says something else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use sluice_analysis::Outcome;
use sluice_analysis::expression::{NumberText, Value};

use crate::aws::{Identity, Signer, region_name};
use crate::backend::{Server, period, settings};
use crate::http::{Clients, Credentials, Failure, Trust};
use crate::provider::{Measuring, Provider, Task};

const TIMEOUT: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_secs(300);

/// The backend.
#[derive(Debug)]
pub(crate) struct CloudWatch(pub(crate) Arc<Clients>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Settings {
    interval: Option<String>,
    #[serde(default)]
    metric_data_queries: Vec<Query>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Query {
    #[serde(default)]
    id: String,
    expression: Option<String>,
    label: Option<String>,
    metric_stat: Option<MetricStat>,
    period: Option<Json>,
    return_data: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MetricStat {
    #[serde(default)]
    metric: MetricName,
    period: Option<Json>,
    #[serde(default)]
    stat: String,
    unit: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MetricName {
    #[serde(default)]
    dimensions: Vec<Dimension>,
    #[serde(default)]
    metric_name: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Dimension {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

/// Whole seconds, as a number or as text.
fn seconds(field: &str, value: Option<&Json>) -> Result<Json, Failure> {
    let number = match value {
        None => return Ok(Json::Null),
        Some(Json::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
    };
    number
        .filter(|seconds: &i64| *seconds > 0)
        .map(Json::from)
        .ok_or_else(|| Failure::permanent(format!("{field} must be whole seconds above 0")))
}

/// An object without the fields that are null.
fn object(fields: Json) -> Json {
    match fields {
        Json::Object(fields) => {
            let set = fields.into_iter().filter(|(_, value)| !value.is_null());
            Json::Object(set.collect::<Map<String, Json>>())
        }
        other => other,
    }
}

impl Query {
    fn asked(&self, index: usize) -> Result<Json, Failure> {
        let field = format!("cloudWatch.metricDataQueries[{index}]");
        let stat = match &self.metric_stat {
            None => Json::Null,
            Some(stat) => {
                let dimensions: Vec<Json> = stat
                    .metric
                    .dimensions
                    .iter()
                    .map(|it| json!({"Name": it.name, "Value": it.value}))
                    .collect();
                let field = format!("{field}.metricStat.period");
                object(json!({
                    "Metric": object(json!({
                        "Namespace": stat.metric.namespace,
                        "MetricName": stat.metric.metric_name,
                        "Dimensions": (!dimensions.is_empty()).then_some(dimensions),
                    })),
                    "Period": seconds(&field, stat.period.as_ref())?,
                    "Stat": stat.stat,
                    "Unit": stat.unit.as_ref().filter(|unit| !unit.is_empty()),
                }))
            }
        };
        Ok(object(json!({
            "Id": self.id,
            "Expression": self.expression,
            "Label": self.label,
            "MetricStat": stat,
            "Period": seconds(&format!("{field}.period"), self.period.as_ref())?,
            "ReturnData": self.return_data,
        })))
    }
}

impl CloudWatch {
    async fn ask(&self, task: Task<'_>) -> Result<Outcome, Failure> {
        let metric: Settings = settings("cloudWatch", task.metric.provider.cloud_watch.as_ref())?;
        let interval = period("cloudWatch.interval", metric.interval.as_deref(), INTERVAL)?;
        let start = task.now.checked_sub(interval).unwrap_or(Timestamp::MIN);
        let mut queries = Vec::new();
        for (index, query) in metric.metric_data_queries.iter().enumerate() {
            queries.push(query.asked(index)?);
        }
        let body = json!({
            "StartTime": start.as_second(), "EndTime": task.now.as_second(), "MetricDataQueries": queries,
        });
        let (signer, server) = self.server(task.now).await?;
        let request = server
            .client
            .post(server.base.clone())
            .header("Content-Type", "application/x-amz-json-1.0")
            .header(
                "X-Amz-Target",
                "GraniteServiceVersion20100801.GetMetricData",
            )
            .body(body.to_string())
            .timeout(TIMEOUT);
        let signed = Credentials::Signature(Box::new(signer)).apply(request)?;
        outcome(&server.ask_json(signed).await?)
    }

    /// Who signs, and for which server.
    async fn server(&self, now: Timestamp) -> Result<(Signer, Server), Failure> {
        let Self(clients) = self;
        let environment = &clients.aws.environment;
        let region = environment.region().ok_or_else(|| {
            Failure::permanent("cloudWatch: the controller's environment has no AWS_REGION")
        })?;
        let (field, address) =
            environment.endpoint("monitoring", "AWS_ENDPOINT_URL_CLOUDWATCH", region);
        let server = Server::new("CloudWatch", clients, field, &address)?;
        let client = clients.get(&Trust::System)?;
        let keys = clients.aws.keys(&client, &Identity::default(), now).await;
        let signer = Signer {
            keys: keys.map_err(|failure| failure.within("cloudWatch"))?,
            region: region_name("AWS_REGION", region)?.to_owned(),
            service: "monitoring",
            now,
        };
        let server = server.hiding(signer.keys.secrets());
        Ok((signer, server))
    }
}

fn outcome(answer: &Json) -> Result<Outcome, Failure> {
    if answer
        .get("NextToken")
        .is_some_and(|token| !token.is_null())
    {
        return Err(Failure::permanent(
            "CloudWatch has more numbers than one answer holds: ask for a shorter interval",
        ));
    }
    let results = answer.get("MetricDataResults").and_then(Json::as_array);
    let results = results.ok_or_else(|| {
        Failure::permanent("CloudWatch answers without MetricDataResults".to_owned())
    })?;
    let shown: Vec<String> = results
        .iter()
        .map(|result| {
            let values = result.get("Values").and_then(Json::as_array);
            let numbers: Vec<String> = values
                .into_iter()
                .flatten()
                .filter_map(Json::as_f64)
                .map(|number| NumberText(number).to_string())
                .collect();
            format!("[{}]", numbers.join(" "))
        })
        .collect();
    let messages = answer.get("Messages").and_then(Json::as_array);
    let messages = messages.filter(|messages| !messages.is_empty());
    let metadata: BTreeMap<String, String> = messages
        .map(|messages| {
            (
                "messages".to_owned(),
                Json::from(messages.clone()).to_string(),
            )
        })
        .into_iter()
        .collect();
    Ok(Outcome::Value {
        value: Value::from_json(&Json::from(results.clone())),
        display: format!("[{}]", shown.join(" ")),
        metadata,
    })
}

impl Provider for CloudWatch {
    fn kind(&self) -> &'static str {
        "cloudWatch"
    }

    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a> {
        Box::pin(async move { self.ask(task).await.unwrap_or_else(Outcome::from) })
    }
}
