//! `cargo xtask gen`: files that are made from the code, so that the two cannot differ.
//!
//! Each maker in `generate/` gives its files as path and content; this one writes them, or, with `--check`, says which
//! are stale. A folder that is made completely is listed in [`FOLDERS`]: what lies there and is not made is stale too.

mod crds;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use sluice_e2e::demo::picture;

/// Folders below the repository that hold nothing but made files, with their ending.
const FOLDERS: [(&str, &str); 2] = [
    ("crds/yaml", "yaml"),
    ("charts/sluice-crds/templates", "yaml"),
];

/// What to do with the made files.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail and list what is stale.
    #[arg(long)]
    check: bool,
}

/// Writes the made files, or checks them.
///
/// # Errors
/// When a file cannot be read or written, and, with `--check`, when one is stale.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = sluice_e2e::product::checkout()?;
    if arguments.check {
        check(&root)?;
        println!("All generated files are up to date.");
        return Ok(ExitCode::SUCCESS);
    }
    let stale = stale(&root, &made()?)?;
    if stale.is_empty() {
        println!("All generated files were up to date.");
    }
    for (path, content) in stale {
        let full = root.join(&path);
        match content {
            Some(content) => {
                if let Some(folder) = full.parent() {
                    std::fs::create_dir_all(folder)
                        .with_context(|| format!("create {}", folder.display()))?;
                }
                std::fs::write(&full, content)
                    .with_context(|| format!("write {}", full.display()))?;
                println!("wrote   {}", path.display());
            }
            None => {
                std::fs::remove_file(&full)
                    .with_context(|| format!("remove {}", full.display()))?;
                println!("removed {}", path.display());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks that every made file is up to date.
///
/// # Errors
/// A list of those that are not, and what to do.
pub(crate) fn check(root: &Path) -> Result<()> {
    let stale: Vec<String> = stale(root, &made()?)?
        .keys()
        .map(|path| format!("  {}", path.display()))
        .collect();
    if !stale.is_empty() {
        bail!(
            "these files are stale; run `cargo xtask gen`:\n{}",
            stale.join("\n")
        );
    }
    Ok(())
}

/// Every made file: path below the repository, and content.
fn made() -> Result<BTreeMap<PathBuf, String>> {
    let mut made = crds::files()?;
    made.extend([picture::draw()?]);
    Ok(made)
}

/// What must be written, or, with `None`, removed.
fn stale(
    root: &Path,
    made: &BTreeMap<PathBuf, String>,
) -> Result<BTreeMap<PathBuf, Option<String>>> {
    let mut stale = BTreeMap::new();
    for (path, content) in made {
        let full = root.join(path);
        let present = match std::fs::read_to_string(&full) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("read {}", full.display())),
        };
        if present.as_ref() != Some(content) {
            stale.insert(path.clone(), Some(content.clone()));
        }
    }
    for (folder, ending) in FOLDERS {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        for entry in entries {
            let path = Path::new(folder).join(entry?.file_name());
            if path.extension().is_some_and(|end| end == ending) && !made.contains_key(&path) {
                stale.insert(path, None);
            }
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_changed_or_left_over_is_stale() {
        let root = std::env::temp_dir().join(format!("sluice-gen-{}", std::process::id()));
        let folder = root.join("crds/yaml");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in [
            ("same.yaml", "a"),
            ("changed.yaml", "old"),
            ("left.yaml", "x"),
            ("note.md", "x"),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let made = ["same", "changed", "missing"]
            .map(|name| {
                (
                    Path::new("crds/yaml").join(format!("{name}.yaml")),
                    "a".to_owned(),
                )
            })
            .into();
        let found = stale(&root, &made).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        let found: Vec<String> = found
            .iter()
            .map(|(path, content)| format!("{} {}", path.display(), content.is_some()))
            .collect();
        assert_eq!(
            found,
            [
                "crds/yaml/changed.yaml true",
                "crds/yaml/left.yaml false",
                "crds/yaml/missing.yaml true"
            ]
        );
    }
}
