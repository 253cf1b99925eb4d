//! A controller under test: started, fed with objects, asked what it wrote. Pods are what the test says they are.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_controller::args;
use sluice_controller::{Clients, Config};
use sluice_runtime::clock::TokioClock;
use sluice_runtime::kind::{
    ANALYSIS_RUN, ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, DEPLOYMENT, EVENT, EXPERIMENT,
    HTTP_ROUTE, JOB, LEASE, POD, REPLICA_SET, ROLLOUT, SERVICE,
};
use sluice_runtime::telemetry::{self, LogFormat};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::FakeApi;

/// One controller and its API server.
pub(crate) struct Harness {
    pub(crate) server: FakeApi,
    pub(crate) stop: CancellationToken,
    pub(crate) run: JoinHandle<anyhow::Result<()>>,
}

/// A server that knows every kind that the controller needs.
pub(crate) fn server() -> FakeApi {
    FakeApi::with(&[
        &ROLLOUT,
        &REPLICA_SET,
        &SERVICE,
        &ANALYSIS_RUN,
        &EXPERIMENT,
        &JOB,
        &POD,
        &ANALYSIS_TEMPLATE,
        &CLUSTER_ANALYSIS_TEMPLATE,
        &HTTP_ROUTE,
        &POD,
        &DEPLOYMENT,
        &EVENT,
        &LEASE,
    ])
}

/// The configuration of a controller that leaves Applications alone; its ports are any that are free.
pub(crate) fn config(more: &[&str]) -> Config {
    let mut line = vec![
        "sluice-controller",
        "--bind-address=127.0.0.1",
        "--metricsPort=0",
        "--healthzPort=0",
    ];
    if !more
        .iter()
        .any(|argument| argument.starts_with("--controllers="))
    {
        line.push("--controllers=rollouts,experiments,analysis");
    }
    args::read(line.iter().chain(more))
        .unwrap()
        .args
        .config("argo-rollouts", "test")
        .unwrap()
}

impl Harness {
    /// Starts a controller without leader election.
    pub(crate) fn start(server: FakeApi) -> Self {
        Self::start_with(server, &["--leader-elect=false"])
    }

    /// Starts a controller with further arguments.
    pub(crate) fn start_with(server: FakeApi, more: &[&str]) -> Self {
        // Behind the creation of every object of the fake server.
        Self::start_at(server, more, "2026-01-01T01:00:00Z".parse().unwrap())
    }

    /// Starts a controller that runs the Jobs of metrics in another cluster.
    pub(crate) fn start_beside(server: FakeApi, jobs: &FakeApi, more: &[&str]) -> Self {
        let clients = Clients {
            home: server.client(),
            jobs: Some(jobs.client()),
        };
        Self::start_as(
            server,
            clients,
            more,
            "2026-01-01T01:00:00Z".parse().unwrap(),
        )
    }

    /// Starts a controller with further arguments at a moment; from then on wall time follows tokio's timers.
    pub(crate) fn start_at(server: FakeApi, more: &[&str], base: Timestamp) -> Self {
        let clients = server.client().into();
        Self::start_as(server, clients, more, base)
    }

    fn start_as(server: FakeApi, clients: Clients, more: &[&str], base: Timestamp) -> Self {
        // RUST_LOG shows what the controller says.
        telemetry::init_logs("off", LogFormat::Text);
        let stop = CancellationToken::new();
        let run = tokio::spawn(sluice_controller::run_with_clock(
            config(more),
            clients,
            stop.clone(),
            Arc::new(TokioClock::starting_at(base)),
        ));
        Self { server, stop, run }
    }

