//! What the tests share: real Git repositories in temporary folders, and the real programs.

#![expect(dead_code, reason = "each test file uses a part of it")]

pub mod http;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use sluice_crds::application::ApplicationSource;
use sluice_gitops_sources::{
    AppIdentity, DependencyAccess, RenderRequest, Rendered, RepoAccess, SourceError, Sources,
    SourcesConfig,
};

/// The path of a program, from the folder that `SLUICE_BIN` names or from `PATH`.
pub fn program(name: &str) -> PathBuf {
    let folders = std::env::var("SLUICE_BIN").into_iter().chain(std::env::var("PATH"));
    let folders: Vec<String> =
        folders.flat_map(|text| text.split(':').map(str::to_owned).collect::<Vec<_>>()).collect();
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("the program {name} is neither in SLUICE_BIN nor in PATH: run `cargo xtask install`, then `cargo xtask test`")
    })
}

/// A Git repository with a work tree.
pub struct Repository {
    pub folder: tempfile::TempDir,
}

impl Repository {
    pub fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// A repository whose first commit has these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let repository = Self::new();
        repository.commit(files);
        repository
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new(program("git"))
            .args(args)
            .current_dir(self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([
                ("GIT_AUTHOR_NAME", "t"),
                ("GIT_AUTHOR_EMAIL", "t@example.com"),
                ("GIT_COMMITTER_NAME", "t"),
                ("GIT_COMMITTER_EMAIL", "t@example.com"),
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Writes files, commits everything, and gives the commit's name.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            self.write(path, text);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "change"]);
        self.head()
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn access(&self) -> RepoAccess {
        RepoAccess::anonymous(format!("file://{}", self.path().display()))
    }
}

/// A cache of its own, with `file://` allowed.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub sources: Sources,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut SourcesConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        Self { sources: Sources::new(config).unwrap(), folder }
    }

    /// Renders the head of a repository with a source written as JSON.
    pub async fn render(&self, repository: &Repository, source: Value) -> Result<Arc<Rendered>, SourceError> {
        self.sources.render(&request(repository, source)).await
    }

    /// `Kind/name` of each object.
    pub async fn names(&self, repository: &Repository, source: Value) -> Vec<String> {
        names(&self.render(repository, source).await.unwrap())
    }
}

pub fn config(cache: &Path) -> SourcesConfig {
    let mut config = SourcesConfig::new(cache);
    config.git = program("git");
    if let Ok(folder) = std::env::var("SLUICE_BIN") {
        config.search_path = format!("{folder}:{}", config.search_path);
    }
    if let Ok(path) = std::env::var("PATH") {
        config.search_path = format!("{}:{path}", config.search_path);
    }
    config.allow_file_urls = true;
    config
}

pub fn request(repository: &Repository, source: Value) -> RenderRequest {
    let source: ApplicationSource = serde_json::from_value(source).unwrap();
    RenderRequest {
        application: AppIdentity {
            name: "web".into(),
            namespace: "argocd".into(),
            project: "default".into(),
        },
        destination_namespace: "shop".into(),
        source,
        revision: repository.head(),
        access: repository.access(),
        kube_version: "1.33.0".into(),
        api_versions: vec!["apps/v1".into()],
        ref_sources: BTreeMap::new(),
        dependencies: DependencyAccess::none(),
        fresh: false,
    }
}

pub fn names(rendered: &Rendered) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rendered
        .objects
        .iter()
        .map(|object| format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"])))
        .collect()
}

pub fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: value\n")
}
