//! The analysis loop: measurements from a real HTTP server on loopback, verdicts, and what a Rollout makes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use sluice_runtime::kind::{ANALYSIS_RUN, ANALYSIS_TEMPLATE, ROLLOUT};
use tokio::time::Instant;

use crate::harness::{Harness, put_surroundings, release, rollout, server, status, weight};
use crate::support::FakeApi;

/// A metric backend: answers with the number that the test sets.
struct Backend {
    address: String,
    value: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Backend {
    async fn start(value: u64) -> Self {
        let (value, asked) = (Arc::new(AtomicU64::new(value)), Arc::new(AtomicU64::new(0)));
        let (answer, count) = (Arc::clone(&value), Arc::clone(&asked));
        let router = Router::new().route(
            "/",
            get(move || {
                count.fetch_add(1, Ordering::SeqCst);
                let value = answer.load(Ordering::SeqCst);
                async move { axum::Json(json!({"ok": value})) }
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            value,
            asked,
        }
    }
}

fn template(backend: &Backend) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "ok", "namespace": "a"},
        "spec": {"metrics": [{
            "name": "ok", "interval": "1s", "count": 3, "failureLimit": 0,
            "successCondition": "result == 1",
            "provider": {"web": {"url": backend.address, "jsonPath": "{$.ok}"}}
        }]}
    })
}

async fn released(backend: &Backend) -> Harness {
    let server = server();
    put_surroundings(&server);
    server.put(&ANALYSIS_TEMPLATE, template(backend));
    let canary = json!({"steps": [{"setWeight": 25}, {"analysis": {"templates": [{"templateName": "ok"}]}}]});
    server.put(&ROLLOUT, rollout("v1", canary));
    let harness = Harness::start(server);
    harness
        .until_with_pods("v1 is healthy", |server| {
            status(server, "phase") == "Healthy"
        })
        .await;
    release(&harness.server, "v2");
    harness
}

fn run(server: &FakeApi) -> Value {
    server
        .all(&ANALYSIS_RUN)
        .into_iter()
        .next()
        .unwrap_or(Value::Null)
}

// Real time: the backend is reached over a real socket.

#[tokio::test]
async fn an_analysis_that_succeeds_lets_the_release_through() {
    let backend = Backend::start(1).await;
    let harness = released(&backend).await;
    harness
        .until_with_pods("v2 is healthy", |server| {
            status(server, "phase") == "Healthy" && run(server)["status"]["phase"] == "Successful"
        })
        .await;
    assert_eq!(
        run(&harness.server)["status"]["metricResults"][0]["successful"],
        3
    );
    assert_eq!(backend.asked.load(Ordering::SeqCst), 3);
    harness.end().await;
}

#[tokio::test]
async fn an_analysis_that_fails_takes_the_traffic_back_at_once() {
    let backend = Backend::start(1).await;
    let harness = released(&backend).await;
    harness
        .until_with_pods("measuring", |_| backend.asked.load(Ordering::SeqCst) >= 1)
        .await;
    assert_eq!(weight(&harness.server), 25);
    backend.value.store(0, Ordering::SeqCst);
    let failed = |server: &FakeApi| run(server)["status"]["phase"] == "Failed";
    let start = Instant::now();
    while !failed(&harness.server) {
        assert!(start.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let verdict = Instant::now();
    while weight(&harness.server) != 0 {
        assert!(verdict.elapsed() < Duration::from_secs(1));
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    // On an idle machine it is about one millisecond.
    assert!(
        verdict.elapsed() < Duration::from_millis(200),
        "{:?}",
        verdict.elapsed()
    );
    harness
        .until_with_pods("degraded", |server| status(server, "phase") == "Degraded")
        .await;
    harness.end().await;
}

#[tokio::test]
async fn an_outcome_is_counted_once_however_often_the_status_is_refused() {
    let backend = Backend::start(1).await;
    let harness = released(&backend).await;
    let busy = crate::support::Fault::Answer(409, vec![], "{\"reason\": \"Conflict\"}");
    harness.server.fail("PATCH", "analysisruns", 4, busy);
    harness
        .until_with_pods("the run succeeds", |server| {
            run(server)["status"]["phase"] == "Successful"
        })
        .await;
    assert_eq!(
        run(&harness.server)["status"]["metricResults"][0]["count"],
        3
    );
    harness.end().await;
}
