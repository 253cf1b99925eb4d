//! The cache folder: one owner, and no damage that lasts.

use crate::common::{Bench, Repository, config, config_map};
use serde_json::json;
use sluice_gitops_sources::Sources;

fn only_folder(path: &std::path::Path) -> std::path::PathBuf {
    std::fs::read_dir(path)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
}

#[tokio::test]
async fn a_second_owner_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = Sources::new(config(folder.path())).unwrap();
    let error = Sources::new(config(folder.path())).unwrap_err();
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    drop(first);
    assert!(Sources::new(config(folder.path())).is_ok());
}

#[tokio::test]
async fn locks_of_a_killed_fetch_do_not_block_the_next() {
    let bench = Bench::new();
    let repository = Repository::with(&[("app/a.yaml", &config_map("a"))]);
    let source = json!({"repoURL": "x", "path": "app"});
    bench.render(&repository, source.clone()).await.unwrap();
    let mirror = only_folder(&bench.folder.path().join("repositories"));
    for lock in ["shallow.lock", "packed-refs.lock", "config.lock"] {
        std::fs::write(mirror.join(lock), "").unwrap();
    }
    repository.commit(&[("app/a.yaml", &config_map("b"))]);
    assert_eq!(bench.names(&repository, source).await, ["ConfigMap/b"]);
}

#[tokio::test]
async fn a_damaged_or_deleted_repository_is_fetched_again() {
    let bench = Bench::new();
    let repository = Repository::with(&[("app/a.yaml", &config_map("a"))]);
    let source = json!({"repoURL": "x", "path": "app"});
    bench.render(&repository, source.clone()).await.unwrap();
    let mirror = only_folder(&bench.folder.path().join("repositories"));
    std::fs::remove_dir_all(&mirror).unwrap();
    repository.commit(&[("app/a.yaml", &config_map("b"))]);
    assert_eq!(
        bench.names(&repository, source.clone()).await,
        ["ConfigMap/b"]
    );
    std::fs::remove_file(mirror.join("HEAD")).unwrap();
    repository.commit(&[("app/a.yaml", &config_map("c"))]);
    assert_eq!(bench.names(&repository, source).await, ["ConfigMap/c"]);
}

#[tokio::test]
async fn a_cache_that_is_full_drops_what_was_not_used_for_longest() {
    let bench = Bench::with(|config| {
        config.limits.cache_bytes = 1;
        config.limits.checkouts = 1;
    });
    let source = json!({"repoURL": "x", "path": "app"});
    for name in ["a", "b", "c"] {
        let repository = Repository::with(&[("app/a.yaml", &config_map(name))]);
        assert_eq!(
            bench.names(&repository, source.clone()).await,
            [format!("ConfigMap/{name}")]
        );
    }
    let left = std::fs::read_dir(bench.folder.path().join("repositories"))
        .unwrap()
        .count();
    assert!(left <= 1, "{left} repositories are left");
}

#[tokio::test]
async fn the_history_of_a_branch_that_was_rewritten_stays_renderable() {
    let bench = Bench::new();
    let repository = Repository::with(&[("app/a.yaml", &config_map("old"))]);
    let source = json!({"repoURL": "x", "path": "app"});
    let mut old = crate::common::request(&repository, source.clone());
    bench.sources.render(&old).await.unwrap();
    repository.git(&["commit", "--quiet", "--amend", "--message", "other"]);
    repository.git(&["reflog", "expire", "--expire=now", "--all"]);
    repository.git(&["gc", "--quiet", "--prune=now"]);
    repository.commit(&[("app/a.yaml", &config_map("new"))]);
    assert_eq!(bench.names(&repository, source).await, ["ConfigMap/new"]);
    old.fresh = true;
    assert_eq!(
        crate::common::names(&bench.sources.render(&old).await.unwrap()),
        ["ConfigMap/old"]
    );
}

#[tokio::test]
async fn submodules_and_hooks_of_a_repository_run_nothing_and_an_empty_folder_is_not_taken_for_the_truth()
 {
    let bench = Bench::new();
    let marker = tempfile::tempdir().unwrap();
    let proof = marker.path().join("ran");
    let inner = Repository::with(&[("evil.yaml", &config_map("evil"))]);
    let repository = Repository::with(&[("app/a.yaml", &config_map("a"))]);
    repository.write(".gitattributes", "* filter=evil\n");
    repository.write(
        ".gitmodules",
        &format!(
            "[submodule \"m\"]\n\tpath = app/m\n\turl = {}\n\tupdate = !touch {}\n",
            inner.path().display(),
            proof.display()
        ),
    );
    let commit = inner.head();
    repository.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{commit},app/m"),
    ]);
    repository.git(&["add", ".gitmodules", ".gitattributes"]);
    repository.git(&["commit", "--quiet", "--message", "m"]);
    let source = json!({"repoURL": "x", "path": "app", "directory": {"recurse": true}});
    let refused = bench
        .render(&repository, source)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("app/m is a submodule"), "{refused}");
    repository.write("other/b.yaml", &config_map("b"));
    repository.git(&["add", "other"]);
    repository.git(&["commit", "--quiet", "--message", "b"]);
    let source = json!({"repoURL": "x", "path": "other"});
    assert_eq!(bench.names(&repository, source).await, ["ConfigMap/b"]);
    assert!(!proof.exists());
}
