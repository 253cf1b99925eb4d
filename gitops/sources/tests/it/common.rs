//! What the tests share: real Git repositories in temporary folders, and the real programs.

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

/// The path of a program: from the folder that `SLUICE_BIN` names, from where `cargo xtask install` puts it, or from
/// `PATH`.
pub(crate) fn program(name: &str) -> PathBuf {
    let found = folders(name)
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("the program {name} is neither in SLUICE_BIN nor in PATH: run `cargo xtask install`")
    })
}

fn folders(name: &str) -> Vec<PathBuf> {
    let list = |variable: &str| {
        let text = std::env::var_os(variable).unwrap_or_default();
        std::env::split_paths(&text).collect::<Vec<_>>()
    };
    let set = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let cache = set("SLUICE_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("sluice")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/sluice")));
    // One folder for each pinned set of versions; the newest is the one that is pinned now.
    let mut installed: Vec<_> = cache
        .and_then(|cache| std::fs::read_dir(cache).ok())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let folder = entry.file_name();
            folder.to_string_lossy().starts_with(&format!("{name}-"))
        })
        .map(|entry| {
            (
                entry.metadata().and_then(|found| found.modified()).ok(),
                entry.path(),
            )
        })
        .collect();
    installed.sort();
    let installed = installed.into_iter().rev().map(|(_, folder)| folder);
    list("SLUICE_BIN")
        .into_iter()
        .chain(installed)
        .chain(list("PATH"))
        .collect()
}

/// A Git repository with a work tree.
pub(crate) struct Repository {
    pub(crate) folder: tempfile::TempDir,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let repository = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// A repository whose first commit has these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let repository = Self::new();
        repository.commit(files);
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
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
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Writes files, commits everything, and gives the commit's name.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            self.write(path, text);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "change"]);
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn access(&self) -> RepoAccess {
        RepoAccess::anonymous(format!("file://{}", self.path().display()))
    }
}

/// A cache of its own, with `file://` allowed.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) sources: Sources,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut SourcesConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        Self {
            sources: Sources::new(config).unwrap(),
            folder,
        }
    }

    /// Renders the head of a repository with a source written as JSON.
    pub(crate) async fn render(
        &self,
        repository: &Repository,
        source: Value,
    ) -> Result<Arc<Rendered>, SourceError> {
        self.sources.render(&request(repository, source)).await
    }

    /// `Kind/name` of each object.
    pub(crate) async fn names(&self, repository: &Repository, source: Value) -> Vec<String> {
        names(&self.render(repository, source).await.unwrap())
    }
}

pub(crate) fn config(cache: &Path) -> SourcesConfig {
    let mut config = SourcesConfig::new(cache);
    config.git = program("git");
    for (name, place) in [
        ("helm", &mut config.helm),
        ("kustomize", &mut config.kustomize),
    ] {
        // Tests that need one ask for it with `program`, which fails with a message when it is not there.
        let found = folders(name)
            .into_iter()
            .map(|folder| folder.join(name))
            .find(|path| path.is_file());
        if let Some(found) = found {
            *place = found;
        }
    }
    config.allow_file_urls = true;
    config
}

pub(crate) fn request(repository: &Repository, source: Value) -> RenderRequest {
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

pub(crate) fn names(rendered: &Rendered) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rendered
        .objects
        .iter()
        .map(|object| {
            format!(
                "{}/{}",
                text(&object["kind"]),
                text(&object["metadata"]["name"])
            )
        })
        .collect()
}

pub(crate) fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: value\n")
}
