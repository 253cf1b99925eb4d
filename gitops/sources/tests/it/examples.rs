//! The Applications of `examples/`, rendered from the repository that they name.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sluice_gitops_sources::yaml;

use crate::common::{Bench, Repository, names, program};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn every_application_of_the_examples_renders() {
    program("helm");
    program("kustomize");
    let repository = Repository::new();
    copy(&examples().join("repository"), repository.path());
    repository.commit(&[]);
    let bench = Bench::new();
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(examples().join("applications")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for document in yaml::parse(&text, yaml::Budget::default()).unwrap() {
            if document.value["kind"] != "Application" {
                continue;
            }
            let name = document.value["metadata"]["name"]
                .as_str()
                .unwrap()
                .to_owned();
            let source: Value = document.value["spec"]["source"].clone();
            let rendered = bench
                .render(&repository, source)
                .await
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(!rendered.objects.is_empty(), "{name} renders to nothing");
            assert_eq!(rendered.warnings, Vec::<String>::new(), "{name}");
            seen.push((name, rendered));
        }
    }
    let of = |name: &str| &seen.iter().find(|(found, _)| found == name).unwrap().1;
    let rollout = |name: &str| {
        let objects = &of(name).objects;
        objects
            .iter()
            .find(|object| object["kind"] == "Rollout")
            .unwrap()
            .clone()
    };
    let web = rollout("web-prod");
    assert_eq!(web["spec"]["replicas"], 4);
    for labels in [
        "/spec/selector/matchLabels",
        "/spec/template/metadata/labels",
        "/metadata/labels",
    ] {
        let label = web
            .pointer(labels)
            .and_then(|found| found.get("app.kubernetes.io/managed-by"));
        assert_eq!(label.and_then(Value::as_str), Some("argocd"), "{labels}");
    }
    let image = "/spec/template/spec/containers/0/image";
    assert_eq!(
        rollout("web-helm").pointer(image).unwrap(),
        "sluice.local/demo-app:v2"
    );
    assert_eq!(rollout("web-helm")["spec"]["replicas"], 3);
    assert_eq!(
        rollout("web-dev")["spec"]["strategy"]["canary"]["steps"],
        serde_json::json!([])
    );
    assert_eq!(names(of("root-app")).len(), 3);
}