    /// Waits until something holds, for at most a minute of (paused) time.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&FakeApi) -> bool) {
        let start = Instant::now();
        while !holds(&self.server) {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "waited in vain: {what}\n{}",
                self.report()
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Makes every pod of every ReplicaSet ready, as the ReplicaSet controller and the kubelet would.
    pub(crate) fn pods_become_ready(&self) {
        for set in self.server.all(&REPLICA_SET) {
            let replicas = set["spec"]["replicas"].clone();
            let status = json!({
                "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas
            });
            if set["status"] != status {
                let name = set["metadata"]["name"].as_str().unwrap();
                self.server
                    .edit(&REPLICA_SET, "a", name, |set| set["status"] = status);
            }
        }
    }

    /// Waits as [`Harness::until`], with pods that become ready at once.
    pub(crate) async fn until_with_pods(&self, what: &str, holds: impl Fn(&FakeApi) -> bool) {
        self.until(what, |server| {
            self.pods_become_ready();
            holds(server)
        })
        .await;
    }

    /// Ends the controller gracefully.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.run.await.unwrap().unwrap();
    }

    fn report(&self) -> String {
        let short = |object: &Value| {
            json!({"metadata": {"name": object["metadata"]["name"]}, "spec": object["spec"]["replicas"], "status": object["status"]}).to_string()
        };
        let mut lines: Vec<String> = Vec::new();
        for kind in [&ROLLOUT, &EXPERIMENT, &REPLICA_SET, &ANALYSIS_RUN] {
            lines.extend(
                self.server
                    .all(kind)
                    .iter()
                    .map(|object| format!("{kind} {}", short(object))),
            );
        }
        lines.extend(
            self.server
                .all(&HTTP_ROUTE)
                .iter()
                .map(|route| route["spec"].to_string()),
        );
        lines.extend(
            self.server
                .all(&EVENT)
                .iter()
                .map(|event| format!("{} {}", event["reason"], event["message"])),
        );
        lines.join("\n")
    }
}

/// A Rollout `web` in namespace `a` with these steps, behind an HTTPRoute.
pub(crate) fn rollout(version: &str, canary: Value) -> Value {
    let mut strategy = json!({
        "canaryService": "web-canary",
        "stableService": "web-stable",
        "trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "web", "namespace": "a"}}},
    });
    for (key, value) in canary.as_object().unwrap() {
        strategy[key] = value.clone();
    }
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "a"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"canary": strategy},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": format!("web:{version}")}]}
            }
        }
    })
}

/// Puts the two Services and the route there.
pub(crate) fn put_surroundings(server: &FakeApi) {
    for name in ["web-stable", "web-canary"] {
        server.put(
            &SERVICE,
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "a"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}
            }),
        );
    }
    server.put(
        &HTTP_ROUTE,
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "web", "namespace": "a"},
            "spec": {"rules": [{"backendRefs": [
                {"name": "web-stable", "port": 80, "weight": 100},
                {"name": "web-canary", "port": 80, "weight": 0}
            ]}]}
        }),
    );
}

/// The canary weight that the route carries.
pub(crate) fn weight(server: &FakeApi) -> i64 {
    let route = server.get(&HTTP_ROUTE, "a", "web").unwrap();
    route["spec"]["rules"][0]["backendRefs"][1]["weight"]
        .as_i64()
        .unwrap()
}

/// A field of the status of the Rollout.
pub(crate) fn status(server: &FakeApi, field: &str) -> Value {
    server.get(&ROLLOUT, "a", "web").unwrap()["status"][field].clone()
}

/// Brings the Rollout to Healthy at version 1.
pub(crate) async fn deployed(canary: Value) -> Harness {
    let server = server();
    put_surroundings(&server);
    server.put(&ROLLOUT, rollout("v1", canary));
    let harness = Harness::start(server);
    harness
        .until_with_pods("v1 is healthy", |server| {
            status(server, "phase") == "Healthy"
        })
        .await;
    harness
}

/// Changes the image.
pub(crate) fn release(server: &FakeApi, version: &str) {
    server.edit(&ROLLOUT, "a", "web", |rollout| {
        rollout["spec"]["template"]["spec"]["containers"][0]["image"] =
            json!(format!("web:{version}"));
    });
}
