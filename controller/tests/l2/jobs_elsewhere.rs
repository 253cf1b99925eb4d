//! Metrics that are Jobs in another namespace or in another cluster: nobody there knows of the run.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_runtime::kind::{ANALYSIS_RUN, JOB, LEASE, POD};

use crate::harness::{Harness, server};
use crate::jobs::{backend, is_measured_at_once, phase, run, smoke, web};
use crate::support::{FakeApi, Fault};

const ALONE: &str = "--leader-elect=false";
const IN_JOBS: &str = "--analysis-job-namespace=jobs";

/// The cluster of the Jobs: it knows nothing else.
fn jobs_cluster() -> FakeApi {
    FakeApi::with(&[&JOB, &POD])
}

fn measurement(server: &FakeApi) -> Value {
    let run = server.get(&ANALYSIS_RUN, "a", "r").unwrap();
    run["status"]["metricResults"][0]["measurements"][0].clone()
}

fn message(server: &FakeApi) -> String {
    let run = server.get(&ANALYSIS_RUN, "a", "r").unwrap();
    run["status"]["message"].as_str().unwrap().to_owned()
}

/// A controller whose run `r` has a Job over there.
async fn started(jobs: &FakeApi, more: &[&str]) -> Harness {
    let server = server();
    server.put(&ANALYSIS_RUN, run("r", smoke(json!({}))));
    let harness = Harness::start_beside(server, jobs, more);
    has_job(&harness).await;
    harness
}

async fn has_job(harness: &Harness) {
    harness
        .until("a Job", |server| {
            measurement(server)["metadata"]["job-name"].is_string()
        })
        .await;
}

fn name(job: &Value) -> &str {
    job["metadata"]["name"].as_str().unwrap()
}

