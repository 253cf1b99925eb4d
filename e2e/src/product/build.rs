//! The programs of the product, as static binaries: the image needs no base.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::checkout;
use crate::command::Command;
use crate::progress::Reporter;

/// The target; glibc, since it is the one that is installed with every toolchain.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `sluice-controller`, static.
    pub controller: PathBuf,
    /// The demo's app, static.
    pub demo_app: PathBuf,
    /// `kubectl-sluice`, static.
    pub plugin: PathBuf,
}

/// Builds what is not built yet: minutes the first time, seconds when nothing has changed.
///
/// # Errors
/// When cargo fails; the error holds the end of what it said.
pub async fn programs(reporter: &Reporter) -> Result<Programs> {
    let folder = build(
        reporter,
        "sluice (optimised build)",
        &["sluice-controller", "sluice-demo-app", "kubectl-sluice"],
    )
    .await?;
    let programs = Programs {
        controller: folder.join("sluice-controller"),
        demo_app: folder.join("sluice-demo-app"),
        plugin: folder.join("kubectl-sluice"),
    };
    for program in [&programs.controller, &programs.demo_app, &programs.plugin] {
        built(program)?;
    }
    Ok(programs)
}

/// Builds the controller alone, the same program that [`programs`] builds.
///
/// # Errors
/// As [`programs`].
pub async fn controller(reporter: &Reporter) -> Result<PathBuf> {
    let package = "sluice-controller";
    let folder = build(reporter, "sluice-controller (optimised build)", &[package]).await?;
    let program = folder.join(package);
    built(&program)?;
    Ok(program)
}

/// Builds packages; returns the folder with their programs.
async fn build(reporter: &Reporter, what: &str, packages: &[&str]) -> Result<PathBuf> {
    let step = reporter.step(what);
    let root = checkout()?;
    let target = target_folder(&root)?;
    Command::new("cargo")
        .args([
            "build",
            "--locked",
            "--quiet",
            "--profile",
            "image",
            "--target",
            TARGET,
        ])
        .args(packages.iter().flat_map(|package| ["--package", *package]))
        .dir(&root)
        .env("CARGO_TARGET_DIR", &target)
        // Static with glibc: nothing in the image but the program itself.
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .limit(Duration::from_secs(40 * 60))
        .run()
        .await
        .context("cannot build the programs of the image")?;
    step.done("");
    Ok(target.join(TARGET).join("image"))
}

fn built(program: &Path) -> Result<()> {
    ensure!(
        program.is_file(),
        "cargo has built no {}",
        program.display()
    );
    Ok(())
}

/// The target folder of this very program: the one that cargo was told to use, or `target`.
fn target_folder(root: &Path) -> Result<PathBuf> {
    let folder = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => root.join("target"),
    };
    Ok(std::path::absolute(folder)?)
}
