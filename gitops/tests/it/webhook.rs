//! What webhooks say, and which Applications they are about.

use crate::support::application;
use serde_json::{Value, json};
use sluice_crds::application::Application;
use sluice_gitops::webhook::{concerns, parse};

const REPOSITORY: &str = "https://git.example.com/shop.git";

fn github(reference: &str, files: &[&str]) -> Value {
    json!({
        "ref": reference,
        "forced": false,
        "repository": {"html_url": "https://git.example.com/shop", "clone_url": REPOSITORY, "ssh_url": "git@git.example.com:shop.git", "default_branch": "main"},
        "commits": [{"added": files, "modified": [], "removed": []}],
    })
}

fn at(revision: &str) -> Application {
    let mut app = application("{}");
    app.spec.source.as_mut().unwrap().target_revision = Some(revision.to_owned());
    app
}

fn is_about(body: &Value, app: &Application) -> bool {
    parse(body).is_some_and(|push| concerns(&push, app))
}

#[test]
fn push_events_of_all_servers_are_understood() {
    let gitlab = json!({"object_kind": "push", "ref": "refs/heads/main",
        "project": {"web_url": "https://git.example.com/shop", "git_http_url": REPOSITORY, "default_branch": "main"}, "commits": []});
    let gitea = json!({"ref": "refs/heads/main", "repository": {"html_url": "https://git.example.com/shop", "default_branch": "main"}, "commits": []});
    let cloud = json!({"push": {"changes": [{"new": {"name": "main", "type": "branch"}}]},
        "repository": {"links": {"html": {"href": "https://git.example.com/shop"}}}});
    let server = json!({"eventKey": "repo:refs_changed", "changes": [{"ref": {"displayId": "main"}, "refId": "refs/heads/main"}],
        "repository": {"links": {"clone": [{"name": "http", "href": REPOSITORY}]}}});
    for body in [github("refs/heads/main", &[]), gitlab, gitea, cloud, server] {
        assert!(is_about(&body, &at("main")), "{body}");
        assert!(is_about(&body, &at("refs/heads/main")), "{body}");
        assert!(is_about(&body, &at("HEAD")), "{body}");
        assert!(!is_about(&body, &at("release")), "{body}");
    }
}

#[test]
fn tags_match_names_and_ranges() {
    let body = github("refs/tags/v1.2.3", &[]);
    assert!(
        is_about(&body, &at("v1.2.3"))
            && is_about(&body, &at("v1.*"))
            && is_about(&body, &at("^1.0"))
    );
    assert!(!is_about(&body, &at("v1.2.4")) && !is_about(&body, &at("HEAD")));
}

#[test]
fn other_events_and_other_repositories_are_about_nothing() {
    for body in [
        json!({"zen": "Design for failure."}),
        json!({}),
        json!([]),
        json!(null),
        json!({"ref": 5}),
        json!({"ref": "refs/heads/main"}),
        json!({"push": {"changes": "no"}}),
    ] {
        assert!(!is_about(&body, &at("main")), "{body}");
    }
    let mut body = github("refs/heads/main", &[]);
    body["repository"] = json!({"html_url": "https://git.example.com/other"});
    assert!(!is_about(&body, &at("main")));
}

#[test]
fn paths_can_narrow_down_what_counts() {
    for (paths, file, expected) in [
        ("", "other/x.yaml", true),
        (".", "web/deploy.yaml", true),
        (".", "api/deploy.yaml", false),
        (".;/shared", "shared/base.yaml", true),
        ("../api", "api/deploy.yaml", true),
        ("/web/*.yaml", "web/deploy.yaml", true),
        ("/web/*.yaml", "web/deep/deploy.yaml", false),
        ("/", "anything", true),
        ("/we", "web/deploy.yaml", false),
    ] {
        let mut app = at("main");
        app.metadata.annotations = Some(
            [(
                "argocd.argoproj.io/manifest-generate-paths".to_owned(),
                paths.to_owned(),
            )]
            .into(),
        );
        assert_eq!(
            is_about(&github("refs/heads/main", &[file]), &app),
            expected,
            "{paths} on {file}"
        );
    }
}

#[test]
fn a_push_that_does_not_list_all_files_counts_always() {
    let mut app = at("main");
    app.metadata.annotations = Some(
        [(
            "argocd.argoproj.io/manifest-generate-paths".to_owned(),
            ".".to_owned(),
        )]
        .into(),
    );
    let mut forced = github("refs/heads/main", &["api/x"]);
    forced["forced"] = json!(true);
    assert!(is_about(&forced, &app));
    let mut many = github("refs/heads/main", &["api/x"]);
    many["total_commits_count"] = json!(100);
    assert!(is_about(&many, &app));
    assert!(!is_about(&github("refs/heads/main", &["api/x"]), &app));
}
