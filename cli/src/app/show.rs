//! `app list` and `app get`.

use anyhow::Result;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};

use super::{read, text};
use crate::args::Format;
use crate::cluster::resource;
use crate::output;

/// `app list`.
pub(super) async fn list(
    client: &Client,
    namespace: &str,
    all_namespaces: bool,
    format: Option<Format>,
) -> Result<()> {
    let resource = resource::APPLICATIONS.api();
    let api: Api<DynamicObject> = if all_namespaces {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    };
    let mut items = Vec::new();
    for object in api.list(&ListParams::default()).await?.items {
        items.push(serde_json::to_value(object)?);
    }
    if let Some(format) = format {
        return output::object(&json!({ "apiVersion": "v1", "kind": "List", "items": items }), format);
    }
    let title = ["NAME", "PROJECT", "STATUS", "HEALTH", "REVISION", "CONDITIONS"];
    let mut rows = vec![title.iter().map(|text| (*text).to_owned()).collect()];
    for item in &items {
        rows.push(vec![
            text(item, "/metadata/name"),
            text(item, "/spec/project"),
            text(item, "/status/sync/status"),
            text(item, "/status/health/status"),
            text(item, "/status/sync/revision").chars().take(7).collect(),
            conditions(item).iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>().join(","),
        ]);
    }
    output::columns(&rows)
}

/// `app get`.
pub(super) async fn one(
    client: &Client,
    namespace: &str,
    name: &str,
    format: Option<Format>,
) -> Result<()> {
    let app = read(client, namespace, name).await?;
    if let Some(format) = format {
        return output::object(&app, format);
    }
    output::print(&describe(&app))?;
    let mut rows = vec![
        ["GROUP", "KIND", "NAMESPACE", "NAME", "STATUS", "HEALTH"].map(str::to_owned).to_vec(),
    ];
    let resources = app.pointer("/status/resources").and_then(Value::as_array);
    for resource in resources.into_iter().flatten() {
        rows.push(
            ["/group", "/kind", "/namespace", "/name", "/status", "/health/status"]
                .map(|pointer| text(resource, pointer))
                .to_vec(),
        );
    }
    output::columns(&rows)
}

fn describe(app: &Value) -> String {
    let mut out = String::new();
    let mut line = |label: &str, value: String| {
        if !value.is_empty() {
            out.push_str(&format!("{:<17}{value}\n", format!("{label}:")));
        }
    };
    line("Name", text(app, "/metadata/name"));
    line("Project", text(app, "/spec/project"));
    line("Server", text(app, "/spec/destination/server"));
    line("Namespace", text(app, "/spec/destination/namespace"));
    line("Repo", text(app, "/spec/source/repoURL"));
    line("Target", text(app, "/spec/source/targetRevision"));
    line("Path", text(app, "/spec/source/path"));
    let revision = text(app, "/status/sync/revision").chars().take(7).collect::<String>();
    line("Sync Status", format!("{} to {revision}", text(app, "/status/sync/status")));
    line("Health Status", text(app, "/status/health/status"));
    line("Operation", text(app, "/status/operationState/phase"));
    line("Message", text(app, "/status/operationState/message"));
    for (kind, message) in conditions(app) {
        line(&kind, message);
    }
    out.push('\n');
    out
}

fn conditions(app: &Value) -> Vec<(String, String)> {
    let conditions = app.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .map(|condition| (text(condition, "/type"), text(condition, "/message")))
        .collect()
}
