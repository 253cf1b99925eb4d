//! AnalysisRuns over HTTP: what they send, what they show of it, what they keep, how they are ended by hand; and how long a
//! run lives.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use kube::api::ApiResource;
use serde_json::{Value, json};

use super::Stage;
use super::fixtures::{job_analysis, rollout};
use super::watch::{analysis_runs, healthy, rollouts};
use crate::cluster::Namespace;
use crate::cluster::layout::NODE_ADDRESS;
use crate::demo::stage::{kind, number, text};
use crate::wait::eventually;

/// What nobody may ever see again. It is no word, so that it is found nowhere by chance.
const TOKEN: &str = "zq7-4f1c-wxk9";

/// The token of a Secret reaches the backend and nothing else; a metric that is tried out fails and does no harm; old
/// measurements and old runs go; a run is ended by hand. Its two templates name each other.
pub(super) async fn over_http(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("web-metric").await?;
    let name = namespace.name();
    let backend = Backend::start().await?;
    namespace
        .apply_yaml(
            &templates(&backend.url())
                .map(|one| one.to_string())
                .join("\n---\n"),
        )
        .await?;
    let strategy = "canary:\n  steps:\n    - setWeight: 50\n    - analysis:\n        templates:\n          - templateName: outer";
    let mut object = crate::cluster::parse(&rollout(1, strategy))?;
    object[0]["spec"]["analysis"] = json!({ "successfulRunHistoryLimit": 1 });
    namespace.apply_yaml(&object[0].to_string()).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;

    stage.update(name, "v2").await?;
    let first = measured(&stage, name, 1).await?;
    let probe = result(&first, "probe")?;
    let kept = probe["measurements"].as_array().map_or(0, Vec::len);
    ensure!(
        kept <= 3,
        "{kept} measurements are kept, more than the 3 of measurementRetention: {probe}"
    );
    let doomed = result(&first, "doomed")?;
    ensure!(
        doomed["phase"] == "Failed" && doomed["dryRun"] == true,
        "the metric that is tried out: {doomed}"
    );
    ensure!(
        number(&first, "/status/dryRunSummary/failed") == 1
            && number(&first, "/status/runSummary/failed") == 0,
        "it counts where it should not: {}",
        first["status"]
    );
    ensure!(
        backend.accepted() > 0,
        "the token has not reached the backend: {}",
        first["status"]
    );
    let value = text(&probe, "/measurements/0/value");
    ensure!(
        value.contains("*****"),
        "the backend repeats the token; the measurement shows {value:?}"
    );
    hidden(&stage, &namespace).await?;

    // Three updates, each ended by hand: of the runs that are over one stays beside the last.
    end(&stage, name, &first).await?;
    for (version, number) in [("v1", 2), ("v2", 3)] {
        stage
            .rollout_until(name, "the end of the update", 60, healthy)
            .await?;
        stage.update(name, version).await?;
        let run = measured(&stage, name, number).await?;
        end(&stage, name, &run).await?;
    }
    stage
        .rollout_until(name, "the end of the last update", 60, healthy)
        .await?;
    eventually(
        "the runs beyond the limit to go",
        Duration::from_secs(20),
        || async {
            let runs = stage.list(name, &analysis_runs()).await?;
            ensure!(runs.len() <= 2, "{} runs are left", runs.len());
            Ok(())
        },
    )
    .await?;
    hidden(&stage, &namespace).await
}

/// A run with a time to live goes after it, and its Job with it; one without stays.
pub(super) async fn expires(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("ttl").await?;
    let name = namespace.name();
    let template = crate::cluster::parse(&job_analysis("once", &[("once", "exit 0")]))?;
    let runs = [("short", true), ("kept", false)];
    for (run, expires) in runs {
        let mut spec = template[0]["spec"].clone();
        if expires {
            spec["ttlStrategy"] = json!({ "secondsAfterSuccess": 4 });
        }
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": { "name": run }, "spec": spec
        });
        namespace.apply_yaml(&object.to_string()).await?;
    }
    let over = |run: &Value| text(run, "/status/phase") == "Successful";
    for (run, _) in runs {
        let what = format!("the run {run} to be over");
        stage
            .until(name, &analysis_runs(), run, &what, 60, over)
            .await?;
    }
    let jobs = || kind("batch", "v1", "Job", "jobs");
    let left = async |resource: ApiResource| {
        let objects = stage.list(name, &resource).await?;
        let names = objects.iter().map(|object| text(object, "/metadata/name"));
        Ok::<_, anyhow::Error>(names.collect::<Vec<_>>())
    };
    ensure!(
        left(jobs()).await?.len() == 2,
        "each run has made a Job: {:?}",
        left(jobs()).await?
    );
    eventually("the short run to go", Duration::from_secs(30), || async {
        let (runs, made) = (left(analysis_runs()).await?, left(jobs()).await?);
        ensure!(runs == ["kept"] && made.len() == 1, "{runs:?}, {made:?}");
        Ok(())
    })
    .await
}

