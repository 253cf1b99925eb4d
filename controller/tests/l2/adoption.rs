//! Rollouts in every phase, as a real Argo Rollouts left them on a real cluster (`cargo xtask record-adoption`), under the
//! whole controller: it takes them over and changes nothing, and goes on where they were.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_crds::pod_template::PodTemplate;
use sluice_crds::rollout::Rollout;
use sluice_rollout::hash::{pod_template_hash, steps_hash};
use sluice_runtime::kind::{
    ANALYSIS_RUN, ANALYSIS_TEMPLATE, DEPLOYMENT, EXPERIMENT, INGRESS, JOB, Kind, POD, REPLICA_SET,
    ROLLOUT, SERVICE, TRAEFIK_SERVICE,
};
use tokio::time::sleep;

use crate::harness::{Harness, server};
use crate::support::FakeApi;

/// The namespace of the record, which was the instance id of the controller too.
const NAMESPACE: &str = "fleet";

/// The phases that are recorded.
const PHASES: usize = 20;

/// The kinds of which a record consists.
fn kinds() -> [&'static Kind; 11] {
    [
        &ANALYSIS_TEMPLATE,
        &SERVICE,
        &INGRESS,
        &TRAEFIK_SERVICE,
        &DEPLOYMENT,
        &ROLLOUT,
        &REPLICA_SET,
        &ANALYSIS_RUN,
        &EXPERIMENT,
        &JOB,
        &POD,
    ]
}

/// One recorded phase.
struct Record {
    name: String,
    now: Timestamp,
    objects: Vec<Value>,
}

fn records() -> Vec<Record> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../e2e/fixtures/adoption");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let records: Vec<Record> = files
        .into_iter()
        .map(|file| {
            let record: Value =
                serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            Record {
                name: file.file_stem().unwrap().to_string_lossy().into_owned(),
                now: record["now"].as_str().unwrap().parse().unwrap(),
                objects: record["objects"].as_array().unwrap().clone(),
            }
        })
        .collect();
    assert_eq!(records.len(), PHASES);
    records
}

impl Record {
    fn rollout(&self) -> &Value {
        let mut all = self.objects.iter();
        all.find(|object| object["kind"] == "Rollout").unwrap()
    }

    /// A server that holds the record.
    fn restored(&self) -> FakeApi {
        let server = server();
        for kind in kinds() {
            server.serve(kind);
            let of_kind = |object: &&Value| object["kind"] == *kind.kind;
            for object in self.objects.iter().filter(of_kind) {
                server.restore(kind, object.clone());
            }
        }
        server
    }

    /// A controller over the record. AnalysisRuns are left alone: there is no Prometheus here.
    async fn taken_over(&self) -> Harness {
        let instance = format!("--instance-id={NAMESPACE}");
        let more = [
            "--leader-elect=false",
            "--controllers=rollouts,experiments",
            &instance,
        ];
        let harness = Harness::start_at(self.restored(), &more, self.now);
        sleep(Duration::from_secs(2)).await;
        harness
    }

    fn status(&self, server: &FakeApi) -> Value {
        server.get(&ROLLOUT, NAMESPACE, &self.name).unwrap()["status"].clone()
    }
}

/// Everything but status and versions, of all objects.
fn substance(server: &FakeApi) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for kind in kinds() {
        for mut object in server.all(kind) {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            object.as_object_mut().unwrap().remove("status");
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.remove("resourceVersion");
            // What Sluice notes for itself is invisible to others.
            if let Some(annotations) = metadata.get_mut("annotations") {
                annotations
                    .as_object_mut()
                    .unwrap()
                    .retain(|key, _| !key.starts_with("sluice.dev/"));
            }
            if metadata.get("annotations") == Some(&json!({})) {
                metadata.remove("annotations");
            }
            all.insert(format!("{} {name}", kind.kind), object);
        }
    }
    all
}

