//! Directory sources.

use crate::common::{Bench, Repository, config_map};
use serde_json::json;

fn fixture() -> Repository {
    Repository::with(&[
        ("app/b.yaml", &config_map("b")),
        (
            "app/a.yml",
            &format!("{}---\n{}", config_map("a1"), config_map("a2")),
        ),
        (
            "app/c.json",
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}"#,
        ),
        ("app/notes.txt", "not a manifest"),
        ("app/values.yaml", "replicas: 3\n"),
        (
            "app/skipped.yaml",
            &format!("# +argocd:skip-file-rendering\n{}", config_map("skipped")),
        ),
        ("app/env/prod/d.yaml", &config_map("d")),
        ("app/env/dev/e.yaml", &config_map("e")),
    ])
}

#[tokio::test]
async fn the_files_of_a_folder_are_rendered_in_order() {
    let (bench, repository) = (Bench::new(), fixture());
    let rendered = bench
        .render(&repository, json!({"repoURL": "x", "path": "app"}))
        .await
        .unwrap();
    assert_eq!(
        crate::common::names(&rendered),
        ["ConfigMap/a1", "ConfigMap/a2", "ConfigMap/b", "ConfigMap/c"]
    );
    assert_eq!(rendered.source_type.as_str(), "Directory");
    assert_eq!(
        rendered.warnings,
        ["app/values.yaml is not a Kubernetes manifest and was skipped"]
    );
}

#[tokio::test]
async fn recurse_include_and_exclude_choose_files() {
    let (bench, repository) = (Bench::new(), fixture());
    let source = |directory| json!({"repoURL": "x", "path": "app", "directory": directory});
    let all = bench
        .names(&repository, source(json!({"recurse": true})))
        .await;
    assert_eq!(all.len(), 6);
    let some = bench
        .names(
            &repository,
            source(json!({"recurse": true, "include": "{env/*,b.yaml}", "exclude": "env/dev/*"})),
        )
        .await;
    assert_eq!(some, ["ConfigMap/b", "ConfigMap/d"]);
}

#[tokio::test]
async fn an_empty_folder_renders_to_nothing_and_a_missing_one_is_an_error() {
    let bench = Bench::new();
    let repository = Repository::with(&[("app/readme.md", "x")]);
    assert!(
        bench
            .names(&repository, json!({"repoURL": "x", "path": "app"}))
            .await
            .is_empty()
    );
    for path in ["nothing", "app/readme.md"] {
        let error = bench
            .render(&repository, json!({"repoURL": "x", "path": path}))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), "PathNotFound", "{error}");
        assert!(error.to_string().contains("spec.source.path"), "{error}");
    }
}

#[tokio::test]
async fn jsonnet_and_plugins_are_refused_by_name() {
    let bench = Bench::new();
    let repository = Repository::with(&[("app/a.jsonnet", "{}")]);
    for (source, field) in [
        (json!({"repoURL": "x", "path": "app"}), "app/a.jsonnet"),
        (
            json!({"repoURL": "x", "path": "app", "directory": {"jsonnet": {"libs": ["v"]}}}),
            "spec.source.directory.jsonnet",
        ),
        (
            json!({"repoURL": "x", "path": "app", "plugin": {"name": "p"}}),
            "spec.source.plugin",
        ),
    ] {
        let error = bench.render(&repository, source).await.unwrap_err();
        assert!(
            error.kind() == "Unsupported" && error.to_string().contains(field),
            "{error}"
        );
    }
    let both = json!({"repoURL": "x", "path": "app", "helm": {}, "kustomize": {}});
    let error = bench.render(&repository, both).await.unwrap_err();
    assert!(error.to_string().contains("helm, kustomize"), "{error}");
}

#[tokio::test]
async fn a_malformed_manifest_names_its_file_and_document() {
    let bench = Bench::new();
    let repository = Repository::with(&[(
        "app/x.yaml",
        &format!(
            "{}---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n bad: [\n",
            config_map("a")
        ),
    )]);
    let error = bench
        .render(&repository, json!({"repoURL": "x", "path": "app"}))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("app/x.yaml, document 2: line "),
        "{error}"
    );
}

#[tokio::test]
async fn a_link_inside_the_repository_is_followed() {
    let bench = Bench::new();
    let repository = Repository::with(&[("shared/s.yaml", &config_map("s"))]);
    repository.link("app/link.yaml", "../shared/s.yaml");
    repository.commit(&[]);
    assert_eq!(
        bench
            .names(&repository, json!({"repoURL": "x", "path": "app"}))
            .await,
        ["ConfigMap/s"]
    );
}

#[tokio::test]
async fn equal_requests_give_equal_answers_and_digests_tell_requests_apart() {
    let (bench, repository) = (Bench::new(), fixture());
    let source = json!({"repoURL": "x", "path": "app"});
    let first = bench.render(&repository, source.clone()).await.unwrap();
    let second = bench.render(&repository, source.clone()).await.unwrap();
    assert_eq!(first, second);
    let mut other = crate::common::request(&repository, source);
    other.destination_namespace = "other".into();
    let third = bench.sources.render(&other).await.unwrap();
    assert_ne!(first.digest_inputs, third.digest_inputs);
    assert_eq!(first.objects, third.objects);
}
