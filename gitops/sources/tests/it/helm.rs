//! Helm sources, with the real helm.

use crate::common::{Bench, Repository, names, program, request};
use crate::http::{Content, Server};
use base64::Engine as _;
use serde_json::{Value, json};
use sluice_gitops_sources::{Credentials, DependencyAccess, RefSource, RepoAccess, Secret};

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.2.3\n";
const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
data:
  tag: {{ .Values.image.tag | quote }}
  extra: {{ .Values.extra | default \"\" | quote }}
  list: {{ .Values.list | default (list) | join \"+\" | quote }}
  kube: {{ .Capabilities.KubeVersion.Version | quote }}
  api: {{ .Capabilities.APIVersions.Has \"example.com/v1\" | quote }}
  home: {{ env \"HOME\" | default \"none\" | quote }}
";

fn fixture() -> Repository {
    program("helm");
    Repository::with(&[
        ("chart/Chart.yaml", CHART),
        ("chart/values.yaml", "image: {tag: base}\n"),
        ("chart/values-prod.yaml", "image: {tag: prod}\n"),
        ("env/web.yaml", "image: {tag: env}\n"),
        ("env/extra.txt", "from a file"),
        (
            "chart/templates/config.yaml",
            &TEMPLATE.replace(
                "  home: {{ env \"HOME\" | default \"none\" | quote }}\n",
                "",
            ),
        ),
        (
            "chart/crds/crd.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\n",
        ),
        (
            "chart/templates/tests/t.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n",
        ),
    ])
}

fn source(helm: Value) -> Value {
    json!({"repoURL": "x", "path": "chart", "helm": helm})
}

async fn data(bench: &Bench, repository: &Repository, helm: Value) -> Value {
    let rendered = bench.render(repository, source(helm)).await.unwrap();
    rendered
        .objects
        .iter()
        .find(|object| object["kind"] == "ConfigMap")
        .unwrap()["data"]
        .clone()
}

#[tokio::test]
async fn a_chart_is_detected_and_rendered_for_its_destination() {
    let (bench, repository) = (Bench::new(), fixture());
    let rendered = bench
        .render(&repository, json!({"repoURL": "x", "path": "chart"}))
        .await
        .unwrap();
    assert_eq!(rendered.source_type.as_str(), "Helm");
    assert_eq!(
        names(&rendered),
        [
            "CustomResourceDefinition/things.example.com",
            "ConfigMap/web",
            "Pod/t"
        ]
    );
    let config = &rendered.objects[1];
    assert_eq!(config["metadata"]["namespace"], "shop");
    assert_eq!(config["data"]["kube"], "v1.33.0");
    assert_eq!(config["data"]["tag"], "base");
}

#[tokio::test]
async fn values_files_parameters_and_objects_win_in_the_order_of_helm() {
    let (bench, repository) = (Bench::new(), fixture());
    let value_files = json!(["values-prod.yaml", "../env/$ARGOCD_APP_NAME.yaml"]);
    let tag = |data: Value| data["tag"].clone();
    assert_eq!(
        tag(data(
            &bench,
            &repository,
            json!({"valueFiles": ["/chart/values-prod.yaml"]})
        )
        .await),
        "prod"
    );
    assert_eq!(
        tag(data(&bench, &repository, json!({"valueFiles": value_files})).await),
        "env"
    );
    assert_eq!(
        tag(data(
            &bench,
            &repository,
            json!({"valueFiles": value_files, "values": "image: {tag: inline}"})
        )
        .await),
        "inline"
    );
    let all = json!({
        "valueFiles": value_files,
        "values": "image: {tag: inline}",
        "valuesObject": {"image": {"tag": "object"}, "list": ["a", "b"]},
        "parameters": [
            {"name": "image.tag", "value": "1e3", "forceString": true},
            {"name": "list", "value": "{x,y}"},
        ],
        "fileParameters": [{"name": "extra", "path": "../env/extra.txt"}],
        "apiVersions": ["example.com/v1"],
        "kubeVersion": "1.30.0",
    });
    assert_eq!(
        data(&bench, &repository, all).await,
        json!({"tag": "1e3", "extra": "from a file", "list": "x+y", "kube": "v1.30.0", "api": "true"})
    );
}

#[tokio::test]
async fn names_namespaces_crds_and_tests_follow_the_settings() {
    let (bench, repository) = (Bench::new(), fixture());
    let helm = json!({"releaseName": "other", "namespace": "elsewhere", "skipCrds": true, "skipTests": true});
    let rendered = bench.render(&repository, source(helm)).await.unwrap();
    assert_eq!(names(&rendered), ["ConfigMap/other"]);
    assert_eq!(rendered.objects[0]["metadata"]["namespace"], "elsewhere");
    for name in ["--post-renderer", "{{ .x }}", "UPPER", &"x".repeat(54)] {
        let error = bench
            .render(&repository, source(json!({"releaseName": name})))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("spec.source.helm.releaseName"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_missing_values_file_is_an_error_unless_it_may_be_missing() {
    let (bench, repository) = (Bench::new(), fixture());
    let error = bench
        .render(&repository, source(json!({"valueFiles": ["nope.yaml"]})))
        .await
        .unwrap_err();
    assert!(
        error.kind() == "PathNotFound" && error.to_string().contains("valueFiles[0]"),
        "{error}"
    );
    let helm =
        json!({"valueFiles": ["nope.yaml", "values-prod.yaml"], "ignoreMissingValueFiles": true});
    assert_eq!(data(&bench, &repository, helm).await["tag"], "prod");
}

#[tokio::test]
async fn a_template_that_fails_says_why_without_paths_of_the_machine() {
    let (bench, repository) = (Bench::new(), fixture());
    repository.commit(&[("chart/templates/bad.yaml", "x: {{ fail \"the reason\" }}\n")]);
    let error = bench
        .render(&repository, source(json!({})))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("the reason") && text.contains("bad.yaml"),
        "{text}"
    );
    assert!(
        !text.contains(bench.folder.path().to_str().unwrap()),
        "{text}"
    );
}

#[tokio::test]
async fn values_of_another_source_are_reached_by_its_name() {
    let (bench, repository) = (Bench::new(), fixture());
    let other = Repository::with(&[("deep/v.yaml", "image: {tag: other}\n")]);
    let mut wanted = request(
        &repository,
        source(json!({"valueFiles": ["$values/deep/v.yaml"]})),
    );
    wanted.ref_sources.insert(
        "values".into(),
        RefSource {
            access: other.access(),
            revision: other.head(),
        },
    );
    let rendered = bench.sources.render(&wanted).await.unwrap();
    assert_eq!(rendered.objects[1]["data"]["tag"], "other");
    wanted.source.helm.as_mut().unwrap().value_files =
        Some(vec!["$values/../../etc/passwd".into()]);
    assert_eq!(
        bench.sources.render(&wanted).await.unwrap_err().kind(),
        "PathOutsideRepository"
    );
}

/// A folder with one packaged chart and its index.
fn helm_repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("library");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(
        chart.join("templates/c.yaml"),
        crate::common::config_map("library"),
    )
    .unwrap();
    for version in ["1.0.0", "1.4.0", "2.0.0"] {
        std::fs::write(
            chart.join("Chart.yaml"),
            format!("apiVersion: v2\nname: library\nversion: {version}\n"),
        )
        .unwrap();
        helm(folder.path(), &["package", "library"]);
    }
    helm(folder.path(), &["repo", "index", "."]);
    folder
}

fn helm(folder: &std::path::Path, args: &[&str]) {
    let output = std::process::Command::new(program("helm"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn closed(url: &str) -> RepoAccess {
    RepoAccess {
        url: url.into(),
        credentials: Credentials {
            username: Some("bot".into()),
            password: Some(Secret::new("canary-password")),
            ..Credentials::default()
        },
        ..RepoAccess::default()
    }
}

async fn closed_repository() -> (tempfile::TempDir, Server) {
    let folder = helm_repository();
    let pair = base64::engine::general_purpose::STANDARD.encode("bot:canary-password");
    let server = Server::start(
        Content::Files(folder.path().into()),
        Some(&format!("Basic {pair}")),
    )
    .await;
    (folder, server)
}

#[tokio::test]
async fn a_chart_of_a_helm_repository_is_resolved_and_rendered() {
    let (_folder, server) = closed_repository().await;
    let (bench, repository) = (Bench::new(), Repository::with(&[("x", "")]));
    let url = server.url("");
    let mut wanted = request(
        &repository,
        json!({"repoURL": url, "chart": "library", "targetRevision": "^1.0.0"}),
    );
    wanted.access = closed(&url);
    let found = bench
        .sources
        .resolve_source(&wanted.access, &wanted.source)
        .await
        .unwrap();
    assert_eq!(found.sha, "1.4.0");
    wanted.revision = found.sha;
    assert_eq!(
        names(&bench.sources.render(&wanted).await.unwrap()),
        ["ConfigMap/library"]
    );

    wanted.source.target_revision = Some("^7".into());
    let error = bench
        .sources
        .resolve_source(&wanted.access, &wanted.source)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "RevisionNotFound", "{error}");
    wanted.access = RepoAccess::anonymous(url);
    let error = bench
        .sources
        .resolve_source(&wanted.access, &wanted.source)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "AccessDenied", "{error}");
}

#[tokio::test]
async fn dependencies_come_only_from_permitted_repositories() {
    let (_folder, server) = closed_repository().await;
    let url = server.url("");
    let bench = Bench::new();
    let repository = fixture();
    repository.commit(&[(
        "chart/Chart.yaml",
        &format!("{CHART}dependencies:\n- {{name: library, version: 1.x, repository: '{url}'}}\n"),
    )]);
    let mut wanted = request(&repository, source(json!({})));
    let error = bench.sources.render(&wanted).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("chart/Chart.yaml: dependencies[0].repository"),
        "{error}"
    );
    assert!(server.requests.lock().unwrap().is_empty());

    let permitted = closed(&url);
    wanted.dependencies =
        DependencyAccess::new(move |asked| (asked == permitted.url).then(|| permitted.clone()));
    let rendered = bench.sources.render(&wanted).await.unwrap();
    assert!(
        names(&rendered).contains(&"ConfigMap/library".to_owned()),
        "{rendered:?}"
    );
}

#[tokio::test]
async fn dependencies_in_the_repository_are_built_and_those_outside_refused() {
    let bench = Bench::new();
    let repository = fixture();
    let with = |path: &str| {
        format!(
            "{CHART}dependencies:\n- {{name: lib, version: 1.0.0, repository: 'file://{path}'}}\n"
        )
    };
    repository.commit(&[
        ("chart/Chart.yaml", &with("../lib")),
        (
            "lib/Chart.yaml",
            "apiVersion: v2\nname: lib\nversion: 1.0.0\n",
        ),
        ("lib/templates/c.yaml", &crate::common::config_map("lib")),
    ]);
    assert!(
        bench
            .names(&repository, source(json!({})))
            .await
            .contains(&"ConfigMap/lib".to_owned())
    );
    repository.commit(&[("chart/Chart.yaml", &with("../../lib"))]);
    let error = bench
        .render(&repository, source(json!({})))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "PathOutsideRepository", "{error}");
    repository.commit(&[
        ("chart/Chart.yaml", &with("../lib")),
        (
            "chart/charts/lib/Chart.yaml",
            "apiVersion: v2\nname: lib\nversion: 1.0.0\n",
        ),
    ]);
    assert!(
        !bench
            .names(&repository, source(json!({})))
            .await
            .contains(&"ConfigMap/lib".to_owned())
    );
}
