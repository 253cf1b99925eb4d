//! The picture of the README: recorded by the demo, drawn by `cargo xtask gen`.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::screen::{Line, svg};
use crate::product::checkout;

/// The recorded screen.
const RECORDING: &str = "docs/images/demo.json";
/// What is drawn from it.
const PICTURE: &str = "docs/images/demo.svg";

/// Keeps a screen, and draws it.
///
/// # Errors
/// When the files cannot be written.
pub fn record(lines: &[Line]) -> Result<PathBuf> {
    let path = checkout()?.join(RECORDING);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(lines)? + "\n";
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let (picture, text) = draw()?;
    std::fs::write(checkout()?.join(picture), text)?;
    Ok(path)
}

/// The picture's path below the repository, and its content, from the recording.
///
/// # Errors
/// When there is no recording, or it cannot be read.
pub fn draw() -> Result<(PathBuf, String)> {
    let root = checkout()?;
    let path = root.join(RECORDING);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "cannot read {}: `cargo xtask demo --record` makes it",
            path.display()
        )
    })?;
    let lines: Vec<Line> =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    Ok((PathBuf::from(PICTURE), svg("cargo xtask demo", &lines)))
}
