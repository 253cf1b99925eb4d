//! What AppProjects permit and refuse.

use serde_json::Value;
use sluice_crds::app_project::AppProject;
use sluice_crds::application::{Application, Destination};
use sluice_gitops::key::Key;
use sluice_gitops::project;

fn project(spec: &str) -> AppProject {
    let value: Value =
        serde_saphyr::from_str(&format!("{{metadata: {{name: team}}, spec: {spec}}}"))
            .expect("test project is YAML");
    serde_json::from_value(value).expect("test project decodes")
}

fn app(repo: &str, namespace: &str) -> Application {
    let value = serde_json::json!({
        "metadata": {"name": "web", "namespace": "argocd"},
        "spec": {
            "project": "team",
            "source": {"repoURL": repo},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
        }
    });
    serde_json::from_value(value).expect("test Application decodes")
}

#[test]
fn the_implicit_default_project_permits_everything() {
    let project = project::implicit_default();
    let violations = project::violations(&app("https://anywhere/x.git", "any"), &project, "argocd");
    assert_eq!(violations, Vec::<String>::new());
    let role = Key::new("rbac.authorization.k8s.io", "ClusterRole", "", "x");
    let deployment = Key::new("apps", "Deployment", "any", "x");
    let to = app("r", "any").spec.destination;
    assert_eq!(project::forbids_object(&project, &to, &role, false), None);
    assert_eq!(
        project::forbids_object(&project, &to, &deployment, true),
        None
    );
}

#[test]
fn repositories_are_globs_over_normalized_urls_and_denials_win() {
    for (rules, url, permitted) in [
        ("['*']", "https://git.example.com/a/b", true),
        (
            "['https://git.example.com/team/*']",
            "https://git.example.com/team/app.git",
            true,
        ),
        (
            "['https://git.example.com/*']",
            "https://git.example.com/team/app.git",
            false,
        ),
        (
            "['https://git.example.com/**']",
            "https://git.example.com/team/app.git",
            true,
        ),
        (
            "['https://git.example.com/team/App.git']",
            "https://git.example.com/team/app",
            true,
        ),
        (
            "['git@git.example.com:team/app']",
            "ssh://git@git.example.com/team/app.git",
            true,
        ),
        (
            "['*', '!https://git.example.com/team/secret']",
            "https://git.example.com/team/secret.git",
            false,
        ),
        (
            "['!https://git.example.com/team/secret']",
            "https://git.example.com/team/open",
            true,
        ),
        ("[]", "https://git.example.com/team/open", false),
    ] {
        let project = project(&format!("{{sourceRepos: {rules}}}"));
        assert_eq!(
            project::permits_repository(&project, url),
            permitted,
            "{rules} on {url}"
        );
    }
}

#[test]
fn destinations_are_globs_over_cluster_and_namespace_and_denials_win() {
    let own = "https://kubernetes.default.svc";
    for (rules, namespace, permitted) in [
        (
            format!("[{{server: '{own}', namespace: web}}]"),
            "web",
            true,
        ),
        (
            format!("[{{server: '{own}', namespace: web}}]"),
            "api",
            false,
        ),
        (
            "[{server: '*', namespace: 'team-*'}]".to_owned(),
            "team-a",
            true,
        ),
        (
            "[{name: in-cluster, namespace: '*'}]".to_owned(),
            "web",
            true,
        ),
        (
            "[{server: 'https://other', namespace: '*'}]".to_owned(),
            "web",
            false,
        ),
        (
            "[{server: '*', namespace: '*'}, {server: '*', namespace: '!kube-system'}]".to_owned(),
            "kube-system",
            false,
        ),
        (
            "[{server: '*', namespace: '*'}, {server: '*', namespace: '!kube-system'}]".to_owned(),
            "web",
            true,
        ),
        (
            format!("[{{server: '*', namespace: '*'}}, {{server: '!{own}', namespace: '*'}}]"),
            "web",
            false,
        ),
        ("[]".to_owned(), "web", false),
    ] {
        let project = project(&format!("{{destinations: {rules}}}"));
        let to = Destination {
            server: Some(own.to_owned()),
            ..Destination::default()
        };
        assert_eq!(
            project::permits_destination(&project, &to, namespace),
            permitted,
            "{rules} on {namespace}"
        );
    }
}

