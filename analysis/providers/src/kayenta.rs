//! Kayenta: a canary analysis that runs there and is asked for until it is complete. It judges by itself: the score is held
//! against the thresholds, not against the conditions of the metric.
//!
//! The id of the analysis is in the metadata of the measurement. An analysis that nobody needs any more runs to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use sluice_analysis::{Outcome, Phase};
use sluice_crds::analysis::Measurement;

use crate::backend::{Server, settings};
use crate::http::{Clients, Failure};
use crate::provider::{Measuring, Provider, Task};

const WHO: &str = "Kayenta";
const TIMEOUT: Duration = Duration::from_secs(15);
/// Until an analysis under way is looked at again.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);
/// Key of the measurement's metadata: the analysis.
const EXECUTION: &str = "canaryExecutionId";
/// Characters of an id that is kept; those of Kayenta have 26.
const LONGEST_ID: usize = 128;

/// The backend.
#[derive(Debug)]
pub(crate) struct Kayenta(pub(crate) Arc<Clients>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Settings {
    address: String,
    application: String,
    canary_config_name: String,
    #[serde(default)]
    metrics_account_name: String,
    #[serde(default)]
    configuration_account_name: String,
    #[serde(default)]
    storage_account_name: String,
    threshold: Threshold,
    scopes: Vec<Scope>,
}

/// Scores from 0 to 100.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Threshold {
    pass: i64,
    marginal: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Scope {
    name: String,
    control_scope: Side,
    experiment_scope: Side,
}

/// Times are handed on as they are written; Kayenta reads them.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Side {
    scope: String,
    #[serde(default)]
    region: String,
    /// Seconds.
    step: i64,
    start: String,
    end: String,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
}

impl Threshold {
    /// Whole points count: 89.9 does not reach 90.
    fn judge(self, score: f64) -> Phase {
        let reached = |limit: i64| score.trunc() >= limit as f64;
        if reached(self.pass) {
            Phase::Successful
        } else if reached(self.marginal) {
            Phase::Inconclusive
        } else {
            Phase::Failed
        }
    }
}

impl Kayenta {
    async fn ask(&self, task: Task<'_>) -> Result<Outcome, Failure> {
        let metric: Settings = settings("kayenta", task.metric.provider.kayenta.as_ref())?;
        let server = Server::new(WHO, &self.0, "kayenta.address", &metric.address)?;
        match task.resume {
            Some(measurement) => {
                look(&server, metric.threshold, execution(measurement)?, task.now).await
            }
            None => begin(&server, &metric, task.now).await,
        }
    }
}

/// The analysis of a measurement under way.
fn execution(measurement: &Measurement) -> Result<&str, Failure> {
    let metadata = measurement.metadata.as_ref();
    metadata
        .and_then(|metadata| metadata.get(EXECUTION))
        .filter(|id| !id.is_empty())
        .map(String::as_str)
        .ok_or_else(|| {
            Failure::permanent(format!(
                "kayenta: the measurement under way has no {EXECUTION} in its metadata"
            ))
        })
}

/// Starts an analysis.
async fn begin(server: &Server, metric: &Settings, now: Timestamp) -> Result<Outcome, Failure> {
    let body = json!({ "scopes": scopes(&metric.scopes)?, "thresholds": metric.threshold });
    let config = config(server, metric).await?;
    let mut url = server.below(&["canary", &config])?;
    let accounts = [
        ("application", &metric.application),
        ("metricsAccountName", &metric.metrics_account_name),
        (
            "configurationAccountName",
            &metric.configuration_account_name,
        ),
        ("storageAccountName", &metric.storage_account_name),
    ];
    url.query_pairs_mut()
        .extend_pairs(accounts.iter().filter(|(_, value)| !value.is_empty()));
    let request = server.client.post(url).json(&body).timeout(TIMEOUT);
    let answer = server.ask_json(request).await?;
    let id = answer.get(EXECUTION).and_then(Json::as_str);
    let id = id
        .filter(|id| !id.is_empty() && id.len() <= LONGEST_ID)
        .ok_or_else(|| Failure::permanent(format!("{WHO} answers without {EXECUTION}")))?;
    Ok(Outcome::Resume {
        resume_at: now.checked_add(AGAIN).ok(),
        metadata: BTreeMap::from([(EXECUTION.to_owned(), id.to_owned())]),
    })
}

/// The id of the config of that name, where the analysis will read it.
async fn config(server: &Server, metric: &Settings) -> Result<String, Failure> {
    let mut url = server.below(&["canaryConfig"])?;
    let account = &metric.configuration_account_name;
    url.query_pairs_mut()
        .append_pair("application", &metric.application)
        .extend_pairs((!account.is_empty()).then_some(("configurationAccountName", account)));
    let request = server.client.get(url).timeout(TIMEOUT);
    let answer = server.ask_json(request).await?;
    let configs: Vec<Config> = serde_json::from_value(answer).map_err(|_| {
        Failure::permanent(format!("{WHO} answers without a list of canary configs"))
    })?;
    let name = &metric.canary_config_name;
    configs
        .into_iter()
        .find(|config| config.name == *name && !config.id.is_empty())
        .map(|config| config.id)
        .ok_or_else(|| {
            Failure::permanent(format!(
                "kayenta.canaryConfigName: {WHO} has no canary config {name} for the application {}",
                metric.application
            ))
        })
}

fn scopes(written: &[Scope]) -> Result<Map<String, Json>, Failure> {
    let mut scopes = Map::new();
    for (index, scope) in written.iter().enumerate() {
        let sides = json!({
            "controlScope": scope.control_scope, "experimentScope": scope.experiment_scope,
        });
        if scopes.insert(scope.name.clone(), sides).is_some() {
            return Err(Failure::permanent(format!(
                "kayenta.scopes[{index}].name: there are two scopes {}",
                scope.name
            )));
        }
    }
    Ok(scopes)
}

/// Looks at an analysis under way.
async fn look(
    server: &Server,
    threshold: Threshold,
    id: &str,
    now: Timestamp,
) -> Result<Outcome, Failure> {
    let url = server.below(&["canary", id])?;
    let answer = server
        .ask_json(server.client.get(url).timeout(TIMEOUT))
        .await?;
    match answer.get("complete").and_then(Json::as_bool) {
        Some(true) => {}
        Some(false) => {
            return Ok(Outcome::Resume {
                resume_at: now.checked_add(AGAIN).ok(),
                metadata: BTreeMap::new(),
            });
        }
        None => {
            return Err(Failure::permanent(format!(
                "{WHO} does not say whether the analysis {id} is complete"
            )));
        }
    }
    let score = answer.pointer("/result/judgeResult/score/score");
    let score = score.and_then(Json::as_f64).ok_or_else(|| {
        let status = answer.get("status").and_then(Json::as_str);
        Failure::permanent(format!(
            "{WHO} ended the analysis {id} without a score, as {}: look at it there",
            status.unwrap_or("unknown")
        ))
    })?;
    Ok(Outcome::Finished {
        phase: threshold.judge(score),
        value: Some(score.trunc().to_string()),
        message: None,
        metadata: BTreeMap::new(),
    })
}

impl Provider for Kayenta {
    fn kind(&self) -> &'static str {
        "kayenta"
    }

    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a> {
        Box::pin(async move { self.ask(task).await.unwrap_or_else(Outcome::from) })
    }
}
