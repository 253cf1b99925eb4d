//! Building and running one test of the copy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use sluice_e2e::command::{Command, last_lines};

use super::list::Test;

/// Building one crate's tests takes no longer, even on a machine that does other things too.
const BUILD: Duration = Duration::from_secs(1800);
/// A test that takes longer than this runs in circles.
const RUN: Duration = Duration::from_secs(300);

/// What became of a test.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It failed; what it said.
    Failed,
    /// It did not end.
    Hung,
    /// It passed.
    Passed,
    /// There is no such test in the binary.
    Missing,
    /// It was not built; why.
    NotBuilt(String),
}

impl Outcome {
    /// Whether the defect was noticed.
    pub(crate) fn is_caught(&self) -> bool {
        matches!(self, Outcome::Failed | Outcome::Hung)
    }

    /// The outcome of a defect in two words.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Outcome::Failed => "caught",
            Outcome::Hung => "caught (no end)",
            Outcome::Passed => "SURVIVED",
            Outcome::Missing => "NO SUCH TEST",
            Outcome::NotBuilt(_) => "DOES NOT COMPILE",
        }
    }

    /// More about it.
    pub(crate) fn details(&self) -> String {
        match self {
            Outcome::Failed => "the test failed".to_owned(),
            Outcome::Hung => format!("the test did not end within {} s", RUN.as_secs()),
            Outcome::Passed => "the test passed".to_owned(),
            Outcome::Missing => "there is no such test".to_owned(),
            Outcome::NotBuilt(errors) => last_lines(errors, 30),
        }
    }
}

/// Where tests are built and run.
pub(crate) struct Trial {
    root: PathBuf,
    target: PathBuf,
}

impl Trial {
    /// Tests of the checkout at `root`, built into `target`.
    pub(crate) fn new(root: &Path, target: &Path) -> Self {
        Self {
            root: root.to_owned(),
            target: target.to_owned(),
        }
    }

    /// Builds one test and runs it.
    ///
    /// # Errors
    /// When cargo cannot be run or does not say what it built.
    pub(crate) async fn run(&self, test: &Test) -> Result<Outcome> {
        let choice: &[&str] = match test.binary.as_str() {
            "lib" => &["--lib"],
            binary => &["--test", binary],
        };
        let build = Command::new("cargo")
            // Not locked: the versions of the copy's own crates are others than in the lock file.
            .args(["test", "--no-run", "--offline", "--quiet"])
            .args(["--message-format", "json-render-diagnostics"])
            .args(["--package", test.package.as_str()])
            .args(choice)
            .dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_TERM_COLOR", "never")
            .limit(BUILD);
        let built = build.output().await?;
        if !built.status.success() {
            let errors = String::from_utf8_lossy(&built.stderr).into_owned();
            return Ok(Outcome::NotBuilt(errors));
        }
        let messages = String::from_utf8_lossy(&built.stdout);
        let program = program(&messages)
            .with_context(|| format!("cargo built no tests of {}", test.package))?;
        let folder = self.root.join(&test.folder);
        let run = Command::new(program)
            .args(["--exact", &test.name])
            .dir(&folder)
            .env("CARGO_MANIFEST_DIR", &folder)
            .env("INSTA_UPDATE", "no")
            .env("RUST_BACKTRACE", "0")
            .limit(RUN);
        let Ok(output) = run.output().await else {
            return Ok(Outcome::Hung);
        };
        Ok(verdict(
            output.status.success(),
            &String::from_utf8_lossy(&output.stdout),
        ))
    }
}

/// The test program among the messages of cargo.
fn program(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["profile"]["test"] == true)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

fn verdict(success: bool, said: &str) -> Outcome {
    if !success {
        Outcome::Failed
    } else if said.contains("test result: ok. 1 passed") {
        Outcome::Passed
    } else {
        Outcome::Missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_does_not_exist_is_not_one_that_passed() {
        let none = "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 37 filtered out";
        assert!(matches!(verdict(true, none), Outcome::Missing));
        let one = "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed";
        assert!(matches!(verdict(true, one), Outcome::Passed));
        assert!(verdict(false, "test result: FAILED. 0 passed; 1 failed").is_caught());
    }

    #[test]
    fn the_test_program_is_found_among_the_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"profile\":{\"test\":false},\"executable\":\"/a\"}\n\
                        {\"reason\":\"compiler-artifact\",\"profile\":{\"test\":true},\"executable\":\"/b\"}\n\
                        {\"reason\":\"build-finished\",\"success\":true}";
        assert_eq!(program(messages), Some(PathBuf::from("/b")));
        assert_eq!(program("noise"), None);
    }
}
