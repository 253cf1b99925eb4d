//! The entry to the crate: resolves revisions and renders sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sluice_crds::application::ApplicationSource;

use crate::access::RepoAccess;
use crate::config::SourcesConfig;
use crate::error::SourceError;
use crate::git::mirror::Mirrors;
use crate::git::session::{Call, Session};
use crate::git::tree::{Tree, Trees};
use crate::git::{is_full_sha, is_short_sha, refs};
use crate::helm::repository::{is_pinned, pull, resolve as resolve_chart};
use crate::helm::template;
use crate::remembered::Remembered;
use crate::request::{RenderRequest, Rendered, ResolvedRevision, SourceType};
use crate::workshop::Workshop;
use crate::{detect, directory, kustomize};

/// Resolves revisions and renders sources. One for each process; cheap to share behind an [`Arc`].
#[derive(Debug)]
pub struct Sources {
    shop: Workshop,
    mirrors: Mirrors,
    trees: Trees,
    remembered: Remembered,
}

impl Sources {
    /// Takes the cache folder and clears what an earlier process left half done.
    ///
    /// # Errors
    /// [`SourceError::Cache`] when the folder cannot be made, or another process has it.
    pub fn new(config: SourcesConfig) -> Result<Self, SourceError> {
        let remembered = Remembered::new(config.limits.remembered_bytes);
        Ok(Self {
            shop: Workshop::new(config)?,
            mirrors: Mirrors::default(),
            trees: Trees::default(),
            remembered,
        })
    }

    /// What `target_revision` of a Git repository names now: `HEAD` (also when empty), a branch, a tag, a full ref, a
    /// commit in full or shortened to seven digits or more, or a range of tag versions. A full commit is taken as it
    /// is, without a look at the repository.
    ///
    /// # Errors
    /// When the repository cannot be read, or has nothing of that name.
    pub async fn resolve(
        &self,
        access: &RepoAccess,
        target_revision: &str,
    ) -> Result<ResolvedRevision, SourceError> {
        self.resolve_git(access, target_revision, "").await
    }

    /// As [`Sources::resolve`], with the source's `tagPrefix`; for a source with `chart`, the version of the chart.
    ///
    /// # Errors
    /// As [`Sources::resolve`].
    pub async fn resolve_source(
        &self,
        access: &RepoAccess,
        source: &ApplicationSource,
    ) -> Result<ResolvedRevision, SourceError> {
        let revision = source.target_revision();
        let Some(chart) = source.chart.as_deref().filter(|chart| !chart.is_empty()) else {
            return self
                .resolve_git(
                    access,
                    revision,
                    source.tag_prefix.as_deref().unwrap_or_default(),
                )
                .await;
        };
        if is_pinned(revision) {
            return Ok(ResolvedRevision {
                sha: revision.to_owned(),
                name: None,
            });
        }
        let version = resolve_chart(&self.shop, access, chart, revision).await?;
        Ok(ResolvedRevision {
            sha: version,
            name: None,
        })
    }

    async fn resolve_git(
        &self,
        access: &RepoAccess,
        revision: &str,
        tag_prefix: &str,
    ) -> Result<ResolvedRevision, SourceError> {
        let revision = if revision.is_empty() {
            "HEAD"
        } else {
            revision
        };
        let session = Session::new(&self.shop, access)?;
        if is_full_sha(revision) {
            return Ok(ResolvedRevision {
                sha: revision.to_ascii_lowercase(),
                name: None,
            });
        }
        let found = self.ls_remote(&session, revision).await?;
        if let Some(found) = refs::select(&found, revision, tag_prefix) {
            return Ok(ResolvedRevision {
                sha: found.commit.clone(),
                name: Some(found.name.clone()),
            });
        }
        let not_found = |reason: &str| SourceError::RevisionNotFound {
            url: session.url.clone(),
            revision: revision.to_owned(),
            reason: reason.to_owned(),
        };
        if is_short_sha(revision) {
            let mirror = self.mirrors.open(&self.shop, access);
            let commit = mirror.expand(&self.shop, access, revision).await?;
            return commit
                .map(|sha| ResolvedRevision { sha, name: None })
                .ok_or_else(|| not_found("no commit, or more than one, starts with it"));
        }
        Err(not_found("there is no branch, tag or version of that name"))
    }

    async fn ls_remote(
        &self,
        session: &Session<'_>,
        revision: &str,
    ) -> Result<Vec<refs::Ref>, SourceError> {
        let mut args: Vec<&str> = vec!["ls-remote", "--quiet"];
        // Servers hold many more refs than branches and tags: only what can match is asked for.
        let full_name = revision == "HEAD" || revision.starts_with("refs/");
        if !full_name {
            args.extend(["--heads", "--tags"]);
        }
        args.extend(["--", session.url.as_str()]);
        let peeled = format!("{revision}^{{}}");
        if full_name {
            args.extend([revision, &peeled]);
        }
        let call = Call {
            what: "git ls-remote",
            git_dir: None,
            cwd: None,
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            timeout: self.shop.config.timeouts.query,
            stdout_limit: 64 << 20,
        };
        let _permit = self.shop.permit().await?;
        let output = session.git_with_redirect(call).await?;
        Ok(refs::parse(&String::from_utf8_lossy(&output)))
    }

