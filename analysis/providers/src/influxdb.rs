//! InfluxDB 2: a Flux query. `result` is the list of `_value` of all records.
//!
//! Credentials are in the Secret `influxdb` of the controller's namespace, or in the one that `profile` names.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use sluice_analysis::Outcome;
use sluice_analysis::expression::Value;
use sluice_crds::analysis::Metric;

use crate::backend::{CredentialsRef, Server, needed, settings, value};
use crate::http::{Clients, Failure};
use crate::provider::{Measuring, Provider, Task};

const TIMEOUT: Duration = Duration::from_secs(30);

/// The backend.
#[derive(Debug)]
pub(crate) struct InfluxDb(pub(crate) Arc<Clients>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    profile: String,
    #[serde(default)]
    query: String,
}

impl InfluxDb {
    async fn ask(&self, task: Task<'_>) -> Result<Outcome, Failure> {
        let metric: Settings = settings("influxdb", task.metric.provider.influxdb.as_ref())?;
        let token = needed("influxdb", task.credentials, "authToken")?;
        let org = needed("influxdb", task.credentials, "org")?;
        let address = needed("influxdb", task.credentials, "address")?;
        let server = Server::new(
            "InfluxDB",
            &self.0,
            "address of the influxdb Secret",
            address,
        )?;
        let mut url = server.below(&["api", "v2", "query"])?;
        url.query_pairs_mut().append_pair("org", org);
        let dialect = json!({ "annotations": ["datatype", "group", "default"], "delimiter": ",", "header": true });
        let request = server
            .client
            .post(url)
            .header("Authorization", format!("Token {token}"))
            .header("Content-Type", "application/json")
            .header("Accept", "text/csv")
            .body(json!({ "query": metric.query, "type": "flux", "dialect": dialect }).to_string())
            .timeout(TIMEOUT);
        let body = server.ask(request).await?;
        let values = values(&String::from_utf8_lossy(&body))?;
        if values.is_empty() {
            return Err(Failure::permanent("no results returned from flux query"));
        }
        let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
        Ok(value(
            Value::array(values),
            format!("[{}]", texts.join(" ")),
        ))
    }
}

/// The column `_value` of annotated CSV: tables one after the other, each with a line of types and a line of names.
fn values(text: &str) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    let (mut types, mut names): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for row in rows(text) {
        let first = row.first().map_or("", String::as_str);
        if row.iter().all(String::is_empty) {
            names.clear();
        } else if first == "#datatype" {
            (types, names) = (row, Vec::new());
        } else if first.starts_with('#') {
        } else if names.is_empty() {
            names = row;
        } else if let Some(error) = names.iter().position(|name| name == "error") {
            let message = row.get(error).map_or("", String::as_str);
            return Err(Failure::permanent(format!("InfluxDB: {message}")));
        } else if let Some(column) = names.iter().position(|name| name == "_value") {
            let kind = types.get(column).map_or("string", String::as_str);
            found.push(typed(kind, row.get(column).map_or("", String::as_str)));
        }
    }
    Ok(found)
}

fn typed(kind: &str, text: &str) -> Value {
    match kind {
        _ if text.is_empty() && kind != "string" => Value::Nil,
        "double" => Value::from_display(text),
        "long" | "unsignedLong" => text.parse().map_or(Value::from(text), Value::Integer),
        "boolean" => Value::Bool(text == "true"),
        _ => Value::from(text),
    }
}

/// Rows of CSV: fields in double quotes may hold commas, line ends, and doubled quotes.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}

impl Provider for InfluxDb {
    fn kind(&self) -> &'static str {
        "influxdb"
    }

    fn credentials(&self, metric: &Metric) -> Option<CredentialsRef> {
        let given: Option<Settings> = settings("influxdb", metric.provider.influxdb.as_ref()).ok();
        let profile = given.map(|given| given.profile).unwrap_or_default();
        let name = if profile.is_empty() {
            "influxdb"
        } else {
            &profile
        };
        Some(CredentialsRef::of_controller(name))
    }

    fn measure<'a>(&'a self, task: Task<'a>) -> Measuring<'a> {
        Box::pin(async move { self.ask(task).await.unwrap_or_else(Outcome::from) })
    }
}
