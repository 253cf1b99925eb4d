//! Child processes that cannot harm their parent.
//!
//! Input: a program, its arguments and its whole environment. Output: its exit status and what it printed, within
//! limits.
//!
//! Invariants: no shell; nothing is inherited but the two pipes (no environment, no standard input, no descriptors);
//! the child leads a process group of its own, and the whole group is killed when the time limit passes, when it
//! prints too much, or when the caller goes away; memory, file size and processor time are limited by the kernel.
//! Arguments are logged, so secrets go into the environment or into files, never into arguments.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, kill_process_group, prlimit, waitpgid,
};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// Bytes of standard error that are kept; the rest is read and thrown away.
const STDERR_LIMIT: u64 = 64 << 10;

/// A child to start.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// The program's path.
    pub(crate) program: PathBuf,
    /// Its arguments; no secrets.
    pub(crate) args: Vec<OsString>,
    /// Its whole environment.
    pub(crate) env: BTreeMap<String, OsString>,
    /// Where it starts.
    pub(crate) cwd: PathBuf,
    /// When it is killed.
    pub(crate) timeout: Duration,
    /// Bytes of standard output that are accepted.
    pub(crate) stdout_limit: u64,
    /// Bytes of one file that it may write.
    pub(crate) file_limit: u64,
    /// Bytes of memory that it may ask for.
    pub(crate) memory_limit: u64,
}

/// What a child that ended by itself left.
#[derive(Debug)]
pub(crate) struct Output {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// The start of standard error.
    pub(crate) stderr: String,
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The program is not there.
    #[error("{} cannot be started: {source}", program.display())]
    Start {
        /// Its path.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was killed.
    #[error("took longer than {} s", .0.as_secs())]
    Timeout(Duration),
    /// It was killed.
    #[error("printed more than {0} bytes")]
    TooMuchOutput(u64),
    /// Its pipes broke.
    #[error("{0}")]
    Io(std::io::Error),
}

/// Runs a child to its end.
pub(crate) async fn run(invocation: Invocation) -> Result<Output, RunError> {
    let started = std::time::Instant::now();
    let mut child = Command::new(&invocation.program)
        .args(&invocation.args)
        .env_clear()
        .envs(&invocation.env)
        .current_dir(&invocation.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| RunError::Start {
            program: invocation.program.clone(),
            source,
        })?;
    let group = Group::of(&child);
    group.limit(&invocation);

    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (stdout, stderr) = tokio::try_join!(
            read_all(stdout, invocation.stdout_limit),
            read_some(stderr, STDERR_LIMIT),
        )?;
        let status = child.wait().await.map_err(RunError::Io)?;
        Ok(Output {
            status,
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    };
    let outcome = match tokio::time::timeout(invocation.timeout, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(RunError::Timeout(invocation.timeout)),
    };
    if outcome.is_ok() {
        // Ended and reaped by itself: its group number may already belong to somebody else.
        group.disarm();
    } else {
        group.kill();
        let _ = child.wait().await;
        group.reap().await;
        group.disarm();
    }
    tracing::debug!(
        program = %invocation.program.display(),
        args = ?invocation.args,
        milliseconds = started.elapsed().as_millis(),
        ok = outcome.as_ref().is_ok_and(|output| output.status.success()),
        "child process ended",
    );
    outcome
}

/// The process group of a running child; killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Limits that the kernel keeps. Set right after the start: the child has not read any input yet.
    fn limit(&self, invocation: &Invocation) {
        let seconds = invocation.timeout.as_secs().saturating_add(1);
        for (resource, limit) in [
            (Resource::Core, 0),
            (Resource::Cpu, seconds.saturating_mul(4)),
            (Resource::Data, invocation.memory_limit),
            (Resource::Fsize, invocation.file_limit),
            (Resource::Nofile, 1024),
        ] {
            let limit = Rlimit {
                current: Some(limit),
                maximum: Some(limit),
            };
            // It may have ended already; and a limit above our own is refused, which leaves ours in force.
            let _ = prlimit(self.0, resource, limit);
        }
    }

    fn disarm(mut self) {
        self.0 = None;
    }

    fn kill(&self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Takes the killed grandchildren off the process table. They are ours when this process is the first of its
    /// container, and nobody else would: each hanging fetch would leave zombies behind.
    async fn reap(&self) {
        let Some(group) = self.0 else { return };
        for _ in 0..50 {
            match waitpgid(group, WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                // Killed, and not gone yet.
                Ok(None) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(_) => return,
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The caller went away. The runtime reaps the leader; a thread takes the others, a moment later.
        self.kill();
        if let Some(group) = self.0 {
            std::thread::spawn(move || {
                for _ in 0..20 {
                    std::thread::sleep(Duration::from_millis(50));
                    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
                }
            });
        }
    }
}

async fn read_all(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> Result<Vec<u8>, RunError> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut bounded = pipe.take(limit.saturating_add(1));
        bounded
            .read_to_end(&mut bytes)
            .await
            .map_err(RunError::Io)?;
        if bytes.len() as u64 > limit {
            return Err(RunError::TooMuchOutput(limit));
        }
    }
    Ok(bytes)
}

async fn read_some(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> Result<Vec<u8>, RunError> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut bounded = pipe.take(limit);
        bounded
            .read_to_end(&mut bytes)
            .await
            .map_err(RunError::Io)?;
        let mut rest = bounded.into_inner();
        tokio::io::copy(&mut rest, &mut tokio::io::sink())
            .await
            .map_err(RunError::Io)?;
    }
    Ok(bytes)
}

/// The absolute path of a program: itself when it has a `/`, else the first of that name in `search` (a `PATH`).
pub(crate) fn find_program(name: &Path, search: &str) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return std::path::absolute(name).ok();
    }
    search
        .split(':')
        .filter(|folder| folder.starts_with('/'))
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Invocation {
        Invocation {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::from([("PATH".to_owned(), OsString::from("/usr/bin:/bin"))]),
            cwd: "/".into(),
            timeout: Duration::from_secs(20),
            stdout_limit: 1 << 20,
            file_limit: 1 << 20,
            memory_limit: 1 << 30,
        }
    }

