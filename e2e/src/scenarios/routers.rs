//! Weights, counted on real traffic: of 1,000 requests, the share of the canary is within two points of the weight.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::fixtures::{self, rollout, routed, services};
use super::watch::{healthy, rollouts};
use crate::wait::eventually;

const STEPS: &str = "- setWeight: 20\n- pause: {}\n- setWeight: 50\n- pause: {}";

/// Gateway API.
pub(super) async fn http_route(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("route").await?;
    let host = format!("{}.local", namespace.name());
    namespace.apply_yaml(&services()).await?;
    namespace.apply_yaml(&fixtures::http_route(&host)).await?;
    namespace
        .apply_yaml(&rollout(2, &routed(namespace.name(), STEPS, "")))
        .await?;
    counted(&stage, namespace.name(), &host).await
}

/// ingress-nginx annotations, as Traefik understands them.
pub(super) async fn nginx(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("nginx").await?;
    let host = format!("{}.local", namespace.name());
    namespace.apply_yaml(&services()).await?;
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": { "name": "web" },
        "spec": { "ingressClassName": "nginx", "rules": [{ "host": host, "http": { "paths": [{
            "path": "/", "pathType": "Prefix",
            "backend": { "service": { "name": "web-stable", "port": { "number": 80 } } }
        }] } }] }
    });
    // JSON is YAML.
    namespace.apply_yaml(&ingress.to_string()).await?;
    let strategy = "canary:\n  canaryService: web-canary\n  stableService: web-stable\n  trafficRouting:\n    nginx:\n      \
                    stableIngress: web\n  steps:\n";
    let steps: String = STEPS.lines().map(|line| format!("    {line}\n")).collect();
    namespace
        .apply_yaml(&rollout(2, &format!("{strategy}{steps}")))
        .await?;
    counted(&stage, namespace.name(), &host).await
}

/// Traefik's own weighted service.
pub(super) async fn traefik(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("traefik").await?;
    let host = format!("{}.local", namespace.name());
    namespace.apply_yaml(&services()).await?;
    let service = json!({
        "apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "metadata": { "name": "web" },
        "spec": { "weighted": { "services": [
            { "name": "web-stable", "port": 80, "weight": 100 },
            { "name": "web-canary", "port": 80, "weight": 0 }
        ] } }
    });
    let route = json!({
        "apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": { "name": "web" },
        "spec": { "entryPoints": ["web"], "routes": [{
            "kind": "Rule", "match": format!("Host(`{host}`)"),
            "services": [{ "kind": "TraefikService", "name": "web" }]
        }] }
    });
    namespace.apply_yaml(&service.to_string()).await?;
    namespace.apply_yaml(&route.to_string()).await?;
    let strategy = "canary:\n  canaryService: web-canary\n  stableService: web-stable\n  trafficRouting:\n    traefik:\n      \
                    weightedTraefikServiceName: web\n  steps:\n";
    let steps: String = STEPS.lines().map(|line| format!("    {line}\n")).collect();
    namespace
        .apply_yaml(&rollout(2, &format!("{strategy}{steps}")))
        .await?;
    counted(&stage, namespace.name(), &host).await
}

/// Takes v2 to 20 %, to 50 % and to the end, and counts at each.
async fn counted(stage: &Stage, namespace: &str, host: &str) -> Result<()> {
    stage
        .rollout_until(namespace, "v1 to be healthy", 90, healthy)
        .await?;
    share(stage, host, 0).await?;
    stage.update(namespace, "v2").await?;
    for weight in [20, 50] {
        let paused = |rollout: &Value| {
            rollout.pointer("/status/canary/weights/canary/weight") == Some(&json!(weight))
                && rollout.pointer("/status/pauseConditions/0").is_some()
        };
        stage
            .rollout_until(namespace, &format!("the pause at {weight} %"), 60, paused)
            .await?;
        share(stage, host, weight).await?;
        let go_on = json!({ "status": { "pauseConditions": null } });
        stage
            .patch_status(namespace, &rollouts(), "web", &go_on)
            .await?;
    }
    stage
        .rollout_until(namespace, "v2 to be promoted", 90, healthy)
        .await?;
    eventually(
        "all traffic to be on v2",
        Duration::from_secs(20),
        || async {
            let (v1, v2, failed) = ask(stage, host, 50).await?;
            ensure!(
                v1 == 0 && v2 == 50 && failed == 0,
                "v1 {v1}, v2 {v2}, failed {failed}"
            );
            Ok(())
        },
    )
    .await
}

/// Asks 1,000 times, once the router shows the weight at all, and compares the share of v2 with the weight.
async fn share(stage: &Stage, host: &str, weight: u32) -> Result<()> {
    let what = format!("the share of v2 to be {weight} % ± 2");
    // The router learns of a weight through a watch of its own, so the first counts may be of the weight before.
    eventually(&what, Duration::from_secs(40), || async {
        let (v1, v2, failed) = ask(stage, host, 1000).await?;
        ensure!(failed == 0, "{failed} of 1000 requests failed");
        let share = f64::from(v2) * 100.0 / f64::from(v1 + v2);
        ensure!(
            (share - f64::from(weight)).abs() <= 2.0,
            "it is {share:.1} % ({v2} of {})",
            v1 + v2
        );
        Ok(())
    })
    .await
}

/// Sends requests one after the other; `(answered by v1, answered by v2, failed)`.
async fn ask(stage: &Stage, host: &str, count: u32) -> Result<(u32, u32, u32)> {
    let client = reqwest::Client::new();
    let url = format!("{}/", stage.cluster.web_url());
    let (mut v1, mut v2, mut failed) = (0, 0, 0);
    for _ in 0..count {
        let answer = client.get(&url).header("Host", host).send().await?;
        match answer
            .headers()
            .get("x-version")
            .and_then(|version| version.to_str().ok())
        {
            Some("v1") if answer.status().is_success() => v1 += 1,
            Some("v2") if answer.status().is_success() => v2 += 1,
            _ => failed += 1,
        }
    }
    Ok((v1, v2, failed))
}
