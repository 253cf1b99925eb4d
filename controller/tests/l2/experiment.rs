//! The Experiment loop: on its own, and as a step of a Rollout.

use serde_json::{Value, json};
use sluice_runtime::kind::{
    ANALYSIS_RUN, ANALYSIS_TEMPLATE, EVENT, EXPERIMENT, REPLICA_SET, ROLLOUT, SERVICE,
};

use crate::harness::{Harness, put_surroundings, release, rollout, server, status};
use crate::support::{FakeApi, Fault};

fn template(name: &str) -> Value {
    json!({
        "name": name, "service": {},
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]}
        }
    })
}

fn experiment(more: Value) -> Value {
    let mut spec =
        json!({"templates": [template("old"), template("new")], "scaleDownDelaySeconds": 1});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment",
        "metadata": {"name": "exp", "namespace": "a"}, "spec": spec
    })
}

fn phase(server: &FakeApi, name: &str) -> Value {
    let experiment = server.get(&EXPERIMENT, "a", name).unwrap_or_default();
    experiment["status"]["phase"].clone()
}

fn gone(server: &FakeApi) -> bool {
    server
        .all(&REPLICA_SET)
        .iter()
        .all(|set| set["spec"]["replicas"] == 0)
}

#[tokio::test(start_paused = true)]
async fn an_experiment_runs_for_its_duration_and_cleans_up() {
    let server = server();
    server.put(&EXPERIMENT, experiment(json!({"duration": "5s"})));
    let harness = Harness::start(server);
    harness
        .until_with_pods("it runs", |server| phase(server, "exp") == "Running")
        .await;
    assert_eq!(harness.server.all(&SERVICE).len(), 2);
    let set = harness.server.get(&REPLICA_SET, "a", "exp-old").unwrap();
    assert_eq!(set["metadata"]["ownerReferences"][0]["kind"], "Experiment");
    harness
        .until_with_pods("it ends", |server| phase(server, "exp") == "Successful")
        .await;
    harness
        .until_with_pods("its pods and Services go", |server| {
            gone(server) && server.all(&SERVICE).is_empty()
        })
        .await;
    let reasons: Vec<String> = harness
        .server
        .all(&EVENT)
        .iter()
        .map(|event| event["reason"].as_str().unwrap().to_owned())
        .collect();
    for reason in [
        "ExperimentPending",
        "ExperimentRunning",
        "ExperimentSuccessful",
    ] {
        assert!(reasons.iter().any(|known| known == reason), "{reasons:?}");
    }
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_api_refuses_becomes_the_status_of_the_template() {
    let server = server();
    let quota = Fault::Answer(
        403,
        vec![],
        r#"{"kind": "Status", "reason": "Forbidden", "message": "exceeded quota", "code": 403}"#,
    );
    server.fail("POST", "replicasets", 50, quota);
    server.put(&EXPERIMENT, experiment(json!({"duration": "5s"})));
    let harness = Harness::start(server);
    harness
        .until("it ends", |server| phase(server, "exp") == "Error")
        .await;
    let experiment = harness.server.get(&EXPERIMENT, "a", "exp").unwrap();
    let message = experiment["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("Failed to create ReplicaSet for template 'old'")
            && message.contains("exceeded quota"),
        "{message}"
    );
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_malformed_experiment_is_told_which_field_and_holds_up_nobody() {
    let server = server();
    let mut wrong = experiment(json!({}));
    wrong["metadata"]["name"] = json!("wrong");
    wrong["spec"]["templates"] = json!("none");
    server.put(&EXPERIMENT, wrong);
    server.put(&EXPERIMENT, experiment(json!({"duration": "5s"})));
    let harness = Harness::start(server);
    harness
        .until_with_pods("the other one runs", |server| {
            phase(server, "exp") == "Running"
        })
        .await;
    harness
        .until("it is told", |server| {
            let wrong = server.get(&EXPERIMENT, "a", "wrong").unwrap();
            let condition = &wrong["status"]["conditions"][0];
            condition["type"] == "InvalidExperimentSpec"
                && condition["message"]
                    .as_str()
                    .is_some_and(|message| message.starts_with("spec.templates"))
        })
        .await;
    harness.end().await;
}

async fn step(analysis: Value) -> Harness {
    let server = server();
    put_surroundings(&server);
    server.put(
        &ANALYSIS_TEMPLATE,
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "ok", "namespace": "a"}, "spec": analysis
        }),
    );
    let canary = json!({"steps": [
        {"setWeight": 25},
        {"experiment": {
            "duration": "5s", "scaleDownDelaySeconds": 1,
            "templates": [
                {"name": "old", "specRef": "stable", "metadata": {"labels": {"app": "old"}}},
                {"name": "new", "specRef": "canary", "metadata": {"labels": {"app": "new"}}}
            ],
            "analyses": [{"name": "ok", "templateName": "ok", "requiredForCompletion": true}]
        }},
        {"pause": {}}
    ]});
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

#[tokio::test(start_paused = true)]
async fn a_step_goes_on_when_its_experiment_is_successful() {
    let job = json!({"metrics": [{"name": "ok", "provider": {"job": {"spec": {
        "template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}}}}]});
    let harness = step(job).await;
    harness
        .until_with_pods("the run is made", |server| {
            !server.all(&ANALYSIS_RUN).is_empty()
        })
        .await;
    let experiment = harness.server.all(&EXPERIMENT).remove(0);
    assert_eq!(
        experiment["metadata"]["ownerReferences"][0]["kind"],
        "Rollout"
    );
    let name = experiment["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(
        status(&harness.server, "canary")["currentExperiment"],
        *name
    );
    // The verdict, as a run would get it.
    let run = harness.server.all(&ANALYSIS_RUN).remove(0);
    let run = run["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(run, format!("{name}-ok"));
    harness.server.edit(&ANALYSIS_RUN, "a", &run, |run| {
        run["status"] = json!({"phase": "Successful"});
    });
    harness
        .until_with_pods("the pause", |server| status(server, "phase") == "Paused")
        .await;
    assert_eq!(status(&harness.server, "currentStepIndex"), 2);
    assert_eq!(phase(&harness.server, &name), "Successful");
    harness.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_experiment_that_fails_aborts_the_update() {
    let nowhere = json!({"metrics": [{"name": "ok", "consecutiveErrorLimit": 0,
        "provider": {"web": {"url": "not an address"}}}]});
    let harness = step(nowhere).await;
    harness
        .until_with_pods("degraded", |server| status(server, "phase") == "Degraded")
        .await;
    let message = status(&harness.server, "message");
    assert!(
        message
            .as_str()
            .unwrap()
            .contains("Experiment analysis phase is error/failed"),
        "{message}"
    );
    harness.end().await;
}
