//! `app list` and `app get`.

use anyhow::Result;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{list as elements, read};
use crate::args::Format;
use crate::cluster::{self, Cluster};
use crate::get::below::commit;
use crate::get::header::line;
use crate::get::owned::text;
use crate::output;

/// `app list`.
pub(super) async fn list(cluster: &Cluster, all: bool, format: Option<Format>) -> Result<()> {
    let parameters = ListParams::default();
    let items = match all {
        true => {
            cluster
                .list_everywhere(&cluster::APPLICATIONS, &parameters)
                .await?
        }
        false => cluster.list(&cluster::APPLICATIONS, &parameters).await?,
    };
    if let Some(format) = format {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        return output::object(&list, format);
    }
    if items.is_empty() {
        output::complain(&match all {
            true => "No resources found.".to_owned(),
            false => format!(
                "No resources found in {} namespace. (--all-namespaces looks everywhere.)",
                cluster.namespace
            ),
        });
        return Ok(());
    }
    output::print(&table(&items, all))
}

fn table(items: &[Value], with_namespace: bool) -> String {
    let titles = [
        "NAMESPACE",
        "NAME",
        "PROJECT",
        "STATUS",
        "HEALTH",
        "REVISION",
        "CONDITIONS",
    ];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for item in items {
        let conditions: Vec<String> = conditions(item).into_iter().map(|(kind, _)| kind).collect();
        let project = match text(item, "/spec/project") {
            "" => "default",
            project => project,
        };
        rows.push(vec![
            text(item, "/metadata/namespace").to_owned(),
            text(item, "/metadata/name").to_owned(),
            project.to_owned(),
            text(item, "/status/sync/status").to_owned(),
            text(item, "/status/health/status").to_owned(),
            revision(item),
            conditions.join(","),
        ]);
    }
    if !with_namespace {
        for row in &mut rows {
            row.remove(0);
        }
    }
    output::columns(&rows, &[])
}

/// `app get`.
pub(super) async fn one(cluster: &Cluster, name: &str, format: Option<Format>) -> Result<()> {
    let app = read(cluster, name).await?;
    match format {
        Some(format) => output::object(&app, format),
        None => output::print(&describe(&app)),
    }
}

fn describe(app: &Value) -> String {
    let mut out = String::new();
    let mut add = |label: &str, value: &str| {
        if !value.is_empty() {
            out += &line(&format!("{label}:"), value);
        }
    };
    add("Name", text(app, "/metadata/name"));
    add("Namespace", text(app, "/metadata/namespace"));
    add("Project", text(app, "/spec/project"));
    add("Server", text(app, "/spec/destination/server"));
    add("Destination", text(app, "/spec/destination/namespace"));
    let several = app
        .pointer("/spec/sources")
        .and_then(Value::as_array)
        .map(Vec::as_slice);
    let one = app.pointer("/spec/source").map(std::slice::from_ref);
    for source in several
        .filter(|list| !list.is_empty())
        .or(one)
        .unwrap_or_default()
    {
        add("Repo", text(source, "/repoURL"));
        add("Target", text(source, "/targetRevision"));
        add("Path", text(source, "/path"));
        add("Chart", text(source, "/chart"));
    }
    let sync = match (text(app, "/status/sync/status"), revision(app)) {
        ("", _) => "not compared yet".to_owned(),
        (sync, revision) if revision.is_empty() => sync.to_owned(),
        ("Synced", revision) => format!("Synced to {revision}"),
        (sync, revision) => format!("{sync} from {revision}"),
    };
    add("Sync Status", &sync);
    add("Health Status", text(app, "/status/health/status"));
    add("Operation", text(app, "/status/operationState/phase"));
    add("Message", text(app, "/status/operationState/message"));
    for (kind, message) in conditions(app) {
        add("Condition", &format!("{kind}: {message}"));
    }
    let titles = [
        "GROUP",
        "KIND",
        "NAMESPACE",
        "NAME",
        "STATUS",
        "HEALTH",
        "MESSAGE",
    ];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for resource in elements(app, "/status/resources") {
        let pointers = [
            "/group",
            "/kind",
            "/namespace",
            "/name",
            "/status",
            "/health/status",
        ];
        let mut row = pointers
            .map(|pointer| text(resource, pointer).to_owned())
            .to_vec();
        row.push(message_about(app, resource));
        rows.push(row);
    }
    if rows.len() > 1 {
        out.push('\n');
        out += &output::columns(&rows, &[]);
    }
    out
}

