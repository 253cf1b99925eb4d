//! What `lint` finds, by file and field.

use serde_json::json;

use super::*;
use crate::offline::manifest;

fn check(text: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, text).unwrap();
    let manifests = manifest::read(&[file]).unwrap();
    let mut report = all(&manifests);
    let prefix = format!("{}/", folder.path().display());
    for problem in &mut report.problems {
        problem.place = problem.place.replace(&prefix, "");
    }
    report
}

fn problems(text: &str) -> Vec<String> {
    check(text)
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

const ROLLOUT: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
  strategy:
    canary:
";

fn rollout(canary: &str) -> String {
    let indented: String = canary
        .lines()
        .map(|line| format!("      {line}\n"))
        .collect();
    format!("{ROLLOUT}{indented}")
}

#[test]
fn a_wrong_type_and_an_unknown_field_are_named_by_their_path() {
    assert_eq!(
        problems(&rollout("steps: [{setWeight: many}]")),
        [
            "all.yaml: Rollout web: spec.strategy.canary.steps[0].setWeight: invalid type: string \"many\", expected i32"
        ]
    );
    assert_eq!(
        problems(&rollout("stepss: []\nmaxSurge: 1")),
        ["all.yaml: Rollout web: spec.strategy.canary.stepss: the API has no such field"]
    );
}

#[test]
fn the_engines_own_rules_are_applied() {
    assert_eq!(
        problems(&rollout("steps: [{setWeight: 120}]")),
        [
            "all.yaml: Rollout web: spec.strategy.canary.steps[0].setWeight: Invalid value: 120: SetWeight needs to be \
          between 0 and 100"
        ]
    );
    let found = problems(&rollout(
        "trafficRouting: {istio: {virtualService: {name: web}}}\ncanaryService: c\nstableService: s",
    ));
    assert!(
        found[0].contains("spec.strategy.canary.trafficRouting.istio"),
        "{found:?}"
    );
}

#[test]
fn what_is_named_and_not_there_is_missing_and_no_problem() {
    let report = check(&rollout(
        "canaryService: c
stableService: s
trafficRouting: {plugins: {argoproj-labs/gatewayAPI: {httpRoute: web}}}
analysis: {templates: [{templateName: good}, {templateName: everywhere, clusterScope: true}]}
steps: [{setWeight: 10}, {pause: {}}]",
    ));
    assert_eq!(report.problems, []);
    let missing: Vec<&String> = report.missing.keys().collect();
    assert_eq!(
        missing,
        [
            "AnalysisTemplate good",
            "ClusterAnalysisTemplate everywhere",
            "HTTPRoute default/web",
            "Service c",
            "Service s"
        ]
    );
}

#[test]
fn services_routes_and_templates_among_the_files_are_checked_with_it() {
    let rest = "
---
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {selector: {app: other}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {rules: [{backendRefs: [{name: s, port: 80}]}]}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: good}
spec:
  args: [{name: hash}]
  metrics:
    - name: rate
      interval: 3x
      successCondition: result[0] >=
      provider: {prometheus: {query: 'up{hash=\"{{args.hash}}\"}'}}
";
    let first = rollout(
        "canaryService: c
stableService: s
trafficRouting: {plugins: {argoproj-labs/gatewayAPI: {httpRoute: web}}}
analysis: {templates: [{templateName: good}], args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]}
steps: [{setWeight: 10}, {pause: {}}]",
    );
    let found = problems(&format!("{first}{rest}"));
    assert!(
        found.iter().any(|problem| problem.starts_with(
            "all.yaml (document 4): AnalysisTemplate good: spec.metrics[0].interval: "
        )),
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .any(|problem| problem.contains("unmatch label")),
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .any(|problem| problem.contains("HTTPRoute") && problem.contains("Service c")),
        "{found:#?}"
    );
}

#[test]
fn an_application_is_checked_as_the_sync_loop_checks_it() {
    let found = problems(
        "
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web}
spec:
  source: {repoURL: https://git/demo.git}
  destination: {server: https://elsewhere}
",
    );
    assert!(
        found
            .iter()
            .any(|problem| problem.contains("spec.source.path")),
        "{found:#?}"
    );
}

#[test]
fn what_is_no_object_is_said() {
    assert_eq!(
        problems("- a\n- b\n"),
        [
            "all.yaml: apiVersion: it is missing: this is no Kubernetes object",
            "all.yaml: kind: it is missing: this is no Kubernetes object"
        ]
    );
}

#[test]
fn a_field_that_the_engine_does_not_carry_out_is_refused_before_it_is_written() {
    let mut object = json!({
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "web", "image": "web" }] } },
            "strategy": { "canary": { "canaryService": "c", "stableService": "s",
                "analysis": { "templates": [{ "templateName": "good" }] } } }
        }
    });
    let decoded: Rollout = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(refusal(&decoded, "spec.workloadRef"), None);
    object["spec"]["strategy"]["canary"]["steps"] =
        json!([{ "setMirrorRoute": { "name": "mirror" } }]);
    let decoded: Rollout = serde_json::from_value(object).unwrap();
    let field = "spec.strategy.canary.steps[0].setMirrorRoute";
    assert!(refusal(&decoded, field).is_some());
}
