//! `create` against an API server that writes down what it is sent.

use std::path::PathBuf;

use sluice_gitops_sources::yaml;

use super::*;
use crate::failure;
use crate::fake::{self, Record};

const TEMPLATE: &str = "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
  labels: {team: shop, app.kubernetes.io/instance: web}
  annotations: {argocd.argoproj.io/tracking-id: \"web:argoproj.io/AnalysisTemplate:demo/success-rate\"}
spec:
  args: [{name: service}, {name: limit, value: \"0.95\"}]
  metrics:
    - name: success-rate
      successCondition: result[0] >= {{args.limit}}
      provider: {prometheus: {address: \"http://prometheus:9090\", query: \"rate({{args.service}})\"}}
";

fn server() -> (Cluster, Record) {
    fake::cluster(|line, body| match line {
        line if line.starts_with("POST ") => (201, body.clone()),
        line if line.contains("analysistemplates/success-rate") => {
            let mut template = yaml::parse_one(TEMPLATE).unwrap();
            if line.contains("/clusteranalysistemplates/") {
                template["kind"] = json!("ClusterAnalysisTemplate");
            }
            (200, template)
        }
        _ => fake::not_found("analysistemplates.argoproj.io \"nobody\""),
    })
}

fn arguments(pairs: &[(&str, &str)]) -> CreateRunArgs {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    CreateRunArgs {
        from: Some("success-rate".to_owned()),
        from_file: None,
        global: false,
        arguments: pairs.collect(),
        name: None,
        generate_name: None,
        instance_id: None,
    }
}

async fn refused(args: &CreateRunArgs) -> String {
    let (cluster, record) = server();
    let error = analysis_run(&cluster, args).await.unwrap_err();
    assert_eq!(record.writes(), []);
    failure::sentence(&error)
}

fn file(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("all.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

fn of_files(files: Vec<PathBuf>, watch: bool) -> CreateArgs {
    CreateArgs {
        files,
        watch,
        what: None,
    }
}

#[tokio::test]
async fn a_run_has_the_metrics_of_its_template_and_the_values_that_were_given() {
    let (cluster, record) = server();
    let mut args = arguments(&[("service", "web=1")]);
    args.instance_id = Some("blue".to_owned());
    analysis_run(&cluster, &args).await.unwrap();
    let [(line, run)] = record.writes().try_into().unwrap();
    assert_eq!(
        line.split('?').next(),
        Some("POST /apis/argoproj.io/v1alpha1/namespaces/demo/analysisruns")
    );
    assert_eq!(
        run["metadata"],
        json!({
            "generateName": "success-rate-",
            // Labels that say who applied the template, and all of its annotations, are not those of the run.
            "labels": { "team": "shop", "argo-rollouts.argoproj.io/controller-instance-id": "blue" }
        })
    );
    assert_eq!(run["kind"], "AnalysisRun");
    assert_eq!(
        run["spec"]["args"],
        json!([{ "name": "service", "value": "web=1" }, { "name": "limit", "value": "0.95" }])
    );
    assert_eq!(run["spec"]["metrics"][0]["name"], "success-rate");
}

#[tokio::test]
async fn a_name_or_its_beginning_can_be_given_and_a_template_of_the_cluster() {
    let (cluster, record) = server();
    let mut args = arguments(&[("service", "web"), ("surplus", "x")]);
    args.global = true;
    args.name = Some("mine".to_owned());
    analysis_run(&cluster, &args).await.unwrap();
    args.name = None;
    args.generate_name = Some("mine-".to_owned());
    analysis_run(&cluster, &args).await.unwrap();
    let writes = record.writes();
    assert_eq!(writes[0].1["metadata"]["name"], "mine");
    assert_eq!(writes[1].1["metadata"]["generateName"], "mine-");
    assert_eq!(writes[1].1["metadata"].get("name"), None);
}

#[tokio::test]
async fn what_is_wrong_with_a_run_is_named_by_argument_or_flag() {
    assert_eq!(
        refused(&arguments(&[])).await,
        "AnalysisTemplate success-rate: args.service was not resolved: give it a value, since AnalysisTemplate \
         success-rate declares it without a default (with --argument NAME=VALUE)"
    );
    let mut args = arguments(&[]);
    args.from = Some("nobody".to_owned());
    assert_eq!(
        refused(&args).await,
        "--from: analysistemplates.argoproj.io \"nobody\" not found in namespace demo"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, TEMPLATE);
    args.from = None;
    args.from_file = Some(path.clone());
    args.global = true;
    assert_eq!(
        refused(&args).await,
        format!(
            "--from-file {}: --global asks for a ClusterAnalysisTemplate, and it holds AnalysisTemplate success-rate",
            path.display()
        )
    );
    args.global = false;
    file(
        &folder,
        &TEMPLATE.replace("successCondition", "successCondtion"),
    );
    let text = refused(&args).await;
    assert!(
        text.contains("spec.metrics[0].successCondtion: the API has no such field"),
        "{text}"
    );
    file(
        &folder,
        "kind: Service\napiVersion: v1\nmetadata: {name: a}",
    );
    let text = refused(&args).await;
    assert!(
        text.contains("it must hold one AnalysisTemplate or ClusterAnalysisTemplate, and holds 0"),
        "{text}"
    );
}

#[tokio::test]
async fn files_are_created_in_their_order_each_in_its_namespace() {
    let folder = tempfile::tempdir().unwrap();
    let other = TEMPLATE
        .replace("kind: AnalysisTemplate", "kind: ClusterAnalysisTemplate")
        .replace("name: success-rate\n  labels", "name: all\n  labels");
    let third = TEMPLATE.replace(
        "name: success-rate\n  labels",
        "name: b\n  namespace: shop\n  labels",
    );
    let path = file(&folder, &format!("{TEMPLATE}---{other}---{third}"));
    let (cluster, record) = server();
    let paint = Paint::new(false);
    files(&cluster, &of_files(vec![path], false), paint)
        .await
        .unwrap();
    let prefix = "POST /apis/argoproj.io/v1alpha1/";
    let paths: Vec<String> = record
        .writes()
        .into_iter()
        .map(|(line, _)| line.split('?').next().unwrap().replace(prefix, ""))
        .collect();
    assert_eq!(
        paths,
        [
            "namespaces/demo/analysistemplates",
            "clusteranalysistemplates",
            "namespaces/shop/analysistemplates"
        ]
    );
}

#[tokio::test]
async fn nothing_is_created_when_something_is_wrong_in_one_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = TEMPLATE.replace("provider:", "povider:");
    for (text, watch, why) in [
        (
            format!("{TEMPLATE}---{wrong}"),
            false,
            "spec.metrics[0].povider: the API has no such field",
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}".to_owned(),
            false,
            "creates of apps/Deployment unsupported",
        ),
        (
            TEMPLATE.to_owned(),
            true,
            "--watch: can only watch resources of type Rollout or Experiment",
        ),
        (
            format!("{TEMPLATE}---{TEMPLATE}"),
            true,
            "--watch: cannot watch multiple resources, and the files hold 2",
        ),
    ] {
        let (cluster, record) = server();
        let args = of_files(vec![file(&folder, &text)], watch);
        let error = files(&cluster, &args, Paint::new(false)).await.unwrap_err();
        let error = failure::sentence(&error);
        assert!(error.contains(why), "{error}");
        assert_eq!(record.writes(), []);
    }
}
