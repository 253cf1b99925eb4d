//! Applications and AppProjects come out of decode and encode as they went in.

use kube::CustomResourceExt;
use serde_json::Value;
use sluice_crds::app_project::AppProject;
use sluice_crds::application::Application;
use sluice_crds::decode;

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("test manifest is YAML")
}

fn application(text: &str) -> Application {
    decode::decode(&yaml(text)).expect("Application decodes")
}

#[test]
fn an_application_with_every_field_is_unchanged() {
    let manifest = yaml(include_str!("application/application-all-fields.yaml"));
    let decoded: Application = decode::decode(&manifest).unwrap();
    assert_eq!(serde_json::to_value(&decoded).unwrap(), manifest);
}

#[test]
fn a_project_with_every_field_is_unchanged() {
    let manifest = yaml(include_str!("application/project-all-fields.yaml"));
    let decoded: AppProject = decode::decode(&manifest).unwrap();
    assert_eq!(serde_json::to_value(&decoded).unwrap(), manifest);
}

#[test]
fn manifests_from_blog_posts_are_unchanged() {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(include_str!("application/posts.yaml")).unwrap();
    assert_eq!(documents.len(), 8);
    for manifest in documents {
        let encoded = match manifest["kind"].as_str().unwrap() {
            "Application" => serde_json::to_value(
                decode::decode::<Application>(&manifest).expect("Application decodes"),
            ),
            _ => serde_json::to_value(decode::decode::<AppProject>(&manifest).unwrap()),
        };
        assert_eq!(encoded.unwrap(), manifest);
    }
}

#[test]
fn an_unknown_field_is_tolerated() {
    let decoded = application(
        "{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: a}, \
         spec: {project: p, future: {a: 1}, source: {repoURL: r, future: 2}}, future: 3}",
    );
    assert_eq!(decoded.spec.project(), "p");
}

#[test]
fn an_application_without_a_spec_decodes_and_has_no_source() {
    let decoded = application("{metadata: {name: a}}");
    assert!(decoded.spec.sources().is_empty());
    assert_eq!(decoded.spec.project(), "default");
}

#[test]
fn a_field_of_a_wrong_type_is_named() {
    let error = decode::decode::<Application>(&yaml(
        "{metadata: {name: a}, spec: {syncPolicy: {automated: {prune: yes please}}}}",
    ))
    .unwrap_err();
    assert_eq!(error.field, "spec.syncPolicy.automated.prune");
}

#[test]
fn sources_win_over_source() {
    let decoded = application(
        "{metadata: {name: a}, spec: {source: {repoURL: one}, sources: [{repoURL: two}, {repoURL: three}]}}",
    );
    let urls: Vec<_> = decoded
        .spec
        .sources()
        .iter()
        .map(|s| s.repo_url.as_str())
        .collect();
    assert_eq!(urls, ["two", "three"]);
    assert!(decoded.spec.has_multiple_sources());
}

#[test]
fn the_destination_of_the_own_cluster_is_known_by_url_and_by_name() {
    for (destination, expected) in [
        ("{server: 'https://kubernetes.default.svc'}", true),
        ("{server: 'https://kubernetes.default.svc/'}", true),
        ("{name: in-cluster}", true),
        (
            "{server: 'https://kubernetes.default.svc', name: in-cluster}",
            false,
        ),
        ("{server: 'https://elsewhere'}", false),
        ("{name: elsewhere}", false),
        ("{namespace: web}", false),
    ] {
        let text = format!("{{metadata: {{name: a}}, spec: {{destination: {destination}}}}}");
        assert_eq!(
            application(&text).spec.destination.is_in_cluster(),
            expected,
            "{destination}"
        );
    }
}

#[test]
fn both_definitions_have_no_status_subresource() {
    for crd in [Application::crd(), AppProject::crd()] {
        let version = &crd.spec.versions[0];
        assert!(version.subresources.is_none());
        assert!(version.schema.is_some());
    }
    assert_eq!(Application::shortnames(), ["app", "apps"]);
    assert_eq!(AppProject::crd_name(), "appprojects.argoproj.io");
    assert!(
        Application::crd().spec.versions[0]
            .schema
            .as_ref()
            .and_then(|schema| schema.open_api_v3_schema.as_ref())
            .and_then(|schema| schema.properties.as_ref())
            .is_some_and(|properties| properties.contains_key("operation")
                && !properties.contains_key("metadata"))
    );
}
