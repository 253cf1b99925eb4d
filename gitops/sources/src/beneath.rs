//! Paths that cannot leave a folder.
//!
//! Input: a folder and a path that somebody wrote into a repository. Output: the real path of what it names, which is
//! beneath the folder.
//!
//! Each component is resolved by hand, as `openat2(RESOLVE_BENEATH)` does it: a symbolic link is followed only
//! relative to where it stands, an absolute one and any `..` above the folder are refused. Nobody else writes into the
//! folder, so what was checked is what is used.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::error::SourceError;

/// Symbolic links on the way of one path; as in Linux.
const LINK_LIMIT: usize = 40;

/// Why a path could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It leads out of the folder.
    Outside(String),
    /// It names nothing.
    Missing(String),
}

impl Refusal {
    /// The error of the field that named the path.
    pub(crate) fn into_error(
        self,
        field: impl Into<String>,
        path: impl Into<String>,
    ) -> SourceError {
        let (field, path) = (field.into(), path.into());
        match self {
            Self::Outside(reason) => SourceError::PathOutsideRepository {
                field,
                path,
                reason,
            },
            Self::Missing(reason) => SourceError::PathNotFound {
                field,
                path,
                reason,
            },
        }
    }
}

/// A folder that paths may not leave.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    path: PathBuf,
}

impl Root {
    /// The folder at `path`, which must exist.
    pub(crate) fn new(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            path: path.canonicalize()?,
        })
    }

    /// Its real path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Resolves a path that is relative to the folder itself.
    pub(crate) fn resolve(&self, relative: impl AsRef<Path>) -> Result<PathBuf, Refusal> {
        self.walk(Vec::new(), relative.as_ref())
    }

    /// Resolves a path that is relative to `base`, a real path beneath the folder.
    pub(crate) fn resolve_from(
        &self,
        base: &Path,
        relative: impl AsRef<Path>,
    ) -> Result<PathBuf, Refusal> {
        let inner = base
            .strip_prefix(&self.path)
            .map_err(|_| Refusal::Outside("it starts outside of the repository".into()))?;
        let stack = inner
            .components()
            .map(|part| part.as_os_str().to_owned())
            .collect();
        self.walk(stack, relative.as_ref())
    }

    /// `path` relative to the folder, for messages.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.path)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    fn walk(&self, mut stack: Vec<OsString>, relative: &Path) -> Result<PathBuf, Refusal> {
        let mut links = 0;
        let mut pending: VecDeque<OsString> = parts(relative)
            .ok_or_else(|| Refusal::Outside("it is absolute".into()))?
            .into();
        while let Some(part) = pending.pop_front() {
            if part == ".." {
                if stack.pop().is_none() {
                    return Err(Refusal::Outside("`..` leads above its top folder".into()));
                }
                continue;
            }
            let mut candidate = self.join(&stack);
            candidate.push(&part);
            let metadata = candidate.symlink_metadata().map_err(|error| {
                let what = self.shown(&candidate);
                Refusal::Missing(match error.kind() {
                    std::io::ErrorKind::NotFound => format!("there is no {what}"),
                    _ => format!("{what} cannot be read: {}", error.kind()),
                })
            })?;
            if metadata.is_symlink() {
                links += 1;
                if links > LINK_LIMIT {
                    return Err(Refusal::Missing("its symbolic links go in a circle".into()));
                }
                let target = std::fs::read_link(&candidate)
                    .map_err(|error| Refusal::Missing(error.kind().to_string()))?;
                let target = parts(&target).ok_or_else(|| {
                    let link = self.shown(&candidate);
                    Refusal::Outside(format!("the symbolic link {link} is absolute"))
                })?;
                for part in target.into_iter().rev() {
                    pending.push_front(part);
                }
                continue;
            }
            if !pending.is_empty() && !metadata.is_dir() {
                let what = self.shown(&candidate);
                return Err(Refusal::Missing(format!("{what} is not a folder")));
            }
            stack.push(part);
        }
        Ok(self.join(&stack))
    }

    fn join(&self, stack: &[OsString]) -> PathBuf {
        let mut path = self.path.clone();
        path.extend(stack);
        path
    }
}

/// The components of a relative path; `None` for an absolute one.
fn parts(path: &Path) -> Option<Vec<OsString>> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => parts.push("..".into()),
            Component::Normal(part) => parts.push(part.to_owned()),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn fixture() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("repository");
        std::fs::create_dir_all(repository.join("apps/web")).unwrap();
        std::fs::create_dir_all(repository.join("shared")).unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        std::fs::write(repository.join("shared/values.yaml"), "a: 1").unwrap();
        let root = Root::new(&repository).unwrap();
        (folder, root)
    }

    fn outside(result: Result<PathBuf, Refusal>) -> bool {
        matches!(result, Err(Refusal::Outside(_)))
    }

    #[test]
    fn a_path_inside_is_resolved() {
        let (_folder, root) = fixture();
        let base = root.resolve("apps/web").unwrap();
        let values = root
            .resolve_from(&base, "../../shared/./values.yaml")
            .unwrap();
        assert_eq!(root.shown(&values), "shared/values.yaml");
        assert_eq!(root.resolve("").unwrap(), root.path());
    }

    #[test]
    fn dots_and_absolute_paths_do_not_lead_out() {
        let (_folder, root) = fixture();
        let base = root.resolve("apps/web").unwrap();
        assert!(outside(root.resolve("..")));
        assert!(outside(root.resolve("../secret")));
        assert!(outside(root.resolve("apps/../../repository/shared")));
        assert!(outside(root.resolve_from(&base, "../../../secret")));
        assert!(outside(root.resolve("/etc/passwd")));
        assert!(outside(root.resolve_from(Path::new("/etc"), "passwd")));
    }

    #[test]
    fn symbolic_links_do_not_lead_out() {
        let (folder, root) = fixture();
        symlink("../../../secret", root.path().join("apps/web/relative")).unwrap();
        symlink(
            folder.path().join("secret"),
            root.path().join("apps/web/absolute"),
        )
        .unwrap();
        symlink("/", root.path().join("apps/root")).unwrap();
        symlink("..", root.path().join("apps/up")).unwrap();
        assert!(outside(root.resolve("apps/web/relative")));
        assert!(outside(root.resolve("apps/web/absolute")));
        assert!(outside(root.resolve("apps/root/etc/passwd")));
        assert!(outside(root.resolve("apps/up/../secret")));
        assert_eq!(
            root.shown(&root.resolve("apps/up/shared").unwrap()),
            "shared"
        );
    }

    #[test]
    fn a_link_to_a_link_that_leads_out_is_refused() {
        let (_folder, root) = fixture();
        symlink("second", root.path().join("first")).unwrap();
        symlink("apps/../..", root.path().join("second")).unwrap();
        assert!(outside(root.resolve("first/secret")));
    }

    #[test]
    fn circles_and_missing_names_are_told_apart_from_escapes() {
        let (_folder, root) = fixture();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        assert!(matches!(root.resolve("a"), Err(Refusal::Missing(_))));
        assert!(matches!(root.resolve("nothing"), Err(Refusal::Missing(_))));
        assert!(matches!(
            root.resolve("shared/values.yaml/x"),
            Err(Refusal::Missing(_))
        ));
    }
}