/// Waits for the run of a revision to have measured some times.
async fn measured(stage: &Stage, namespace: &str, updates: u32) -> Result<Value> {
    let revision = (updates + 1).to_string();
    eventually("five measurements", Duration::from_secs(60), || async {
        let runs = stage.list(namespace, &analysis_runs()).await?;
        let run = runs.into_iter().find(|run| {
            text(run, "/metadata/annotations/rollout.argoproj.io~1revision") == revision
        });
        let run = run.context("there is no run")?;
        let probe = result(&run, "probe")?;
        ensure!(number(&probe, "/count") >= 5, "{}", run["status"]);
        ensure!(
            text(&run, "/status/phase") == "Running",
            "it is over: {}",
            run["status"]
        );
        Ok(run)
    })
    .await
}

/// Ends a run by hand: what it has measured was good, so it is successful.
async fn end(stage: &Stage, namespace: &str, run: &Value) -> Result<()> {
    let name = text(run, "/metadata/name");
    let terminate = json!({ "spec": { "terminate": true } });
    stage
        .patch(namespace, &analysis_runs(), &name, &terminate)
        .await?;
    let over = |run: &Value| text(run, "/status/phase") == "Successful";
    let what = "the run to be over";
    stage
        .until(namespace, &analysis_runs(), &name, what, 20, over)
        .await?;
    Ok(())
}

fn result(run: &Value, metric: &str) -> Result<Value> {
    let results = run
        .pointer("/status/metricResults")
        .and_then(Value::as_array);
    let mut results = results.into_iter().flatten();
    let found = results.find(|result| result["name"] == metric);
    found
        .cloned()
        .with_context(|| format!("metric {metric} has no result: {}", run["status"]))
}

/// The token is in no object but its Secret, in no event and in no line of the controller's log.
async fn hidden(stage: &Stage, namespace: &Namespace) -> Result<()> {
    let name = namespace.name();
    let events = kind("", "v1", "Event", "events");
    for resource in [analysis_runs(), rollouts(), events] {
        for object in stage.list(name, &resource).await? {
            ensure!(
                !object.to_string().contains(TOKEN),
                "the token is in {} {}",
                resource.kind,
                text(&object, "/metadata/name")
            );
        }
    }
    let log = stage
        .cluster
        .kubectl(&[
            "--namespace",
            "sluice",
            "logs",
            "deployment/sluice",
            "--since=10m",
        ])
        .await?;
    ensure!(!log.contains(TOKEN), "the token is in the controller's log");
    Ok(())
}

/// The Secret, and two templates that name each other.
fn templates(url: &str) -> [Value; 3] {
    let template = |name: &str, spec: Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": { "name": name }, "spec": spec
        })
    };
    let web = json!({ "web": {
        "url": url, "jsonPath": "{$}",
        "headers": [{ "key": "Authorization", "value": "Bearer {{args.token}}" }]
    } });
    let token = json!({ "name": "token", "valueFrom": { "secretKeyRef": { "name": "backend", "key": "token" } } });
    [
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "backend" },
            "stringData": { "token": TOKEN }
        }),
        template(
            "outer",
            json!({
                "templates": [{ "templateName": "inner" }],
                "args": [token],
                "metrics": [{ "name": "probe", "interval": "1s", "count": 300, "provider": web, "successCondition": "result.ok" }],
                "measurementRetention": [{ "metricName": "pro.*", "limit": 3 }]
            }),
        ),
        template(
            "inner",
            json!({
                "templates": [{ "templateName": "outer" }],
                "args": [token],
                "metrics": [{ "name": "doomed", "provider": web, "successCondition": "!result.ok" }],
                "dryRun": [{ "metricName": "doom.*" }]
            }),
        ),
    ]
}

/// An HTTP server of this machine that pods reach. It repeats the token that it is given.
struct Backend {
    address: SocketAddr,
    accepted: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<()>,
}

impl Backend {
    async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind((NODE_ADDRESS, 0)).await?;
        let address = listener.local_addr()?;
        let accepted = Arc::new(AtomicU32::new(0));
        let app = Router::new().fallback(answer).with_state(accepted.clone());
        let task = tokio::spawn(async move {
            // It ends with the scenario; until then an error would show in the measurements.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            accepted,
            task,
        })
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(accepted): State<Arc<AtomicU32>>, headers: HeaderMap) -> String {
    let sent = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let ok = sent == format!("Bearer {TOKEN}");
    accepted.fetch_add(u32::from(ok), Ordering::Relaxed);
    json!({ "ok": ok, "you-said": sent }).to_string()
}
