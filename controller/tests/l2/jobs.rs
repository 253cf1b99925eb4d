//! Metrics that are Jobs, and providers that are slow: the state of a Job is what the test says it is.

use serde_json::{Value, json};
use sluice_runtime::kind::{ANALYSIS_RUN, JOB, POD};

use crate::harness::{Harness, server};
use crate::support::{FakeApi, Fault};

pub(crate) fn run(name: &str, metrics: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {"name": name, "namespace": "a"}, "spec": {"metrics": metrics}
    })
}

pub(crate) fn smoke(more: Value) -> Value {
    let mut metric = json!({"name": "smoke", "provider": {"job": {"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}}});
    for (key, value) in more.as_object().unwrap() {
        metric[key] = value.clone();
    }
    json!([metric])
}

pub(crate) fn phase(server: &FakeApi, name: &str) -> String {
    let run = server.get(&ANALYSIS_RUN, "a", name).unwrap();
    run["status"]["phase"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

async fn started(metrics: Value) -> Harness {
    let server = server();
    server.put(&ANALYSIS_RUN, run("r", metrics));
    let harness = Harness::start(server);
    harness
        .until("a Job", |server| {
            let run = server.get(&ANALYSIS_RUN, "a", "r").unwrap();
            let metadata = &run["status"]["metricResults"][0]["measurements"][0]["metadata"];
            !server.all(&JOB).is_empty() && metadata["job-name"].is_string()
        })
        .await;
    harness
}

fn job(server: &FakeApi) -> String {
    let job = server.all(&JOB).remove(0);
    job["metadata"]["name"].as_str().unwrap().to_owned()
}

fn end(server: &FakeApi, condition: &str) {
    server.edit(&JOB, "a", &job(server), |job| {
        job["status"]["conditions"] =
            json!([{"type": condition, "status": "True", "message": "so it is"}]);
    });
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_job_is_seen_at_once() {
    for (condition, expected) in [("Complete", "Successful"), ("Failed", "Failed")] {
        let harness = started(smoke(json!({}))).await;
        let object = harness.server.all(&JOB).remove(0);
        assert_eq!(
            object["metadata"]["ownerReferences"][0]["kind"],
            "AnalysisRun"
        );
        // So long that it is looked at rarely by now.
        tokio::time::sleep(std::time::Duration::from_secs(20_000)).await;
        end(&harness.server, condition);
        let before = tokio::time::Instant::now();
        harness
            .until("a verdict", |server| phase(server, "r") == expected)
            .await;
        assert!(before.elapsed() < std::time::Duration::from_secs(2));
        assert_eq!(harness.server.all(&JOB).len(), 1, "kept for a look");
        harness.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_is_inconclusive_and_the_job_goes() {
    let harness = started(smoke(json!({}))).await;
    let name = job(&harness.server);
    let uid = harness.server.get(&JOB, "a", &name).unwrap()["metadata"]["uid"].clone();
    harness.server.put(
        &POD,
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "namespace": "a", "labels": {"batch.kubernetes.io/controller-uid": uid}},
            "status": {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ErrImagePull"}}}]}
        }),
    );
    harness
        .until("a verdict", |server| phase(server, "r") == "Inconclusive")
        .await;
    harness
        .until("it goes", |server| server.all(&JOB).is_empty())
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_told_to_end_deletes_its_job() {
    let harness = started(smoke(json!({}))).await;
    harness.server.edit(&ANALYSIS_RUN, "a", "r", |run| {
        run["spec"]["terminate"] = json!(true);
    });
    harness
        .until("it ends", |server| {
            phase(server, "r") == "Inconclusive" && server.all(&JOB).is_empty()
        })
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_made_before_a_crash_is_found_again() {
    let harness = started(smoke(json!({}))).await;
    let server = harness.server.clone();
    harness.end().await;
    // As if the status had not been written.
    server.edit(&ANALYSIS_RUN, "a", "r", |run| {
        run.as_object_mut().unwrap().remove("status");
    });
    let harness = Harness::start(server);
    harness
        .until("it is known again", |server| {
            let run = server.get(&ANALYSIS_RUN, "a", "r").unwrap();
            run["status"]["metricResults"][0]["measurements"][0]["metadata"]["job-name"]
                == *job(server)
        })
        .await;
    assert_eq!(harness.server.all(&JOB).len(), 1);
    end(&harness.server, "Complete");
    harness
        .until("a verdict", |server| phase(server, "r") == "Successful")
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_api_refuses_is_an_error_of_the_measurement() {
    let server = server();
    let answer =
        r#"{"kind": "Status", "reason": "Forbidden", "message": "exceeded quota", "code": 403}"#;
    server.fail("POST", "jobs", 50, Fault::Answer(403, vec![], answer));
    server.put(
        &ANALYSIS_RUN,
        run("r", smoke(json!({"consecutiveErrorLimit": 0}))),
    );
    let harness = Harness::start(server);
    harness
        .until("an error", |server| phase(server, "r") == "Error")
        .await;
    let run = harness.server.get(&ANALYSIS_RUN, "a", "r").unwrap();
    assert!(
        run["status"]["message"]
            .as_str()
            .unwrap()
            .contains("exceeded quota")
    );
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn only_as_many_jobs_are_kept_as_measurements() {
    let server = server();
    let mut object = run("r", smoke(json!({"interval": "1s", "count": 4})));
    object["spec"]["measurementRetention"] = json!([{"metricName": "smoke", "limit": 2}]);
    server.put(&ANALYSIS_RUN, object);
    let harness = Harness::start(server);
    harness
        .until("all four", |server| {
            for job in server.all(&JOB) {
                if job["status"]["conditions"].is_null() {
                    let name = job["metadata"]["name"].as_str().unwrap();
                    server.edit(&JOB, "a", name, |job| {
                        job["status"]["conditions"] =
                            json!([{"type": "Complete", "status": "True"}]);
                    });
                }
            }
            phase(server, "r") == "Successful"
        })
        .await;
    let names: Vec<String> = harness
        .server
        .all(&JOB)
        .iter()
        .map(|job| job["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names
            .iter()
            .all(|name| name.ends_with(".3") || name.ends_with(".4"))
    );
    harness.end().await;
}

// Real time: the backend is reached over a real socket.

/// A backend that lives; its address.
pub(crate) async fn backend() -> String {
    let router = axum::Router::new().route(
        "/",
        axum::routing::get(|| async { axum::Json(json!({"ok": 1})) }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A metric that asks a backend.
pub(crate) fn web(url: &str) -> Value {
    json!([{"name": "m", "successCondition": "result == 1",
        "provider": {"web": {"url": url, "jsonPath": "{$.ok}", "timeoutSeconds": 600}}}])
}

/// Backends that are dead from the start, and one that lives.
#[tokio::test]
async fn r20_backends_that_never_answer_hold_up_no_other_run() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", silent.local_addr().unwrap());
    let good = backend().await;
    let server = server();
    // Far more than there are workers.
    for number in 0..100 {
        server.put(&ANALYSIS_RUN, run(&format!("slow-{number}"), web(&address)));
    }
    let harness = Harness::start_with(server, &["--leader-elect=false", "--analysis-threads=2"]);
    harness
        .until("they are being measured", |server| {
            phase(server, "slow-99") == "Running"
        })
        .await;
    is_measured_at_once(&harness, web(&good)).await;
    assert_eq!(phase(&harness.server, "slow-0"), "Running");
    harness.end().await;
    drop(silent);
}

/// A run of these metrics has its verdict within seconds, whatever the others wait for.
pub(crate) async fn is_measured_at_once(harness: &Harness, metrics: Value) {
    harness.server.put(&ANALYSIS_RUN, run("good", metrics));
    let before = tokio::time::Instant::now();
    harness
        .until("a verdict", |server| phase(server, "good") == "Successful")
        .await;
    assert!(before.elapsed() < std::time::Duration::from_secs(5));
}