    /// Renders a source at a resolved revision.
    ///
    /// The revision is fetched if the cache does not hold it; what the cache holds is rendered even when the server is
    /// gone. Equal requests are answered from memory unless `fresh` is set.
    ///
    /// # Errors
    /// Anything that [`SourceError`] knows; the cache stays usable after each.
    pub async fn render(&self, request: &RenderRequest) -> Result<Arc<Rendered>, SourceError> {
        let digest = request.digest();
        if !request.fresh
            && let Some(rendered) = self.remembered.get(&digest)
        {
            return Ok(Arc::new(rendered));
        }
        if request.source.is_reference_only() {
            return Ok(Arc::new(Rendered {
                objects: Vec::new(),
                source_type: SourceType::Directory,
                digest_inputs: digest,
                warnings: Vec::new(),
            }));
        }
        let (tree, folder) = self.files(request).await?;
        let mut references = BTreeMap::new();
        for (name, reference) in &request.ref_sources {
            let tree = self.tree(&reference.access, &reference.revision).await?;
            references.insert(name.clone(), tree);
        }
        let source = detect::with_overrides(
            &request.source,
            &request.application.name,
            &tree,
            &folder,
            self.shop.config.limits.file_bytes,
        )?;
        let source_type = detect::source_type(&source, &folder)?;
        let mut warnings = Vec::new();
        let objects: Vec<Value> = match source_type {
            SourceType::Directory => {
                let limits = self.shop.config.limits;
                let settings = source.directory.unwrap_or_default();
                let (tree, folder) = (Arc::clone(&tree), folder);
                let work = tokio::task::spawn_blocking(move || {
                    let mut warnings = Vec::new();
                    let objects =
                        directory::render(&tree, &folder, &settings, &limits, &mut warnings)?;
                    Ok((objects, warnings))
                });
                let (objects, found) = work.await.map_err(|error| SourceError::Cache {
                    message: error.to_string(),
                })??;
                warnings = found;
                objects
            }
            SourceType::Kustomize => {
                let settings = source.kustomize.unwrap_or_default();
                let _permit = self.shop.permit().await?;
                kustomize::render(
                    &self.shop,
                    &tree,
                    &folder,
                    &settings,
                    request,
                    &mut warnings,
                )
                .await?
            }
            SourceType::Helm => {
                let settings = source.helm.unwrap_or_default();
                template::render(
                    &self.shop,
                    &tree,
                    &folder,
                    &settings,
                    request,
                    &references,
                    &mut warnings,
                )
                .await?
            }
        };
        let rendered = Arc::new(Rendered {
            objects,
            source_type,
            digest_inputs: digest,
            warnings,
        });
        self.remembered.insert(&rendered);
        Ok(rendered)
    }

    /// The files of a source, and its folder among them.
    async fn files(&self, request: &RenderRequest) -> Result<(Arc<Tree>, PathBuf), SourceError> {
        let source = &request.source;
        if let Some(chart) = source.chart.as_deref().filter(|chart| !chart.is_empty()) {
            let staging = tempfile::Builder::new()
                .prefix("chart")
                .tempdir_in(self.shop.trees())
                .map_err(|error| SourceError::cache("making a chart folder", &error))?;
            let folder = pull(
                &self.shop,
                &request.access,
                chart,
                &request.revision,
                staging.path(),
            )
            .await?;
            let tree = Tree::adopt(staging, &folder)
                .map_err(|error| SourceError::cache("opening a chart folder", &error))?;
            let folder = tree.root.path().to_owned();
            return Ok((Arc::new(tree), folder));
        }
        let tree = self.tree(&request.access, &request.revision).await?;
        let folder = tree
            .root
            .resolve(Path::new(source.path()))
            .map_err(|refusal| refusal.into_error("spec.source.path", source.path()))?;
        if !folder.is_dir() {
            return Err(SourceError::PathNotFound {
                field: "spec.source.path".into(),
                path: source.path().to_owned(),
                reason: "it is not a folder".into(),
            });
        }
        if let Some(module) = tree.submodule_of(&folder) {
            return Err(SourceError::Unsupported {
                field: "spec.source.path".into(),
                reason: format!(
                    "{} is a submodule, and submodules are not fetched; point an Application at its repository, or \
                     commit its files",
                    module.display()
                ),
            });
        }
        Ok((tree, folder))
    }

    /// The checkout of a commit.
    async fn tree(&self, access: &RepoAccess, commit: &str) -> Result<Arc<Tree>, SourceError> {
        if !is_full_sha(commit) {
            return Err(SourceError::invalid(
                "revision",
                format!("{commit:?} is not a full commit name"),
            ));
        }
        if let Some(tree) = self.trees.get(&self.shop, access, commit).await {
            return Ok(tree);
        }
        let mirror = self.mirrors.open(&self.shop, access);
        mirror.ensure(&self.shop, access, commit).await?;
        let tree = self
            .trees
            .checkout(&self.shop, access, &mirror, commit)
            .await?;
        drop(mirror);
        self.mirrors.evict(&self.shop);
        Ok(tree)
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &SourcesConfig {
        &self.shop.config
    }
}