#[test]
fn violations_are_told_in_upstreams_words() {
    let project = project("{sourceRepos: [], destinations: []}");
    let mut app = app("https://git.example.com/a", "web");
    app.metadata.namespace = Some("team-apps".to_owned());
    assert_eq!(
        project::violations(&app, &project, "argocd"),
        [
            "application 'web' in namespace 'team-apps' is not permitted to use project 'team'",
            "application repo https://git.example.com/a is not permitted in project 'team'",
            "application destination server 'https://kubernetes.default.svc' and namespace 'web' do not match any of the allowed destinations in project 'team'",
        ]
    );
}

#[test]
fn what_cannot_be_enforced_is_refused_and_named() {
    let project = project(
        "{sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], signatureKeys: [{keyID: A}], \
         sourceIntegrity: {}, permitOnlyProjectScopedClusters: true}",
    );
    let text = project::violations(&app("r", "web"), &project, "argocd").join("\n");
    for field in [
        "spec.signatureKeys",
        "spec.sourceIntegrity",
        "spec.permitOnlyProjectScopedClusters",
    ] {
        assert!(text.contains(field), "{text}");
    }
}

#[test]
fn kinds_are_permitted_as_the_four_lists_say() {
    let (deployment, role, namespace) = (
        (Key::new("apps", "Deployment", "web", "x"), true),
        (
            Key::new("rbac.authorization.k8s.io", "ClusterRole", "", "x"),
            false,
        ),
        (Key::new("", "Namespace", "", "web"), false),
    );
    for (lists, object, permitted) in [
        ("", &deployment, true),
        ("namespaceResourceWhitelist: []", &deployment, false),
        (
            "namespaceResourceWhitelist: [{group: apps, kind: '*'}]",
            &deployment,
            true,
        ),
        (
            "namespaceResourceWhitelist: [{group: '', kind: '*'}]",
            &deployment,
            false,
        ),
        (
            "namespaceResourceBlacklist: [{group: 'app?', kind: Deploy*}]",
            &deployment,
            false,
        ),
        ("", &role, false),
        (
            "clusterResourceWhitelist: [{group: '*', kind: '*'}]",
            &role,
            true,
        ),
        (
            "clusterResourceWhitelist: [{group: '', kind: Namespace}]",
            &role,
            false,
        ),
        (
            "clusterResourceWhitelist: [{group: '', kind: Namespace}]",
            &namespace,
            true,
        ),
        (
            "clusterResourceWhitelist: [{group: '', kind: Namespace, name: 'api-*'}]",
            &namespace,
            false,
        ),
        (
            "clusterResourceWhitelist: [{group: '*', kind: '*'}], clusterResourceBlacklist: [{group: '*', kind: ClusterRole}]",
            &role,
            false,
        ),
    ] {
        let comma = if lists.is_empty() { "" } else { ", " };
        let project = project(&format!(
            "{{destinations: [{{server: '*', namespace: '*'}}]{comma}{lists}}}"
        ));
        let to = app("r", "web").spec.destination;
        let forbidden = project::forbids_object(&project, &to, &object.0, object.1);
        assert_eq!(
            forbidden.is_none(),
            permitted,
            "{lists} on {}: {forbidden:?}",
            object.0
        );
    }
}

#[test]
fn a_foreign_namespace_is_refused() {
    let project = project("{destinations: [{server: '*', namespace: web}]}");
    let to = app("r", "web").spec.destination;
    assert_eq!(
        project::forbids_object(
            &project,
            &to,
            &Key::new("", "ConfigMap", "other", "x"),
            true
        )
        .as_deref(),
        Some("namespace other is not permitted in project 'team'")
    );
}
