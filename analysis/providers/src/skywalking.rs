//! SkyWalking: a GraphQL query over the last `interval`. `result` is the `data` of the answer.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use sluice_analysis::Outcome;
use sluice_analysis::expression::Value;

use crate::backend::{Server, period, settings, value};
use crate::http::{Clients, Failure};
use crate::provider::{Measuring, Provider, Task};

const TIMEOUT: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_secs(300);

/// The backend.
#[derive(Debug)]
pub(crate) struct SkyWalking(pub(crate) Arc<Clients>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    address: String,
    #[serde(default)]
    query: String,
    interval: Option<String>,
}

impl SkyWalking {
    async fn ask(&self, task: Task<'_>) -> Result<Outcome, Failure> {
        let metric: Settings = settings("skywalking", task.metric.provider.sky_walking.as_ref())?;
        let server = Server::new("SkyWalking", &self.0, "skywalking.address", &metric.address)?;
        let interval = metric.interval.as_deref();
        let interval = period("skywalking.interval", interval, INTERVAL)?;
        let start = task.now.checked_sub(interval).unwrap_or(Timestamp::MIN);
        let minute = |time: Timestamp| time.strftime("%Y-%m-%d %H%M").to_string();
        let variables = json!({ "duration": {
            "start": minute(start), "end": minute(task.now), "step": "MINUTE"
        } });
        let request = server
            .client
            .post(server.below(&["graphql"])?)
            .header("Content-Type", "application/json")
            .body(json!({ "query": metric.query, "variables": variables }).to_string())
            .timeout(TIMEOUT);
        let answer = server.ask_json(request).await?;
        if let Some(error) = answer.pointer("/errors/0/message").and_then(Json::as_str) {
            return Err(Failure::permanent(format!("SkyWalking: {error}")));
        }
        match answer.get("data").filter(|data| !data.is_null()) {
            Some(data) => Ok(value(Value::from_json(data), data.to_string())),
            None => Err(Failure::permanent(
                "no results returned from SkyWalking query",
            )),
        }
    }
}

impl Provider for SkyWalking {
    fn kind(&self) -> &'static str {
        "skywalking"
    }

    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a> {
        Box::pin(async move { self.ask(task).await.unwrap_or_else(Outcome::from) })
    }
}
