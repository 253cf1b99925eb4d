//! What a `targetRevision` names.

use crate::common::{Bench, Repository};
use sluice_gitops_sources::{RepoAccess, SourceError};

async fn resolve(
    bench: &Bench,
    repository: &Repository,
    revision: &str,
) -> Result<String, SourceError> {
    let found = bench
        .sources
        .resolve(&repository.access(), revision)
        .await?;
    Ok(found.sha)
}

#[tokio::test]
async fn branches_tags_commits_and_ranges_are_found() {
    let repository = Repository::with(&[("a", "1")]);
    let first = repository.head();
    repository.git(&["tag", "v1.0.0"]);
    let second = repository.commit(&[("a", "2")]);
    repository.git(&["tag", "--annotate", "v1.1.0", "--message", "release"]);
    let third = repository.commit(&[("a", "3")]);
    repository.git(&["tag", "v2.0.0-rc.1"]);
    repository.git(&["branch", "feature/x", &first]);

    let bench = Bench::new();
    for (revision, commit) in [
        ("HEAD", &third),
        ("", &third),
        ("main", &third),
        ("refs/heads/main", &third),
        ("feature/x", &first),
        ("v1.0.0", &first),
        ("v1.1.0", &second),
        ("refs/tags/v1.1.0", &second),
        ("1.x", &second),
        (">=1.0.0", &second),
        (">=2.0.0-0", &third),
        (first.as_str(), &first),
        (&first.to_uppercase(), &first),
        (&second[..7], &second),
    ] {
        assert_eq!(
            resolve(&bench, &repository, revision).await.as_ref(),
            Ok(commit),
            "{revision}"
        );
    }
}

#[tokio::test]
async fn a_name_that_is_not_there_is_an_error_that_says_so() {
    let repository = Repository::with(&[("a", "1")]);
    let bench = Bench::new();
    for revision in [
        "nope",
        "refs/heads/nope",
        ">=9",
        "deadbeef",
        "--upload-pack=touch x",
        "main^{tree}",
    ] {
        let error = resolve(&bench, &repository, revision).await.unwrap_err();
        assert_eq!(error.kind(), "RevisionNotFound", "{revision}: {error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_passing_trouble() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let access = RepoAccess::anonymous(format!("http://127.0.0.1:{port}/x.git"));
    let error = Bench::new()
        .sources
        .resolve(&access, "main")
        .await
        .unwrap_err();
    assert!(
        error.is_transient() && error.kind() == "RepositoryUnreachable",
        "{error}"
    );
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let access = RepoAccess::anonymous(format!("file://{}/nothing", folder.path().display()));
    let error = Bench::new()
        .sources
        .resolve(&access, "main")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "RepositoryNotFound", "{error}");
}

#[tokio::test]
async fn the_controllers_own_disk_is_no_repository_unless_it_is_allowed() {
    let repository = Repository::with(&[("a", "1")]);
    let bench = Bench::with(|config| config.allow_file_urls = false);
    for url in [
        format!("file://{}", repository.path().display()),
        repository.path().display().to_string(),
        format!("ext::git-upload-pack {}", repository.path().display()),
    ] {
        let error = bench
            .sources
            .resolve(&RepoAccess::anonymous(url), "main")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), "InvalidRepositoryUrl", "{error}");
    }
}
