//! Manifests of the scenarios: the demo's app with one strategy or another.

use serde_json::{Value, json};

use crate::cluster::BUSYBOX_IMAGE;
use crate::product::images::DEMO_APP;

/// A Rollout `web` of the demo's app at v1, with `strategy` as YAML below `spec.strategy`.
pub(super) fn rollout(replicas: i32, strategy: &str) -> String {
    let strategy: String = strategy
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    format!(
        r"apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: web
spec:
  replicas: {replicas}
  selector:
    matchLabels:
      app: web
  strategy:
{strategy}  template:
    metadata:
      labels:
        app: web
      annotations:
        prometheus.io/scrape: 'true'
        prometheus.io/port: '8080'
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - name: web
          image: {DEMO_APP}:v1
          imagePullPolicy: IfNotPresent
          ports:
            - name: http
              containerPort: 8080
          readinessProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 1
          resources:
            requests:
              cpu: 5m
              memory: 8Mi
"
    )
}

/// The Services `web-stable` and `web-canary`.
pub(super) fn services() -> String {
    ["web-stable", "web-canary"]
        .map(|name| {
            format!(
                r"apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector:
    app: web
  ports:
    - name: http
      port: 80
      targetPort: http
---
"
            )
        })
        .concat()
}

/// The HTTPRoute `web` for a host.
pub(super) fn http_route(host: &str) -> String {
    format!(
        r"apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: web
spec:
  parentRefs:
    - name: traefik
      namespace: {gateway}
  hostnames:
    - {host}
  rules:
    - backendRefs:
        - name: web-stable
          port: 80
          weight: 100
        - name: web-canary
          port: 80
          weight: 0
",
        gateway = crate::cluster::GATEWAY_NAMESPACE
    )
}

/// A canary over the HTTPRoute `web`, with these steps as YAML list items.
pub(super) fn routed(namespace: &str, steps: &str, more: &str) -> String {
    let steps: String = steps.lines().map(|line| format!("    {line}\n")).collect();
    let more: String = more.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "canary:\n  canaryService: web-canary\n  stableService: web-stable\n  trafficRouting:\n    plugins:\n      \
         argoproj-labs/gatewayAPI:\n        httpRoute: web\n        namespace: {namespace}\n{more}  steps:\n{steps}"
    )
}

/// An AnalysisTemplate over the requests of one revision.
pub(super) fn analysis(namespace: &str, prometheus: &str) -> String {
    let selector = format!(
        "namespace=\"{namespace}\",rollouts_pod_template_hash=\"{{{{args.canary-hash}}}}\""
    );
    format!(
        r"apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  args:
    - name: canary-hash
  metrics:
    - name: success-rate
      initialDelay: 8s
      interval: 2s
      failureLimit: 1
      # No data is no verdict: an error, and the rollout holds.
      consecutiveErrorLimit: 10
      successCondition: result[0] >= 0.95
      provider:
        prometheus:
          address: {prometheus}
          query: |
            sum(rate(http_requests_total{{{selector},code!~'5..'}}[8s]))
            / sum(rate(http_requests_total{{{selector}}}[8s]))
"
    )
}

/// An AnalysisTemplate of Jobs: each metric runs a shell script once, and is as good as its exit code.
pub(super) fn job_analysis(name: &str, metrics: &[(&str, &str)]) -> String {
    let metrics: Vec<Value> = metrics
        .iter()
        .map(|(metric, script)| {
            let container = json!({
                "name": "check", "image": BUSYBOX_IMAGE, "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", script]
            });
            let pod = json!({
                "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]
            });
            let job = json!({ "spec": { "backoffLimit": 0, "template": { "spec": pod } } });
            json!({ "name": metric, "provider": { "job": job } })
        })
        .collect();
    // JSON is YAML.
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": { "name": name }, "spec": { "metrics": metrics }
    })
    .to_string()
}
