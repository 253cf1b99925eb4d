//! New Relic: an NRQL query by NerdGraph. `result` is the row of the answer, or the list of its rows.
//!
//! Credentials are in the Secret `newrelic` of the controller's namespace, or in the one that `profile` names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use sluice_analysis::Outcome;
use sluice_analysis::expression::Value;
use sluice_crds::analysis::Metric;

use crate::backend::{CredentialsRef, Server, needed, settings};
use crate::http::{Clients, Failure};
use crate::provider::{Measuring, Provider, Task};

/// Seconds that New Relic may take for the query, unless the metric says otherwise.
const QUERY_SECONDS: i64 = 5;
/// What the way there and back may take besides.
const MARGIN: Duration = Duration::from_secs(10);
const QUERY: &str = "query($query: Nrql!, $accountId: Int!, $timeout: Seconds!) \
    { actor { account(id: $accountId) { nrql(query: $query, timeout: $timeout) { results } } } }";

/// The backend.
#[derive(Debug)]
pub(crate) struct NewRelic(pub(crate) Arc<Clients>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    profile: String,
    #[serde(default)]
    query: String,
    timeout: Option<i64>,
}

impl NewRelic {
    async fn ask(&self, task: Task<'_>) -> Result<Outcome, Failure> {
        let metric: Settings = settings("newRelic", task.metric.provider.new_relic.as_ref())?;
        let key = needed("newRelic", task.credentials, "personal-api-key")?;
        let account = needed("newRelic", task.credentials, "account-id")?;
        let account: i64 = account
            .parse()
            .map_err(|_| Failure::permanent("newRelic: could not parse account ID"))?;
        let seconds = metric.timeout.unwrap_or(QUERY_SECONDS);
        let wait = u64::try_from(seconds).map_err(|_| {
            Failure::permanent("newRelic.timeout: timeout value needs to be a positive value")
        })?;
        let given = |key: &str| {
            task.credentials
                .and_then(|all| all.get(key))
                .map(|it| it.trim())
        };
        let address = match (given("base-url-nerdgraph"), given("region")) {
            (Some(address), _) if !address.is_empty() => address,
            (_, None | Some("" | "us" | "US")) => "https://api.newrelic.com/graphql",
            (_, Some("eu" | "EU")) => "https://api.eu.newrelic.com/graphql",
            (_, Some(other)) => {
                let message = format!("newRelic: the region {other} is not known: write us or eu");
                return Err(Failure::permanent(message));
            }
        };
        let field = "base-url-nerdgraph of the newrelic Secret";
        let server = Server::new("New Relic", &self.0, field, address)?;
        let variables = json!({ "accountId": account, "query": metric.query, "timeout": seconds });
        let request = server
            .client
            .post(server.base.clone())
            .header("Api-Key", key)
            .header("Content-Type", "application/json")
            .body(json!({ "query": QUERY, "variables": variables }).to_string())
            .timeout(Duration::from_secs(wait).saturating_add(MARGIN));
        let answer = server.ask_json(request).await?;
        if let Some(error) = answer.pointer("/errors/0/message").and_then(Json::as_str) {
            return Err(Failure::permanent(format!("New Relic: {error}")));
        }
        let rows = answer.pointer("/data/actor/account/nrql/results");
        let result = match rows.and_then(Json::as_array).map(Vec::as_slice) {
            Some([Json::Object(row)]) if row.is_empty() => None,
            Some([row]) => Some(row.clone()),
            Some([]) | None => None,
            Some(rows) => Some(Json::Array(rows.to_vec())),
        };
        let result =
            result.ok_or_else(|| Failure::permanent("no results returned from NRQL query"))?;
        Ok(Outcome::Value {
            value: Value::from_json(&result),
            display: result.to_string(),
            metadata: BTreeMap::new(),
        })
    }
}

impl Provider for NewRelic {
    fn kind(&self) -> &'static str {
        "newRelic"
    }

    fn credentials(&self, metric: &Metric) -> Option<CredentialsRef> {
        let given: Option<Settings> = settings("newRelic", metric.provider.new_relic.as_ref()).ok();
        let profile = given.map(|given| given.profile).unwrap_or_default();
        let name = if profile.is_empty() {
            "newrelic"
        } else {
            &profile
        };
        Some(CredentialsRef::of_controller(name))
    }

    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a> {
        Box::pin(async move { self.ask(task).await.unwrap_or_else(Outcome::from) })
    }
}
