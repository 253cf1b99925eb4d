//! Reading files of a checkout, within limits, and private copies of a checkout.

use std::io::Read as _;
use std::path::Path;

use crate::error::{SourceError, bytes};

/// Reads a file whose path was resolved beneath the checkout.
pub(crate) fn read_bytes(path: &Path, shown: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
    let failed = |error: &std::io::Error| SourceError::PathNotFound {
        field: "spec.source".into(),
        path: shown.to_owned(),
        reason: error.kind().to_string(),
    };
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut content = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| failed(&error))?;
    if content.len() as u64 > limit {
        return Err(SourceError::TooLarge {
            what: shown.to_owned(),
            limit: bytes(limit),
        });
    }
    Ok(content)
}

/// Reads a text file whose path was resolved beneath the checkout.
pub(crate) fn read_text(path: &Path, shown: &str, limit: u64) -> Result<String, SourceError> {
    String::from_utf8(read_bytes(path, shown, limit)?)
        .map_err(|_| SourceError::invalid(shown, "it is not UTF-8 text"))
}

/// A copy of the folder `from` in `to`, which must be empty, for a tool that writes. Files for which `private` is true
/// are copied; the others are shared by hard links, which costs no space and little time, and must not be written to.
pub(crate) fn copy_tree(
    from: &Path,
    to: &Path,
    private: &dyn Fn(&Path) -> bool,
) -> std::io::Result<()> {
    let mut open = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = open.pop() {
        for entry in std::fs::read_dir(&from)? {
            let entry = entry?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                std::fs::create_dir(&target)?;
                open.push((source, target));
            } else if kind.is_symlink() {
                std::os::unix::fs::symlink(std::fs::read_link(&source)?, &target)?;
            } else if kind.is_file()
                && (private(&source) || std::fs::hard_link(&source, &target).is_err())
            {
                std::fs::copy(&source, &target)?;
            }
        }
    }
    Ok(())
}
