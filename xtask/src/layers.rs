//! The direction of dependencies: what a pure crate must not reach, over `cargo tree`.

use std::path::Path;

use anyhow::{Result, bail};
use sluice_e2e::command::Command;

/// Crates that decide, and must be able to do nothing else.
const PURE: [&str; 6] = [
    "sluice-crds",
    "sluice-rollout",
    "sluice-analysis",
    "sluice-traffic",
    "sluice-gitops",
    "sluice-simulation",
];

/// What none of them may have below it.
const IMPURE: [&str; 12] = [
    "tokio",
    "kube-client",
    "kube-runtime",
    "hyper",
    "reqwest",
    "rand",
    "axum",
    "tempfile",
    "sluice-runtime",
    "sluice-controller",
    "sluice-gitops-sources",
    "sluice-analysis-providers",
];

/// Checks every pure crate.
///
/// # Errors
/// When one reaches something that it must not, naming both.
pub(crate) async fn check(root: &Path) -> Result<()> {
    let mut wrong = Vec::new();
    for package in PURE {
        let tree = Command::new("cargo")
            .args([
                "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{lib}",
            ])
            .args(["--package", package])
            .dir(root)
            .run()
            .await?;
        for library in tree.lines().map(|line| line.trim().replace('_', "-")) {
            if IMPURE.contains(&library.as_str()) {
                wrong.push(format!("{package} reaches {library}"));
            }
        }
        let file = root
            .join(package.trim_start_matches("sluice-"))
            .join("clippy.toml");
        if !file.is_file() {
            wrong.push(format!(
                "{} is missing: it refuses clocks and I/O",
                file.display()
            ));
        }
    }
    wrong.sort();
    wrong.dedup();
    if !wrong.is_empty() {
        bail!(
            "pure crates must decide and nothing else (docs/architecture.md):\n  {}",
            wrong.join("\n  ")
        );
    }
    Ok(())
}
