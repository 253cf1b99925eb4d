//! Git over HTTP: credentials, redirects, and a server that goes away.

use crate::common::{Bench, Repository, config_map, names, request};
use crate::http::{Content, Server};
use base64::Engine as _;
use serde_json::json;
use sluice_gitops_sources::{Credentials, RepoAccess, Secret};

const PASSWORD: &str = "canary-0xDEADBEEF-password";

fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
    )
}

fn access(url: String, password: &str) -> RepoAccess {
    RepoAccess {
        url,
        credentials: Credentials {
            username: Some("bot".into()),
            password: Some(Secret::new(password)),
            ..Credentials::default()
        },
        ..RepoAccess::default()
    }
}

/// A bare clone that `http-backend` can serve.
fn served(repository: &Repository) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("web.git");
    repository.git(&["clone", "--quiet", "--bare", ".", target.to_str().unwrap()]);
    folder
}

/// Every file below a folder holds no trace of the secret.
fn assert_clean(folder: &std::path::Path, secret: &str) {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("bot:{secret}"));
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                for secret in [secret, &encoded] {
                    let found = bytes
                        .windows(secret.len())
                        .any(|window| window == secret.as_bytes());
                    assert!(!found, "{} holds the secret", path.display());
                }
            }
        }
    }
}

#[tokio::test]
async fn credentials_open_a_repository_and_stay_out_of_the_cache() {
    let repository = Repository::with(&[("a.yaml", &config_map("a"))]);
    let folder = served(&repository);
    let server = Server::start(
        Content::Git(folder.path().into()),
        Some(&basic("bot", PASSWORD)),
    )
    .await;
    let bench = Bench::new();
    let access = access(server.url("web.git"), PASSWORD);
    let found = bench.sources.resolve(&access, "main").await.unwrap();
    assert_eq!(found.sha, repository.head());
    let mut wanted = request(&repository, json!({"repoURL": access.url, "path": "."}));
    wanted.access = access;
    assert_eq!(
        names(&bench.sources.render(&wanted).await.unwrap()),
        ["ConfigMap/a"]
    );
    assert_clean(bench.folder.path(), PASSWORD);
}

#[tokio::test]
async fn credentials_in_the_url_are_used_and_hidden() {
    let repository = Repository::with(&[("a.yaml", "x: 1")]);
    let folder = served(&repository);
    let server = Server::start(
        Content::Git(folder.path().into()),
        Some(&basic("bot", PASSWORD)),
    )
    .await;
    let bench = Bench::new();
    let url = server
        .url("web.git")
        .replace("http://", &format!("http://bot:{PASSWORD}@"));
    assert!(
        bench
            .sources
            .resolve(&RepoAccess::anonymous(url.clone()), "main")
            .await
            .is_ok()
    );
    let error = bench
        .sources
        .resolve(&RepoAccess::anonymous(url), "nope")
        .await
        .unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    assert_clean(bench.folder.path(), PASSWORD);
}

#[tokio::test]
async fn a_bearer_token_is_sent_as_one() {
    let repository = Repository::with(&[("a.yaml", "x: 1")]);
    let folder = served(&repository);
    let server = Server::start(
        Content::Git(folder.path().into()),
        Some("Bearer t0ken-t0ken"),
    )
    .await;
    let mut access = RepoAccess::anonymous(server.url("web.git"));
    access.credentials.bearer_token = Some(Secret::new("t0ken-t0ken"));
    assert!(Bench::new().sources.resolve(&access, "main").await.is_ok());
}

#[tokio::test]
async fn wrong_or_missing_credentials_are_a_denial_without_the_secret() {
    let repository = Repository::with(&[("a.yaml", "x: 1")]);
    let folder = served(&repository);
    let server = Server::start(Content::Git(folder.path().into()), Some("Basic other")).await;
    let bench = Bench::new();
    for access in [
        access(server.url("web.git"), PASSWORD),
        RepoAccess::anonymous(server.url("web.git")),
    ] {
        let error = bench.sources.resolve(&access, "main").await.unwrap_err();
        assert_eq!(error.kind(), "AccessDenied", "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_server() {
    let repository = Repository::with(&[("a.yaml", "x: 1")]);
    let folder = served(&repository);
    let thief = Server::start(Content::Git(folder.path().into()), None).await;
    let lure = Server::start(Content::Redirect(format!("http://{}", thief.address)), None).await;
    let bench = Bench::new();
    let error = bench
        .sources
        .resolve(&access(lure.url("web.git"), PASSWORD), "main")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("redirects"), "{error}");
    assert!(thief.requests.lock().unwrap().is_empty());
    // Without credentials there is nothing to lose.
    assert!(
        bench
            .sources
            .resolve(&RepoAccess::anonymous(lure.url("web.git")), "main")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_was_fetched_is_rendered_when_the_server_is_gone() {
    let repository = Repository::with(&[("a.yaml", &config_map("a"))]);
    let folder = served(&repository);
    let server = Server::start(Content::Git(folder.path().into()), None).await;
    let bench = Bench::with(|config| config.limits.checkouts = 1);
    let mut wanted = request(
        &repository,
        json!({"repoURL": server.url("web.git"), "path": "."}),
    );
    wanted.access = RepoAccess::anonymous(server.url("web.git"));
    bench.sources.render(&wanted).await.unwrap();
    let access = wanted.access.clone();
    server.stop().await;

    wanted.fresh = true;
    assert_eq!(
        names(&bench.sources.render(&wanted).await.unwrap()),
        ["ConfigMap/a"]
    );
    assert!(
        bench
            .sources
            .resolve(&access, "main")
            .await
            .unwrap_err()
            .is_transient()
    );
    wanted.revision = "0".repeat(40);
    assert!(
        bench
            .sources
            .render(&wanted)
            .await
            .unwrap_err()
            .is_transient()
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Server::start(Content::Silence, None).await;
    let bench = Bench::with(|config| config.timeouts.query = std::time::Duration::from_millis(500));
    let error = bench
        .sources
        .resolve(&RepoAccess::anonymous(server.url("x.git")), "main")
        .await
        .unwrap_err();
    assert!(error.kind() == "Timeout" && error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_commit_that_the_server_does_not_have_is_not_found() {
    let repository = Repository::with(&[("a.yaml", "x: 1")]);
    let folder = served(&repository);
    let server = Server::start(Content::Git(folder.path().into()), None).await;
    let bench = Bench::new();
    let mut wanted = request(&repository, json!({"repoURL": "x", "path": "."}));
    wanted.access = RepoAccess::anonymous(server.url("web.git"));
    wanted.revision = "1".repeat(40);
    let error = bench.sources.render(&wanted).await.unwrap_err();
    assert_eq!(error.kind(), "RevisionNotFound", "{error}");
}
