//! Line coverage of the crates that decide: their tests run once, instrumented, and each folder must reach [`LEAST`].
//!
//! `cargo-llvm-cov` does the work. It is installed into the cache on first use, and LLVM's own tools as a Debian package.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sluice_e2e::command::{Command, last_lines};
use sluice_e2e::install::{self, cache_folder};
use sluice_e2e::progress::Reporter;

use crate::test::{Count, counted, what_failed};

/// Packages whose tests are measured.
pub(crate) const PACKAGES: [&str; 3] = [
    "sluice-rollout",
    "sluice-analysis",
    "sluice-analysis-providers",
];

/// Folders of the checkout that are measured.
const FOLDERS: [&str; 2] = ["rollout", "analysis"];

/// The least part of a folder's lines that its tests must run, in percent.
const LEAST: f64 = 95.0;

/// Version of `cargo-llvm-cov`.
const VERSION: &str = "0.9.1";

/// Lines of a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lines {
    count: u64,
    covered: u64,
}

impl Lines {
    fn percent(self) -> f64 {
        100.0 * self.covered as f64 / self.count.max(1) as f64
    }
}

/// Runs the tests of the packages and measures; prints the coverage of each folder. A folder below [`LEAST`] counts as one
/// failed test.
///
/// # Errors
/// When the tool cannot be installed or run.
pub(crate) async fn check(root: &Path) -> Result<Count> {
    let tool = tool().await?;
    let llvm = install::llvm_tools(&Reporter::terminal()).await?;
    let report = root.join("target/coverage.json");
    if let Some(folder) = report.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut command = Command::new(&tool)
        .args([
            "llvm-cov",
            "--locked",
            "--no-fail-fast",
            "--json",
            "--output-path",
        ])
        .arg(&report)
        .dir(root)
        .env("CARGO_TERM_COLOR", "never")
        .env("INSTA_UPDATE", "no")
        .env("LLVM_COV", llvm.join("llvm-cov"))
        .env("LLVM_PROFDATA", llvm.join("llvm-profdata"))
        .limit(Duration::from_secs(30 * 60));
    for package in PACKAGES {
        command = command.args(["--package", package]);
    }
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let mut count = counted(&text);
    if !output.status.success() {
        println!("{}", what_failed(&text));
        if count.failed == 0 {
            bail!("cargo llvm-cov failed:\n{}", last_lines(&text, 20));
        }
        return Ok(count);
    }
    let written = std::fs::read_to_string(&report)
        .with_context(|| format!("cannot read {}", report.display()))?;
    let report: Value = serde_json::from_str(&written).context("the report of cargo llvm-cov")?;
    for (folder, lines) in folders(&report, root)? {
        let (percent, all) = (lines.percent(), lines.count);
        println!("       {folder}/: {percent:.1} % of {all} lines are run by its tests");
        if percent < LEAST {
            println!(
                "       that is less than {LEAST} %: cargo llvm-cov --html shows which are not"
            );
            count.failed += 1;
        } else {
            count.passed += 1;
        }
    }
    Ok(count)
}

/// The lines of each measured folder.
fn folders(report: &Value, root: &Path) -> Result<BTreeMap<&'static str, Lines>> {
    let files = report
        .pointer("/data/0/files")
        .and_then(Value::as_array)
        .context("the report of cargo llvm-cov has no files")?;
    let mut folders: BTreeMap<&'static str, Lines> = BTreeMap::new();
    for file in files {
        let name = file.get("filename").and_then(Value::as_str);
        let name = Path::new(name.context("a file without a name")?);
        let below = name.strip_prefix(root).unwrap_or(name);
        let Some(folder) = FOLDERS.into_iter().find(|folder| below.starts_with(folder)) else {
            continue;
        };
        let number = |key: &str| {
            let lines = file.pointer("/summary/lines");
            lines
                .and_then(|lines| lines.get(key)?.as_u64())
                .unwrap_or(0)
        };
        let lines = folders.entry(folder).or_default();
        lines.count += number("count");
        lines.covered += number("covered");
    }
    if folders.len() < FOLDERS.len() {
        bail!(
            "the report of cargo llvm-cov lacks one of {}",
            FOLDERS.join(", ")
        );
    }
    Ok(folders)
}

/// The program, installed when it is missing.
async fn tool() -> Result<PathBuf> {
    let folder = cache_folder()?.join(format!("cargo-llvm-cov-{VERSION}"));
    let program = folder.join("bin/cargo-llvm-cov");
    if !program.is_file() {
        let install = [
            "install",
            "cargo-llvm-cov",
            "--locked",
            "--version",
            VERSION,
            "--root",
        ];
        let install = Command::new("cargo").args(install).arg(&folder);
        install.limit(Duration::from_secs(20 * 60)).run().await?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::{Lines, folders};

    #[test]
    fn lines_are_summed_by_folder_and_a_missing_folder_is_an_error() {
        let file = |name: &str, count: u64, covered: u64| json!({"filename": name, "summary": {"lines": {"count": count, "covered": covered}}});
        let files = [
            file("/repo/rollout/src/a.rs", 10, 9),
            file("/repo/rollout/src/b/c.rs", 30, 30),
            file("/repo/analysis/providers/src/d.rs", 5, 4),
            file("/repo/crds/src/rollout/e.rs", 100, 0),
        ];
        let report = json!({"data": [{"files": files}]});
        let found = folders(&report, Path::new("/repo")).expect("a report");
        assert_eq!(
            found["rollout"],
            Lines {
                count: 40,
                covered: 39
            }
        );
        assert_eq!(found["analysis"].percent(), 80.0);
        let one = json!({"data": [{"files": [files[0]]}]});
        assert!(folders(&one, Path::new("/repo")).is_err());
    }
}
