//! Graphite's render API: `result` is the list of the numbers of the first series.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use sluice_analysis::Outcome;
use sluice_analysis::expression::Value;

use crate::backend::{Server, list, settings, value};
use crate::http::{Clients, Failure};
use crate::provider::{Measuring, Provider, Task};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The backend.
#[derive(Debug)]
pub(crate) struct Graphite(pub(crate) Arc<Clients>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    address: String,
    #[serde(default)]
    query: String,
}

impl Graphite {
    async fn ask(&self, task: Task<'_>) -> Result<Outcome, Failure> {
        let metric: Settings = settings("graphite", task.metric.provider.graphite.as_ref())?;
        let server = Server::new("Graphite", &self.0, "graphite.address", &metric.address)?;
        // White space is for people; what is left is a query string.
        let query: String = metric.query.split_whitespace().collect();
        let mut url = server.below(&["render"])?;
        url.set_query(Some(&query));
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(key, _)| key != "format")
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        url.query_pairs_mut()
            .clear()
            .extend_pairs(pairs)
            .append_pair("format", "json");
        let answer = server
            .ask_json(server.client.get(url).timeout(TIMEOUT))
            .await?;
        let points = answer
            .get(0)
            .and_then(|series| series.get("datapoints")?.as_array())
            .filter(|points| !points.is_empty())
            .ok_or_else(|| Failure::permanent("no values found"))?;
        let numbers = points
            .iter()
            .filter_map(|point| match point.get(0)? {
                Json::Null => None,
                Json::String(text) => Some(text.parse().map_err(|_| text.clone())),
                other => Some(other.as_f64().ok_or_else(|| other.to_string())),
            })
            .collect::<Result<Vec<f64>, String>>()
            .map_err(|text| {
                Failure::permanent(format!("Graphite answers with the value {text}"))
            })?;
        let display = list(&numbers);
        Ok(value(Value::numbers(numbers), display))
    }
}

impl Provider for Graphite {
    fn kind(&self) -> &'static str {
        "graphite"
    }

    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a> {
        Box::pin(async move { self.ask(task).await.unwrap_or_else(Outcome::from) })
    }
}