/// What the last sync said of an object, or what its health says.
fn message_about(app: &Value, resource: &Value) -> String {
    let is_it = |result: &&Value| {
        ["/group", "/kind", "/namespace", "/name"]
            .iter()
            .all(|pointer| text(result, pointer) == text(resource, pointer))
    };
    let synced = elements(app, "/status/operationState/syncResult/resources").find(is_it);
    let health = text(resource, "/health/message");
    match synced {
        _ if !health.is_empty() => health.to_owned(),
        Some(result) => text(result, "/message").to_owned(),
        None => String::new(),
    }
}

fn revision(app: &Value) -> String {
    let one = text(app, "/status/sync/revision");
    if !one.is_empty() {
        return commit(one);
    }
    let several: Vec<String> = elements(app, "/status/sync/revisions")
        .filter_map(|revision| Some(commit(revision.as_str()?)))
        .collect();
    several.join(",")
}

fn conditions(app: &Value) -> Vec<(String, String)> {
    elements(app, "/status/conditions")
        .map(|condition| {
            (
                text(condition, "/type").to_owned(),
                text(condition, "/message").to_owned(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application() -> Value {
        json!({
            "metadata": { "name": "web", "namespace": "sluice" },
            "spec": {
                "source": { "repoURL": "https://git/demo.git", "targetRevision": "main", "path": "web" },
                "destination": { "server": "https://kubernetes.default.svc", "namespace": "demo" }
            },
            "status": {
                "sync": { "status": "OutOfSync", "revision": "4f2c1a9e4f2c1a9e4f2c1a9e4f2c1a9e4f2c1a9e" },
                "health": { "status": "Degraded" },
                "conditions": [{ "type": "Quarantined", "message": "Revision 4f2c1a9 is not tried again" }],
                "operationState": { "phase": "Succeeded", "message": "successfully synced (all tasks run)",
                    "syncResult": { "resources": [
                        { "group": "", "kind": "Service", "namespace": "demo", "name": "web", "message": "service/web configured" }
                    ] } },
                "resources": [
                    { "kind": "Service", "namespace": "demo", "name": "web", "status": "Synced" },
                    { "group": "argoproj.io", "kind": "Rollout", "namespace": "demo", "name": "web",
                      "status": "OutOfSync", "health": { "status": "Degraded", "message": "RolloutAborted" } }
                ]
            }
        })
    }

    #[test]
    fn an_application_is_shown_with_its_conditions_and_objects() {
        insta::assert_snapshot!(describe(&application()), @r"
        Name:            web
        Namespace:       sluice
        Server:          https://kubernetes.default.svc
        Destination:     demo
        Repo:            https://git/demo.git
        Target:          main
        Path:            web
        Sync Status:     OutOfSync from 4f2c1a9
        Health Status:   Degraded
        Operation:       Succeeded
        Message:         successfully synced (all tasks run)
        Condition:       Quarantined: Revision 4f2c1a9 is not tried again

        GROUP        KIND     NAMESPACE  NAME  STATUS     HEALTH    MESSAGE
                     Service  demo       web   Synced               service/web configured
        argoproj.io  Rollout  demo       web   OutOfSync  Degraded  RolloutAborted
        ");
    }

    #[test]
    fn a_list_has_one_line_for_each() {
        insta::assert_snapshot!(table(&[application()], true), @r"
        NAMESPACE  NAME  PROJECT  STATUS     HEALTH    REVISION  CONDITIONS
        sluice     web   default  OutOfSync  Degraded  4f2c1a9   Quarantined
        ");
    }
}