fn names(jobs: &FakeApi) -> Vec<String> {
    jobs.all(&JOB)
        .iter()
        .map(|job| name(job).to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_job_in_another_cluster_has_no_owner_and_its_end_is_seen_at_once() {
    for (more, namespace) in [(&[ALONE][..], "a"), (&[ALONE, IN_JOBS], "jobs")] {
        let jobs = jobs_cluster();
        let harness = started(&jobs, more).await;
        let run = harness.server.get(&ANALYSIS_RUN, "a", "r").unwrap();
        let made = jobs.all(&JOB).remove(0);
        let metadata = &made["metadata"];
        assert_eq!(metadata["namespace"], namespace);
        assert!(metadata["ownerReferences"].is_null());
        assert_eq!(
            metadata["labels"]["analysisrun.argoproj.io/uid"],
            run["metadata"]["uid"]
        );
        let annotations = &metadata["annotations"];
        assert_eq!(annotations["analysisrun.argoproj.io/name"], "r");
        assert_eq!(annotations["analysisrun.argoproj.io/namespace"], "a");
        let known = &measurement(&harness.server)["metadata"];
        assert_eq!(
            *known,
            json!({"job-name": name(&made), "job-namespace": namespace})
        );
        assert_eq!(harness.server.all(&JOB), Vec::<Value>::new());
        // So long that it is looked at rarely by now.
        tokio::time::sleep(Duration::from_secs(20_000)).await;
        jobs.edit(&JOB, namespace, name(&made), |job| {
            job["status"]["conditions"] = json!([{"type": "Complete", "status": "True"}]);
        });
        let before = tokio::time::Instant::now();
        harness
            .until("a verdict", |server| phase(server, "r") == "Successful")
            .await;
        assert!(before.elapsed() < Duration::from_secs(2));
        assert_eq!(harness.server.count("/jobs"), 0, "nothing is asked here");
        harness.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_in_another_namespace_is_seen_to_end_and_goes_with_its_run() {
    let server = server();
    server.put(&ANALYSIS_RUN, run("r", smoke(json!({}))));
    let harness = Harness::start_with(server, &[ALONE, IN_JOBS]);
    has_job(&harness).await;
    let made = harness.server.all(&JOB).remove(0);
    assert_eq!(made["metadata"]["namespace"], "jobs");
    assert!(made["metadata"]["ownerReferences"].is_null());
    tokio::time::sleep(Duration::from_secs(20_000)).await;
    harness.server.edit(&JOB, "jobs", name(&made), |job| {
        job["status"]["conditions"] = json!([{"type": "Failed", "status": "True"}]);
    });
    let before = tokio::time::Instant::now();
    harness
        .until("a verdict", |server| phase(server, "r") == "Failed")
        .await;
    assert!(before.elapsed() < Duration::from_secs(2));
    assert_eq!(names(&harness.server).len(), 1, "kept for a look");
    harness.server.delete(&ANALYSIS_RUN, "a", "r");
    harness
        .until("it goes", |server| names(server).is_empty())
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn in_the_namespace_of_its_run_a_job_is_owned_by_it() {
    let server = server();
    server.put(&ANALYSIS_RUN, run("r", smoke(json!({}))));
    let harness = Harness::start_with(server, &[ALONE, "--analysis-job-namespace=a"]);
    has_job(&harness).await;
    let made = harness.server.all(&JOB).remove(0);
    assert_eq!(made["metadata"]["ownerReferences"][0]["name"], "r");
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_told_to_end_deletes_its_job_over_there() {
    let jobs = jobs_cluster();
    let harness = started(&jobs, &[ALONE, IN_JOBS]).await;
    harness.server.edit(&ANALYSIS_RUN, "a", "r", |run| {
        run["spec"]["terminate"] = json!(true);
    });
    harness
        .until("it ends", |server| {
            phase(server, "r") == "Inconclusive" && names(&jobs).is_empty()
        })
        .await;
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn only_as_many_jobs_are_kept_over_there_as_measurements() {
    let (server, jobs) = (server(), jobs_cluster());
    let mut object = run("r", smoke(json!({"interval": "1s", "count": 4})));
    object["spec"]["measurementRetention"] = json!([{"metricName": "smoke", "limit": 2}]);
    server.put(&ANALYSIS_RUN, object);
    let harness = Harness::start_beside(server, &jobs, &[ALONE, IN_JOBS]);
    harness
        .until("all four", |server| {
            for job in jobs.all(&JOB) {
                if job["status"]["conditions"].is_null() {
                    jobs.edit(&JOB, "jobs", name(&job), |job| {
                        job["status"]["conditions"] =
                            json!([{"type": "Complete", "status": "True"}]);
                    });
                }
            }
            phase(server, "r") == "Successful"
        })
        .await;
    let names = names(&jobs);
    assert_eq!(names.len(), 2, "{names:?}");
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_jobs_of_a_run_that_is_deleted_go_as_soon_as_their_cluster_can_be_reached() {
    let jobs = jobs_cluster();
    let harness = started(&jobs, &[ALONE]).await;
    let other = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {
        "name": "other", "namespace": "a", "labels": {"analysisrun.argoproj.io/uid": "another"},
        "annotations": {"analysisrun.argoproj.io/name": "r", "analysisrun.argoproj.io/namespace": "a"}}});
    jobs.put(&JOB, other);
    // More than one request tries.
    jobs.fail("DELETE", "/jobs/", 20, Fault::Answer(503, vec![], "{}"));
    harness.server.delete(&ANALYSIS_RUN, "a", "r");
    harness
        .until("it goes, and no other", |_| names(&jobs) == ["other"])
        .await;
    assert!(jobs.count("DELETE") > 20);
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn jobs_whose_run_went_while_nobody_looked_go_after_a_start_if_they_are_ours() {
    let jobs = jobs_cluster();
    let (server, made) = {
        let harness = started(&jobs, &[IN_JOBS]).await;
        let (server, made) = (harness.server.clone(), jobs.all(&JOB).remove(0));
        harness.end().await;
        (server, made)
    };
    let lease = server.all(&LEASE).remove(0);
    let mark = "sluice.dev/made-by";
    assert_eq!(
        made["metadata"]["annotations"][mark],
        lease["metadata"]["uid"]
    );
    server.delete(&ANALYSIS_RUN, "a", "r");
    // Of the same kind, but made from another cluster; made by a controller that leaves no mark; of a run that is there.
    let alive = run("alive", json!([]));
    let uid = server.put(&ANALYSIS_RUN, alive)["metadata"]["uid"].clone();
    let like = |name: &str, change: fn(&mut Value, &Value)| {
        let mut job = made.clone();
        job["metadata"]["name"] = json!(name);
        change(&mut job["metadata"], &uid);
        jobs.put(&JOB, job);
    };
    like("of-another-cluster", |metadata, _| {
        metadata["annotations"]["sluice.dev/made-by"] = json!("another");
    });
    like("unmarked", |metadata, _| {
        let annotations = metadata["annotations"].as_object_mut().unwrap();
        annotations.remove("sluice.dev/made-by");
    });
    like("alive", |metadata, uid| {
        metadata["labels"]["analysisrun.argoproj.io/uid"] = uid.clone();
        metadata["annotations"]["analysisrun.argoproj.io/name"] = json!("alive");
    });
    let harness = Harness::start_beside(server, &jobs, &[IN_JOBS]);
    let stay = ["alive", "of-another-cluster", "unmarked"];
    harness.until("it goes", |_| names(&jobs) == stay).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(names(&jobs), stay);
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_of_that_name_that_somebody_else_made_is_an_error_and_stays() {
    let (server, jobs) = (server(), jobs_cluster());
    let object = run("r", smoke(json!({"consecutiveErrorLimit": 0})));
    let uid = server.put(&ANALYSIS_RUN, object)["metadata"]["uid"].clone();
    let name = format!("{}.smoke.1", uid.as_str().unwrap());
    let other = json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "namespace": "jobs", "labels": {"analysisrun.argoproj.io/uid": "another"}},
        "status": {"conditions": [{"type": "Complete", "status": "True"}]}});
    jobs.put(&JOB, other);
    let harness = Harness::start_beside(server, &jobs, &[ALONE, IN_JOBS]);
    harness
        .until("an error", |server| phase(server, "r") == "Error")
        .await;
    let said = message(&harness.server);
    assert!(said.contains(&name) && said.contains("exists"), "{said}");
    harness.server.delete(&ANALYSIS_RUN, "a", "r");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(names(&jobs), [name]);
    harness.end().await;
}

/// A status is written by many: it cannot name a Job that is not of the run.
#[tokio::test(start_paused = true)]
async fn a_status_that_names_the_job_of_somebody_else_neither_counts_nor_deletes_it() {
    let jobs = jobs_cluster();
    let harness = started(&jobs, &[ALONE, IN_JOBS]).await;
    let other = json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "backup", "namespace": "kube-system", "labels": {"analysisrun.argoproj.io/uid": "another"}},
        "status": {"conditions": [{"type": "Complete", "status": "True"}]}});
    jobs.put(&JOB, other);
    harness.server.edit(&ANALYSIS_RUN, "a", "r", |run| {
        run["status"]["metricResults"][0]["measurements"][0]["metadata"] =
            json!({"job-name": "backup", "job-namespace": "kube-system"});
    });
    harness
        .until("an error", |server| measurement(server)["phase"] == "Error")
        .await;
    harness.server.edit(&ANALYSIS_RUN, "a", "r", |run| {
        run["spec"]["terminate"] = json!(true);
    });
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(jobs.get(&JOB, "kube-system", "backup").is_some());
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_jobs_that_is_down_is_an_error_of_the_measurement_which_is_tried_again() {
    let (server, jobs) = (server(), jobs_cluster());
    jobs.fail("POST", "/jobs", 20, Fault::Break);
    server.put(&ANALYSIS_RUN, run("r", smoke(json!({}))));
    let harness = Harness::start_beside(server, &jobs, &[ALONE, IN_JOBS]);
    harness
        .until("an error", |server| measurement(server)["phase"] == "Error")
        .await;
    let said = measurement(&harness.server)["message"].to_string();
    assert!(said.contains("--analysis-job-kubeconfig"), "{said}");
    harness
        .until("a Job after all", |_| names(&jobs).len() == 1)
        .await;
    assert_eq!(phase(&harness.server, "r"), "Running");
    harness.end().await;
}

// Real time: the backend is reached over a real socket.

#[tokio::test]
async fn a_cluster_of_jobs_that_never_answers_holds_up_no_other_run() {
    let good = backend().await;
    let (server, jobs) = (server(), jobs_cluster());
    for verb in ["GET", "WATCH", "POST", "DELETE"] {
        jobs.fail(verb, "/", usize::MAX, Fault::Hang);
    }
    // Far more than there are workers.
    for number in 0..100 {
        server.put(
            &ANALYSIS_RUN,
            run(&format!("slow-{number}"), smoke(json!({}))),
        );
    }
    let harness = Harness::start_beside(server, &jobs, &[ALONE, "--analysis-threads=2"]);
    harness
        .until("they are being measured", |server| {
            phase(server, "slow-99") == "Running" && jobs.count("POST") == 100
        })
        .await;
    is_measured_at_once(&harness, web(&good)).await;
    harness.end().await;
}
