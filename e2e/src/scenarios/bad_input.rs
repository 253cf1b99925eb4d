//! Bad input: a condition that names the field and the reason, and everything else goes on.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::fixtures::{http_route, rollout, routed, services};
use super::watch::{applications, condition, healthy};
use crate::demo::stage::text;

const PAUSE: &str = "canary:\n  steps:\n    - setWeight: 50\n    - pause: {}";

const BROKEN_CONDITION: &str = "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: broken-condition
spec:
  metrics:
    - name: success-rate
      interval: 10s
      successCondition: result[0] >=
      provider:
        prometheus:
          address: http://prometheus.monitoring.svc:9090
          query: up
";

/// Rollouts that cannot be carried out, beside one that can.
pub(super) async fn rollouts(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("bad").await?;
    let name = namespace.name();
    let analysed = routed(
        name,
        "- setWeight: 10",
        "analysis:\n  templates:\n    - templateName: nowhere",
    );
    namespace.apply_yaml(BROKEN_CONDITION).await?;
    let unparsable = "canary:\n  analysis:\n    templates:\n      - templateName: broken-condition\n  steps:\n    \
                      - setWeight: 10";
    let cases = [
        ("unparsable-condition", unparsable.to_owned(), "successCondition"),
        ("missing-route", routed(name, "- setWeight: 10", ""), "HTTPRoute"),
        ("missing-template", analysed, "nowhere"),
        (
            "two-steps-in-one",
            "canary:\n  steps:\n    - pause: {duration: 5 minutes}".to_owned(),
            "spec.strategy.canary.steps[0].pause.duration",
        ),
        (
            "unsupported",
            "canary:\n  canaryService: web-canary\n  stableService: web-stable\n  trafficRouting:\n    smi: {}\n  steps:\n    - setWeight: 5".to_owned(),
            "smi",
        ),
        (
            "missing-service",
            "canary:\n  canaryService: nobody\n  stableService: web-stable\n  steps:\n    - setWeight: 5".to_owned(),
            "nobody",
        ),
    ];
    for (case, strategy, _) in &cases {
        let own = |yaml: &str| {
            yaml.replace("web-stable", &format!("{case}-stable"))
                .replace("web-canary", &format!("{case}-canary"))
                .replace("app: web", &format!("app: {case}"))
                .replace("  name: web\n", &format!("  name: {case}\n"))
        };
        namespace.apply_yaml(&own(&services())).await?;
        namespace.apply_yaml(&own(&rollout(1, strategy))).await?;
    }
    namespace.apply_yaml(&rollout(1, PAUSE)).await?;
    stage
        .rollout_until(
            name,
            "the good Rollout to be healthy beside the bad ones",
            90,
            healthy,
        )
        .await?;
    for (case, _, word) in &cases {
        let kind = super::watch::rollouts();
        let named = |rollout: &Value| {
            let status = rollout["status"].to_string();
            text(rollout, "/status/phase") != "Healthy" && status.contains(word)
        };
        let what = format!("a condition of {case} that names {word}");
        stage.until(name, &kind, case, &what, 30, named).await?;
    }
    // What was missing is found when it comes, without being told again.
    let route = http_route(&format!("{name}.local")).replace("web-", "missing-route-");
    namespace.apply_yaml(&route).await?;
    let kind = super::watch::rollouts();
    let what = "the Rollout to be healthy once its route is there";
    stage
        .until(name, &kind, "missing-route", what, 30, healthy)
        .await?;
    // What the API server itself can prove wrong never gets in.
    let wrong = rollout(1, "canary:\n  steps:\n    - setWeight: ten");
    match namespace
        .apply_yaml(&wrong.replace("name: web\n", "name: wrong-type\n"))
        .await
    {
        Ok(()) => bail!("setWeight: ten was accepted"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(
                text.contains("setWeight"),
                "the refusal does not name the field: {text}"
            );
        }
    }
    Ok(())
}

/// Applications whose source or content is wrong.
pub(super) async fn sources(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("badapp").await?;
    let name = namespace.name();
    let repository = stage.cluster.repository(name).await?;
    let map = |name: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: b\n")
    };
    repository
        .push(
            "content",
            &[
                ("good/map.yaml", Some(map("good").as_str())),
                ("broken/map.yaml", Some("apiVersion: v1\nkind: [")),
                (
                    "unknown/map.yaml",
                    Some(
                        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: unknown\nspecc: {}\n",
                    ),
                ),
            ],
        )
        .await?;
    let missing = format!("{}-not-there", repository.url);
    let cases = [
        ("good", repository.url.as_str(), "good", ""),
        (
            "broken",
            repository.url.as_str(),
            "broken",
            "broken/map.yaml",
        ),
        ("unknown", repository.url.as_str(), "unknown", "specc"),
        ("no-path", repository.url.as_str(), "nowhere", "nowhere"),
        ("outside", repository.url.as_str(), "../../etc", "../../etc"),
        ("no-repository", missing.as_str(), "good", "not-there"),
    ];
    for (case, url, path, _) in cases {
        let application = application(&format!("{name}-{case}"), url, path, name);
        stage.cluster.apply_yaml(&application.to_string()).await?;
    }
    for (case, _, _, word) in cases {
        let application = format!("{name}-{case}");
        let what = format!("{case} to say {word:?}");
        let done = |object: &Value| {
            if word.is_empty() {
                text(object, "/status/sync/status") == "Synced"
            } else {
                let told = ["ComparisonError", "SyncError", "InvalidSpecError"]
                    .map(|kind| condition(object, kind))
                    .concat();
                let state = text(object, "/status/operationState/message");
                let results = object.pointer("/status/operationState/syncResult");
                let results = results.map(Value::to_string).unwrap_or_default();
                told.contains(word) || state.contains(word) || results.contains(word)
            }
        };
        stage
            .until("sluice", &applications(), &application, &what, 60, done)
            .await?;
    }
    for (case, ..) in cases {
        stage
            .delete("sluice", &applications(), &format!("{name}-{case}"))
            .await?;
    }
    Ok(())
}

/// An Application with automated sync.
pub(super) fn application(name: &str, url: &str, path: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": name, "namespace": "sluice" },
        "spec": {
            "project": "default",
            "source": { "repoURL": url, "targetRevision": "main", "path": path },
            "destination": { "server": "https://kubernetes.default.svc", "namespace": namespace },
            "syncPolicy": { "automated": { "prune": true, "selfHeal": true } }
        }
    })
}
