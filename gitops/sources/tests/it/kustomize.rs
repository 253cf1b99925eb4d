//! Kustomize sources, with the real kustomize.

use crate::common::{Bench, Repository, config_map};
use serde_json::json;

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'web:v1'}]}
";

fn fixture() -> Repository {
    crate::common::program("kustomize");
    Repository::with(&[
        ("base/kustomization.yaml", "resources: [deployment.yaml]\n"),
        ("base/deployment.yaml", DEPLOYMENT),
        (
            "prod/kustomization.yaml",
            "resources: [../base]\nnamespace: prod\n",
        ),
        (
            "extra/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [c.yaml]\n",
        ),
        ("extra/c.yaml", &config_map("extra")),
    ])
}

#[tokio::test]
async fn an_overlay_is_built() {
    let (bench, repository) = (Bench::new(), fixture());
    let rendered = bench
        .render(&repository, json!({"repoURL": "x", "path": "prod"}))
        .await
        .unwrap();
    assert_eq!(rendered.source_type.as_str(), "Kustomize");
    assert_eq!(rendered.objects[0]["metadata"]["namespace"], "prod");
}

#[tokio::test]
async fn every_setting_of_the_source_is_applied() {
    let (bench, repository) = (Bench::new(), fixture());
    let source = json!({"repoURL": "x", "path": "prod", "kustomize": {
        "namePrefix": "a-",
        "nameSuffix": "-z",
        "images": ["web=registry.example.com/web:$ARGOCD_APP_REVISION_SHORT"],
        "replicas": [{"name": "web", "count": "3"}],
        "commonLabels": {"team": "shop"},
        "labelWithoutSelector": true,
        "labelIncludeTemplates": true,
        "commonAnnotations": {"by": "${ARGOCD_APP_NAME}"},
        "commonAnnotationsEnvsubst": true,
        "namespace": "other",
        "patches": [{"target": {"kind": "Deployment"}, "patch": "- {op: add, path: /spec/minReadySeconds, value: 5}"}],
        "components": ["../extra", "../missing"],
        "ignoreMissingComponents": true,
    }});
    let rendered = bench.render(&repository, source).await.unwrap();
    let deployment = rendered
        .objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    assert_eq!(deployment["metadata"]["name"], "a-web-z");
    assert_eq!(deployment["metadata"]["namespace"], "other");
    assert_eq!(deployment["metadata"]["labels"]["team"], "shop");
    assert_eq!(deployment["metadata"]["annotations"]["by"], "web");
    assert_eq!(deployment["spec"]["replicas"], 3);
    assert_eq!(deployment["spec"]["minReadySeconds"], 5);
    assert_eq!(
        deployment["spec"]["selector"]["matchLabels"],
        json!({"app": "web"})
    );
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["labels"]["team"],
        "shop"
    );
    let image = format!("registry.example.com/web:{}", &repository.head()[..7]);
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        image
    );
    assert!(
        rendered
            .objects
            .iter()
            .any(|object| object["kind"] == "ConfigMap")
    );

    // The shared checkout was not touched.
    let plain = bench
        .render(&repository, json!({"repoURL": "x", "path": "prod"}))
        .await
        .unwrap();
    assert_eq!(plain.objects[0]["metadata"]["name"], "web");
}

#[tokio::test]
async fn overrides_in_the_folder_are_merged_but_cannot_move_the_source() {
    let (bench, repository) = (Bench::new(), fixture());
    repository.commit(&[
        (
            "prod/.argocd-source.yaml",
            "path: ../base\nkustomize:\n  images: ['web=web:v7']\n",
        ),
        (
            "prod/.argocd-source-web.yaml",
            "kustomize:\n  namePrefix: own-\n",
        ),
        (
            "prod/.argocd-source-other.yaml",
            "kustomize:\n  namePrefix: other-\n",
        ),
    ]);
    let rendered = bench
        .render(&repository, json!({"repoURL": "x", "path": "prod"}))
        .await
        .unwrap();
    let deployment = &rendered.objects[0];
    assert_eq!(deployment["metadata"]["name"], "own-web");
    assert_eq!(deployment["metadata"]["namespace"], "prod");
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        "web:v7"
    );
}

#[tokio::test]
async fn values_cannot_become_options() {
    let (bench, repository) = (Bench::new(), fixture());
    let source =
        json!({"repoURL": "x", "path": "prod", "kustomize": {"namePrefix": "--stack-trace"}});
    let rendered = bench.render(&repository, source).await;
    // Whether kustomize takes the prefix or refuses it, it does not read it as an option.
    if let Ok(rendered) = rendered {
        assert_eq!(rendered.objects[0]["metadata"]["name"], "--stack-traceweb");
    }
}

#[tokio::test]
async fn a_broken_kustomization_says_what_is_wrong_without_paths_of_the_machine() {
    let (bench, repository) = (Bench::new(), fixture());
    repository.commit(&[(
        "prod/kustomization.yaml",
        "resources: [../base]\nnamesspace: x\n",
    )]);
    let error = bench
        .render(&repository, json!({"repoURL": "x", "path": "prod"}))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        error.kind() == "RenderFailed" && text.contains("namesspace"),
        "{text}"
    );
    assert!(
        !text.contains(bench.folder.path().to_str().unwrap()),
        "{text}"
    );
    repository.commit(&[("prod/kustomization.yaml", "resources: [../nothing]\n")]);
    let error = bench
        .render(&repository, json!({"repoURL": "x", "path": "prod"}))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("prod/kustomization.yaml: resources[0]"),
        "{error}"
    );
}

#[tokio::test]
async fn renderings_of_many_applications_run_side_by_side() {
    let (bench, repository) = (Bench::new(), fixture());
    let old = repository.head();
    repository.commit(&[(
        "prod/kustomization.yaml",
        "resources: [../base]\nnamespace: new\n",
    )]);
    let requests: Vec<_> = (0..12)
        .map(|index| {
            let source = json!({"repoURL": "x", "path": "prod", "kustomize": {"namePrefix": format!("p{index}-")}});
            let mut request = crate::common::request(&repository, source);
            if index % 2 == 0 {
                request.revision = old.clone();
            }
            request
        })
        .collect();
    let sources = &bench.sources;
    let mut results = Vec::new();
    for wave in requests.chunks(6) {
        let [a, b, c, d, e, f] = wave else {
            panic!("chunks of six")
        };
        let done = tokio::join!(
            sources.render(a),
            sources.render(b),
            sources.render(c),
            sources.render(d),
            sources.render(e),
            sources.render(f),
        );
        results.extend([done.0, done.1, done.2, done.3, done.4, done.5]);
    }
    for (index, result) in results.into_iter().enumerate() {
        let rendered = result.unwrap();
        assert_eq!(
            rendered.objects[0]["metadata"]["name"],
            format!("p{index}-web")
        );
        let namespace = if index % 2 == 0 { "prod" } else { "new" };
        assert_eq!(rendered.objects[0]["metadata"]["namespace"], namespace);
    }
}
