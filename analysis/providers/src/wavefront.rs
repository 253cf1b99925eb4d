//! Wavefront: for each series the point that is nearest to now. `result` is a number, or a list of numbers for several.
//!
//! Tokens are in the Secret `wavefront-api-tokens` of the controller's namespace, by address.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use sluice_analysis::Outcome;
use sluice_analysis::expression::Value;
use sluice_crds::analysis::Metric;

use crate::backend::{CredentialsRef, Server, settings};
use crate::http::{Clients, Failure};
use crate::provider::{Measuring, Provider, Task};

const TIMEOUT: Duration = Duration::from_secs(30);
const SECRET: &str = "wavefront-api-tokens";

/// The backend.
#[derive(Debug)]
pub(crate) struct Wavefront(pub(crate) Arc<Clients>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    address: String,
    #[serde(default)]
    query: String,
}

/// A number with its time and how far that is from now, in seconds.
struct Point {
    number: f64,
    at: i64,
    drift: i64,
}

impl Wavefront {
    async fn ask(&self, task: Task<'_>) -> Result<Outcome, Failure> {
        let metric: Settings = settings("wavefront", task.metric.provider.wavefront.as_ref())?;
        let token = task.credentials.and_then(|all| all.get(&metric.address));
        let token = token.ok_or_else(|| Failure::permanent("wavefront: API token not found"))?;
        let address = if metric.address.contains("://") {
            metric.address.clone()
        } else {
            format!("https://{}", metric.address)
        };
        let server = Server::new("Wavefront", &self.0, "wavefront.address", &address)?;
        let now = task.now.as_second();
        let moment = now.saturating_mul(1000).to_string();
        let mut url = server.below(&["api", "v2", "chart", "api"])?;
        url.query_pairs_mut()
            .append_pair("q", &metric.query)
            .append_pair("s", &moment)
            .append_pair("e", &moment)
            .append_pair("p", "1")
            .append_pair("g", "s")
            // Nothing would lie in a window without length.
            .append_pair("includeObsoleteMetrics", "false")
            .append_pair("i", "true")
            .append_pair("strict", "false");
        let request = server
            .client
            .get(url)
            .bearer_auth(token.trim())
            .timeout(TIMEOUT);
        let answer = server.ask_json(request).await?;
        let text = |key: &str| {
            answer
                .get(key)
                .and_then(Json::as_str)
                .filter(|it| !it.is_empty())
        };
        if let Some(error) = text("errorMessage") {
            return Err(Failure::permanent(format!("Wavefront: {error}")));
        }
        let series = answer.get("timeseries").and_then(Json::as_array);
        let points: Vec<Point> = series
            .into_iter()
            .flatten()
            .filter_map(|series| nearest(series, now))
            .collect();
        let (result, shown) = match points.as_slice() {
            [] => {
                let message = "No TimeSeries found in response from Wavefront";
                return Err(Failure::permanent(message));
            }
            [one] => (Value::Float(one.number), false),
            several => {
                let numbers: Vec<f64> = several.iter().map(|point| point.number).collect();
                (Value::numbers(numbers), true)
            }
        };
        let texts = |text: &dyn Fn(&Point) -> String| {
            let all: Vec<String> = points.iter().map(text).collect();
            let all = all.join(",");
            if shown { format!("[{all}]") } else { all }
        };
        let mut metadata = BTreeMap::from([
            (
                "timestamps".to_owned(),
                texts(&|point| point.at.to_string()),
            ),
            ("drift".to_owned(), texts(&|point| point.drift.to_string())),
        ]);
        if let Some(warnings) = text("warnings") {
            metadata.insert("warnings".to_owned(), warnings.to_owned());
        }
        Ok(Outcome::Value {
            value: result,
            display: texts(&|point| format!("{:.2}", point.number)),
            metadata,
        })
    }
}

/// The point of a series that is nearest to now; `None` for one without points.
fn nearest(series: &Json, now: i64) -> Option<Point> {
    let points = series.get("data")?.as_array()?;
    points
        .iter()
        .filter_map(|point| {
            let at = point.get(0)?.as_i64()?;
            Some(Point {
                number: point.get(1)?.as_f64()?,
                at,
                drift: at.saturating_sub(now),
            })
        })
        .min_by_key(|point| point.drift.unsigned_abs())
}

impl Provider for Wavefront {
    fn kind(&self) -> &'static str {
        "wavefront"
    }

    fn credentials(&self, _: &Metric) -> Option<CredentialsRef> {
        Some(CredentialsRef::of_controller(SECRET))
    }

    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a> {
        Box::pin(async move { self.ask(task).await.unwrap_or_else(Outcome::from) })
    }
}
