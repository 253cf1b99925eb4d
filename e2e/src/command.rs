//! Child processes that run to their end, each with a time limit and an error that says everything.
//!
//! The daemons of the cluster are started elsewhere (`cluster::process`); this is for `ip`, `nft`, `git`, `ctr` …

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;

/// A command line with its environment, input and time limit.
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    inner: tokio::process::Command,
    input: Option<Vec<u8>>,
    limit: Duration,
}

impl Command {
    /// A command with a limit of one minute, no input, and the environment of this process.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref().to_owned();
        let mut inner = tokio::process::Command::new(&program);
        inner.stdin(Stdio::null()).kill_on_drop(true);
        Self {
            program,
            args: Vec::new(),
            inner,
            input: None,
            limit: Duration::from_secs(60),
        }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.args.push(arg.as_ref().to_owned());
            self.inner.arg(arg);
        }
        self
    }

    /// Adds one argument.
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Runs in a folder.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.inner.current_dir(dir);
        self
    }

    /// Gives the command something to read on its standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self.inner.stdin(Stdio::piped());
        self
    }

    /// Ends the command after this time; one minute unless told.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The command line as a person would type it.
    pub fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs to the end and returns whatever came of it, a failure code included.
    ///
    /// # Errors
    /// When the program cannot be started or the time limit passes.
    pub async fn output(mut self) -> Result<Output> {
        let line = self.line();
        let limit = self.limit;
        self.inner.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self
            .inner
            .spawn()
            .with_context(|| format!("cannot start `{line}`"))?;
        let stdin = child.stdin.take();
        let input = self.input.take();
        let run = async {
            let feed = async {
                if let (Some(mut stdin), Some(input)) = (stdin, input) {
                    // A program may end without reading all of its input; its exit code tells.
                    let _ = stdin.write_all(&input).await;
                }
            };
            let (output, ()) = tokio::join!(child.wait_with_output(), feed);
            output.with_context(|| format!("lost `{line}`"))
        };
        match tokio::time::timeout(limit, run).await {
            Ok(output) => output,
            Err(_) => bail!(
                "`{line}` took longer than {} s and was ended",
                limit.as_secs()
            ),
        }
    }

    /// Runs to the end, expects success, and returns standard output.
    ///
    /// # Errors
    /// As [`Command::output`], and when the exit code is not 0; the error carries the last lines of standard error.
    pub async fn run(self) -> Result<String> {
        let line = self.line();
        let output = self.output().await?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let out = String::from_utf8_lossy(&output.stdout);
            let said = if errors.trim().is_empty() {
                &out
            } else {
                &errors
            };
            bail!(
                "`{line}` failed ({}): {}",
                output.status,
                last_lines(said, 15)
            );
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed no UTF-8"))
    }
}

/// The last `count` lines of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_command_says_what_it_said() {
        let error = Command::new("sh")
            .args(["-c", "echo no bridge >&2; exit 3"])
            .run()
            .await;
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("no bridge") && text.contains("exit status: 3"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended() {
        let command = Command::new("sleep")
            .arg("30")
            .limit(Duration::from_millis(50));
        assert!(
            command
                .run()
                .await
                .unwrap_err()
                .to_string()
                .contains("was ended")
        );
    }

    #[tokio::test]
    async fn input_reaches_the_command() {
        assert_eq!(
            Command::new("cat").input("hello").run().await.unwrap(),
            "hello"
        );
    }

    #[test]
    fn the_tail_of_a_short_text_is_the_text() {
        assert_eq!(last_lines("a\nb\n", 5), "a\nb");
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
    }
}
