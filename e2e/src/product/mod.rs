//! The product on the cluster: built as it is shipped, put into images, installed with its own charts.

pub mod build;
pub mod deploy;
pub mod images;

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The checkout that this program was built from.
///
/// # Errors
/// When the folder is gone.
pub fn checkout() -> Result<PathBuf> {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().context("the e2e folder has no parent")?;
    anyhow::ensure!(
        root.join("charts").is_dir(),
        "the checkout {} is gone: run cargo xtask from a checkout",
        root.display()
    );
    Ok(root.to_owned())
}