/// What a status says that others read, without what stands for nothing.
fn said(status: &Value) -> Value {
    let fields = [
        "phase",
        "message",
        "currentPodHash",
        "currentStepHash",
        "currentStepIndex",
        "stableRS",
        "pauseConditions",
        "controllerPause",
        "abort",
        "abortedAt",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "HPAReplicas",
        "selector",
        "workloadObservedGeneration",
        "canary",
        "blueGreen",
    ];
    let empty = [Value::Null, json!(0), json!({}), json!("")];
    let said: serde_json::Map<String, Value> = fields
        .iter()
        .map(|field| ((*field).to_owned(), status[*field].clone()))
        .filter(|(_, value)| !empty.contains(value))
        .collect();
    Value::Object(said)
}

#[tokio::test(start_paused = true)]
async fn every_recorded_phase_is_taken_over_without_a_change() {
    for record in records() {
        let harness = record.taken_over().await;
        let before = substance(&record.restored());
        let after = substance(&harness.server);
        for (key, object) in &before {
            assert_eq!(after.get(key), Some(object), "{}: {key}", record.name);
        }
        assert_eq!(
            after.keys().collect::<Vec<_>>(),
            before.keys().collect::<Vec<_>>(),
            "{}",
            record.name
        );
        let (was, is) = (&record.rollout()["status"], record.status(&harness.server));
        assert_eq!(said(&is), said(was), "{}", record.name);
        harness.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_look_writes_nothing() {
    for record in records() {
        let harness = record.taken_over().await;
        let written = || {
            let requests = harness.server.requests();
            let writes = requests
                .iter()
                .filter(|request| !request.starts_with("GET") && !request.starts_with("WATCH"));
            writes.cloned().collect::<Vec<_>>()
        };
        let before = written();
        sleep(Duration::from_secs(10)).await;
        assert_eq!(written(), before, "{}", record.name);
        harness.end().await;
    }
}

#[test]
fn hashes_are_those_that_name_the_recorded_sets() {
    for record in records() {
        let rollout: Rollout = serde_json::from_value(record.rollout().clone()).unwrap();
        let status = rollout.status.as_ref().unwrap();
        let template = match &rollout.spec.template {
            Some(template) => template.clone(),
            // workloadRef
            None => {
                let mut all = record.objects.iter();
                let deployment = all.find(|object| object["kind"] == "Deployment").unwrap();
                let template: PodTemplate =
                    serde_json::from_value(deployment["spec"]["template"].clone()).unwrap();
                template
            }
        };
        let hash = pod_template_hash(&template, status.collision_count);
        assert_eq!(
            Some(&hash),
            status.current_pod_hash.as_ref(),
            "{}",
            record.name
        );
        let set = format!("{}-{hash}", record.name);
        let named = |object: &&Value| {
            object["kind"] == "ReplicaSet" && object["metadata"]["name"] == set.as_str()
        };
        let set = record.objects.iter().find(named).unwrap();
        assert_eq!(
            set["metadata"]["annotations"]["rollout.argoproj.io/revision"],
            record.rollout()["metadata"]["annotations"]["rollout.argoproj.io/revision"],
            "{}",
            record.name
        );
        if let Some(canary) = rollout.spec.canary() {
            let steps = steps_hash(canary.steps());
            assert_eq!(Some(steps), status.current_step_hash, "{}", record.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_was_taken_over_ends_when_it_is_promoted() {
    for record in records() {
        let status = &record.rollout()["status"];
        if status["pauseConditions"][0]["reason"] != "CanaryPauseStep" || record.name == "held" {
            continue;
        }
        let harness = record.taken_over().await;
        let step = status["currentStepIndex"].as_i64().unwrap();
        harness
            .server
            .edit(&ROLLOUT, NAMESPACE, &record.name, |rollout| {
                rollout["status"]["pauseConditions"] = Value::Null;
            });
        let name = record.name.clone();
        harness
            .until("the next step", |server| {
                let status = &server.get(&ROLLOUT, NAMESPACE, &name).unwrap()["status"];
                status["currentStepIndex"].as_i64() == Some(step + 1)
            })
            .await;
        harness.end().await;
    }
}