    #[tokio::test]
    async fn output_status_and_errors_come_back() {
        let output = run(shell("echo out; echo err >&2; exit 3")).await.unwrap();
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_str()),
            (&b"out\n"[..], "err\n")
        );
        assert_eq!(output.status.code(), Some(3));
    }

    #[tokio::test]
    async fn the_environment_of_the_controller_is_not_inherited() {
        let output = run(shell("env | cut -d= -f1 | sort")).await.unwrap();
        let names = String::from_utf8(output.stdout).unwrap();
        let foreign = names
            .lines()
            .find(|name| !["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name));
        assert_eq!(foreign, None);
    }

    /// Whether a process is still there, if only as a zombie; looked at until it is gone, for a second at most.
    async fn lingers(pid: i32) -> bool {
        for _ in 0..100 {
            if !Path::new(&format!("/proc/{pid}")).exists() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    async fn grandchild(file: &Path) -> i32 {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if let Ok(pid) = text.trim().parse() {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn a_hanging_child_is_killed_with_its_children_and_leaves_no_zombie() {
        // As for the first process of a container: orphans become ours.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let mut hanging = shell(&format!("sleep 600 & echo $! > {}; wait", file.display()));
        hanging.timeout = Duration::from_millis(700);
        let error = run(hanging).await.unwrap_err();
        assert!(matches!(error, RunError::Timeout(_)), "{error}");
        assert!(!lingers(grandchild(&file).await).await);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_takes_the_children_with_it() {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let hanging = shell(&format!("sleep 600 & echo $! > {}; wait", file.display()));
        let pid = tokio::select! {
            _ = run(hanging) => panic!("it ended"),
            pid = grandchild(&file) => pid,
        };
        assert!(!lingers(pid).await);
    }

    #[tokio::test]
    async fn endless_output_is_cut_off() {
        let mut endless = shell("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done");
        endless.stdout_limit = 10_000;
        assert!(matches!(
            run(endless).await.unwrap_err(),
            RunError::TooMuchOutput(10_000)
        ));
    }

    #[tokio::test]
    async fn endless_errors_do_not_block_it() {
        let output = run(shell("i=0; while [ $i -lt 5000 ]; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx >&2; i=$((i+1)); done"))
            .await
            .unwrap();
        assert_eq!(output.stderr.len() as u64, STDERR_LIMIT);
    }

    #[tokio::test]
    async fn a_huge_file_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("huge");
        let output = run(shell(&format!(
            "sleep 0.2; head -c 5000000 /dev/zero > {}; echo done",
            file.display()
        )))
        .await
        .unwrap();
        assert!(
            std::fs::metadata(&file).unwrap().len() <= 1 << 20,
            "{output:?}"
        );
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let mut missing = shell("");
        missing.program = "/nonexistent/helm".into();
        assert!(
            run(missing)
                .await
                .unwrap_err()
                .to_string()
                .contains("/nonexistent/helm")
        );
    }
}
