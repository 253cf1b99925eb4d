//! Webhooks: what a push event says, and which Applications it is about.
//!
//! Understood: GitHub, GitLab, Gitea and Gogs push events, Bitbucket Cloud pushes, Bitbucket Server
//! `repo:refs_changed`. Everything else (pings, issues, other events) is about nothing, and no error.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_crds::application::{Application, ApplicationSource};

use crate::key::{list, text};
use crate::repo_url::same_repository;

/// What was pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Push {
    /// Addresses of the repository: web, HTTP and SSH.
    pub repositories: BTreeSet<String>,
    /// Branches and tags, without `refs/heads/` and `refs/tags/`.
    pub references: BTreeSet<String>,
    /// Whether one of them is the repository's default branch.
    pub is_default_branch: bool,
    /// Files that changed, when the event says so completely; `None` when it does not.
    pub files: Option<BTreeSet<String>>,
}

/// Reads the body of a webhook; `None` when it is no push.
#[must_use]
pub fn parse(body: &Value) -> Option<Push> {
    let push = if body.pointer("/push/changes").is_some() {
        bitbucket_cloud(body)
    } else if text(body, "/eventKey") == "repo:refs_changed" {
        bitbucket_server(body)
    } else if body.get("ref").is_some() {
        // GitHub, Gitea, Gogs; GitLab says `project` where they say `repository`.
        common(body)
    } else {
        return None;
    };
    (!push.repositories.is_empty() && !push.references.is_empty()).then_some(push)
}

fn short(reference: &str) -> String {
    let stripped = reference
        .strip_prefix("refs/heads/")
        .or_else(|| reference.strip_prefix("refs/tags/"));
    stripped.unwrap_or(reference).to_owned()
}

fn addresses(object: &Value, fields: &[&str]) -> BTreeSet<String> {
    fields
        .iter()
        .map(|field| text(object, field))
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
        .collect()
}

fn common(body: &Value) -> Push {
    let repositories = addresses(
        body,
        &[
            "/repository/html_url",
            "/repository/clone_url",
            "/repository/ssh_url",
            "/repository/git_url",
            "/project/web_url",
            "/project/git_http_url",
            "/project/git_ssh_url",
        ],
    );
    let reference = short(text(body, "/ref"));
    let default = match text(body, "/repository/default_branch") {
        "" => text(body, "/project/default_branch"),
        branch => branch,
    };
    let commits = list(body, "/commits");
    let mut files = BTreeSet::new();
    for commit in commits {
        for field in ["/added", "/modified", "/removed"] {
            files.extend(
                list(commit, field)
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned),
            );
        }
    }
    // GitHub lists at most 20 commits, GitLab as many and says how many there were.
    let total = body.get("total_commits_count").and_then(Value::as_u64);
    let forced = body.get("forced") == Some(&Value::Bool(true));
    let complete = !commits.is_empty()
        && commits.len() < 20
        && !forced
        && !files.is_empty()
        && total.is_none_or(|total| usize::try_from(total) == Ok(commits.len()));
    Push {
        is_default_branch: !default.is_empty() && reference == default,
        repositories,
        references: BTreeSet::from([reference]),
        files: complete.then_some(files),
    }
}

fn bitbucket_cloud(body: &Value) -> Push {
    let mut references = BTreeSet::new();
    for change in list(body, "/push/changes") {
        for side in ["/new/name", "/old/name"] {
            let name = text(change, side);
            if !name.is_empty() {
                references.insert(name.to_owned());
            }
        }
    }
    let main = text(body, "/repository/mainbranch/name");
    Push {
        repositories: addresses(body, &["/repository/links/html/href"]),
        // It does not always say which branch is the default one: then any may be.
        is_default_branch: main.is_empty() || references.contains(main),
        references,
        files: None,
    }
}

fn bitbucket_server(body: &Value) -> Push {
    let references = list(body, "/changes")
        .iter()
        .map(|change| match text(change, "/ref/displayId") {
            "" => short(text(change, "/refId")),
            name => name.to_owned(),
        })
        .collect();
    let repositories = list(body, "/repository/links/clone")
        .iter()
        .map(|link| text(link, "/href").to_owned())
        .filter(|address| !address.is_empty())
        .collect();
    Push {
        repositories,
        references,
        is_default_branch: true,
        files: None,
    }
}

/// Whether a push may change what the Application wants.
#[must_use]
pub fn concerns(push: &Push, app: &Application) -> bool {
    const PATHS: &str = "argocd.argoproj.io/manifest-generate-paths";
    let paths = app
        .metadata
        .annotations
        .as_ref()
        .and_then(|map| map.get(PATHS));
    let hydrated = app
        .spec
        .source_hydrator
        .as_ref()
        .and_then(|h| h.dry_source.as_ref());
    app.spec.sources().iter().chain(hydrated).any(|source| {
        push.repositories
            .iter()
            .any(|repository| same_repository(repository, &source.repo_url))
            && concerns_revision(push, source.target_revision())
            && concerns_files(push, source, paths.map(String::as_str))
    })
}

/// Branches, tags and HEAD are compared by name; a semantic version range may match any tag.
fn concerns_revision(push: &Push, revision: &str) -> bool {
    let wanted = short(revision);
    let is_range = revision.contains(['*', '^', '~', '>', '<']);
    match wanted.as_str() {
        "HEAD" | "" => push.is_default_branch || push.references.is_empty(),
        _ => is_range || push.references.contains(&wanted),
    }
}

/// With `manifest-generate-paths`, only pushes that touch these paths count.
fn concerns_files(push: &Push, source: &ApplicationSource, paths: Option<&str>) -> bool {
    let (Some(files), Some(paths)) = (&push.files, paths.filter(|paths| !paths.trim().is_empty()))
    else {
        return true;
    };
    let base = source.path().trim_matches('/');
    paths
        .split(';')
        .map(str::trim)
        .filter(|path| !path.is_empty())
        .any(|path| {
            let full = match path.strip_prefix('/') {
                Some(absolute) => absolute.to_owned(),
                None => join(base, path),
            };
            let full = full.trim_end_matches('/');
            files.iter().any(|file| {
                full.is_empty()
                    || file == full
                    || file
                        .strip_prefix(full)
                        .is_some_and(|rest| rest.starts_with('/'))
                    || crate::glob::matches(full, file, Some('/'))
            })
        })
}

/// Joins two paths and resolves `.` and `..`; what leads out of the repository stays at its root.
fn join(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
