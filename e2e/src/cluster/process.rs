//! The cluster's processes: started into the background, remembered in files, ended by exactly the ids we kept.
//!
//! For each process there is `run/NAME.json` with its pid, its start time (so that a pid that was given to another
//! process since is never signalled) and its command line (so that any later program can start it again), and
//! `logs/NAME.log`. Processes do not end with the program that started them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::layout::{Layout, write};
use crate::command::last_lines;
use crate::wait::eventually;

/// How a process is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The component's name: its log and its record carry it.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables beside `PATH`, `HOME` and `TMPDIR`; nothing else is inherited, least of all proxies.
    pub env: BTreeMap<String, String>,
}

impl Launch {
    /// A launch without arguments.
    pub fn new(name: &str, program: &Path) -> Self {
        let (name, program) = (name.to_owned(), program.to_owned());
        Self {
            name,
            program,
            args: Vec::new(),
            env: BTreeMap::new(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_string_lossy().into_owned());
        self
    }

    /// Adds `--name=value`.
    pub fn flag(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.arg(format!("--{name}={value}"))
    }

    /// Adds `--name=path`.
    pub fn file(self, name: &str, path: &Path) -> Self {
        self.flag(name, path.display())
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.env.insert(name.to_owned(), value.to_string());
        self
    }
}

/// A process that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    pid: u32,
    start: u64,
    launch: Launch,
}

/// All processes of one cluster.
#[derive(Clone)]
pub struct Processes {
    layout: Layout,
    /// Children of this very process, kept to be reaped.
    children: Arc<Mutex<BTreeMap<String, Child>>>,
}

impl Processes {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            children: Arc::default(),
        }
    }

    /// Starts the process unless it runs already in the same way.
    ///
    /// # Errors
    /// When the program cannot be started, or its log or record cannot be written.
    pub fn ensure(&self, launch: Launch) -> Result<()> {
        if let Some(record) = self.record(&launch.name)
            && self.is_alive(&launch.name)
        {
            if record.launch == launch {
                return Ok(());
            }
            bail!(
                "{} runs already with other arguments: take the cluster down first",
                launch.name
            );
        }
        let name = launch.name.clone();
        let log = self.layout.log(&name);
        let open = || OpenOptions::new().create(true).append(true).open(&log);
        let (out, err) = open()
            .and_then(|out| open().map(|err| (out, err)))
            .with_context(|| format!("cannot write {}", log.display()))?;
        let child = std::process::Command::new(&launch.program)
            .args(&launch.args)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", self.layout.path("home"))
            .env("TMPDIR", std::env::temp_dir())
            .envs(&launch.env)
            .current_dir(self.layout.root())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // A group of its own: what a terminal sends to this program is not meant for the cluster.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", launch.program.display()))?;
        let pid = child.id();
        self.children().insert(name.clone(), child);
        let start = start_time(pid).unwrap_or_default();
        let record = Record { pid, start, launch };
        write(
            &self.record_path(&name),
            &serde_json::to_string_pretty(&record)?,
        )
    }

    /// Starts a process again as it was started the last time. Nothing happens when it runs.
    ///
    /// # Errors
    /// When it was never started, or as [`Processes::ensure`].
    pub fn start(&self, name: &str) -> Result<()> {
        let record = self
            .record(name)
            .with_context(|| format!("{name} was never started"))?;
        self.ensure(record.launch)
    }

    /// Ends a process with SIGTERM and, when it is still there five seconds later, with SIGKILL.
    ///
    /// # Errors
    /// When it survives that.
    pub async fn stop(&self, name: &str) -> Result<()> {
        if self.signal(name, Signal::TERM) {
            let gone = self.gone(name, Duration::from_secs(5)).await;
            if gone.is_err() {
                return self.kill(name).await;
            }
        }
        Ok(())
    }

    /// Ends a process with SIGKILL.
    ///
    /// # Errors
    /// When it is still there ten seconds later.
    pub async fn kill(&self, name: &str) -> Result<()> {
        self.signal(name, Signal::KILL);
        self.gone(name, Duration::from_secs(10)).await
    }

    /// Sends SIGKILL and does not wait; for the end of a value that stands for a process.
    pub fn kill_at_once(&self, name: &str) {
        self.signal(name, Signal::KILL);
    }

    async fn gone(&self, name: &str, limit: Duration) -> Result<()> {
        eventually(&format!("the end of {name}"), limit, || async {
            if self.is_alive(name) {
                bail!("it is still running")
            } else {
                Ok(())
            }
        })
        .await
    }

    /// Whether the process that we started is there; a zombie is not.
    pub fn is_alive(&self, name: &str) -> bool {
        if let Some(child) = self.children().get_mut(name) {
            // Reaps it when it has ended, so that its entry in /proc goes away.
            let _ = child.try_wait();
        }
        self.pid(name).is_some()
    }

    /// The id of a running process.
    pub fn pid(&self, name: &str) -> Option<u32> {
        let record = self.record(name)?;
        (start_time(record.pid) == Some(record.start)).then_some(record.pid)
    }

    /// Descriptors of the running processes: readable when a process has ended.
    pub(super) fn descriptors(&self) -> Vec<OwnedFd> {
        let records = self
            .names()
            .into_iter()
            .filter_map(|name| self.record(&name));
        records
            .filter_map(|record| descriptor(record.pid, record.start))
            .collect()
    }

    /// The names of all processes that were ever started.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.layout.path("run"))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                Some(
                    entry
                        .file_name()
                        .to_str()?
                        .strip_suffix(".json")?
                        .to_owned(),
                )
            })
            .collect();
        names.sort();
        names
    }

    /// Waits until a component is ready. Ends at once when the process dies, and shows the end of its log.
    ///
    /// # Errors
    /// After `limit` or the process's end.
    pub async fn ready<T, F, Fut>(&self, name: &str, limit: Duration, mut probe: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let what = format!("{name} to be ready");
        let wait = eventually(&what, limit, || {
            let attempt = self.is_alive(name).then(&mut probe);
            async {
                match attempt {
                    Some(attempt) => attempt.await.map(Ok),
                    None => Ok(Err(anyhow!("{name} has ended"))),
                }
            }
        });
        wait.await
            .and_then(|inner| inner)
            .map_err(|error| self.with_log(name, error))
    }

    /// An error with the last lines of a component's log.
    pub fn with_log(&self, name: &str, error: anyhow::Error) -> anyhow::Error {
        let path = self.layout.log(name);
        let tail = tail(&path, 12).unwrap_or_default();
        anyhow!("{error:#}\nlast lines of {}:\n{tail}", path.display())
    }

    /// Sends a signal; whether there was a process to take it.
    fn signal(&self, name: &str, signal: Signal) -> bool {
        self.record(name)
            .is_some_and(|record| signal_process(record.pid, record.start, signal))
    }

    fn record(&self, name: &str) -> Option<Record> {
        serde_json::from_str(&std::fs::read_to_string(self.record_path(name)).ok()?).ok()
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.layout.path("run").join(format!("{name}.json"))
    }

    fn children(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signals the process with this id if it is the one that started then; whether it was.
pub(super) fn signal_process(pid: u32, start: u64, signal: Signal) -> bool {
    descriptor(pid, start).is_some_and(|fd| pidfd_send_signal(&fd, signal).is_ok())
}

/// A descriptor of the process with this id if it is the one that started then.
fn descriptor(pid: u32, start: u64) -> Option<OwnedFd> {
    let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
    // The descriptor stays with this process, so looking at the start time after opening it leaves no gap.
    let fd = pidfd_open(raw, PidfdFlags::empty()).ok()?;
    (start_time(pid) == Some(start)).then_some(fd)
}

/// When a process started, in ticks since boot; nothing when it is gone or a zombie.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the name in parentheses, may contain anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        None
    } else {
        fields.nth(18)?.parse().ok()
    }
}

/// The last lines of a file, without reading all of it.
pub(super) fn tail(path: &Path, lines: usize) -> Result<String> {
    const WINDOW: u64 = 32 * 1024;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let short: Vec<String> = last_lines(&text, lines)
        .lines()
        .map(|l| l.chars().take(600).collect())
        .collect();
    Ok(short.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes() -> (tempfile::TempDir, Processes) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path()).unwrap();
        layout.claim().unwrap();
        let processes = Processes::new(&layout);
        (dir, processes)
    }

    #[tokio::test]
    async fn a_process_is_started_once_and_ends_by_its_id() {
        let (_dir, processes) = processes();
        let launch = Launch::new("sleeper", Path::new("/bin/sleep")).arg("60");
        processes.ensure(launch.clone()).unwrap();
        let pid = processes.pid("sleeper").unwrap();
        processes.ensure(launch).unwrap();
        assert_eq!(processes.pid("sleeper"), Some(pid));
        processes.kill("sleeper").await.unwrap();
        assert!(!processes.is_alive("sleeper"));
        processes.start("sleeper").unwrap();
        assert_ne!(processes.pid("sleeper"), Some(pid));
        processes.stop("sleeper").await.unwrap();
        assert!(processes.pid("sleeper").is_none());
    }

    #[test]
    fn another_process_under_the_same_id_is_not_signalled() {
        let own = std::process::id();
        let start = start_time(own).unwrap();
        assert!(!signal_process(own, start + 1, Signal::KILL));
    }

    #[tokio::test]
    async fn a_component_that_dies_is_reported_with_its_last_words() {
        let (_dir, processes) = processes();
        let launch = Launch::new("etcd", Path::new("/bin/sh"))
            .arg("-c")
            .arg("echo no space left; exit 1");
        processes.ensure(launch).unwrap();
        let never = || async { bail!("not yet") as Result<()> };
        let error = processes
            .ready("etcd", Duration::from_secs(20), never)
            .await
            .unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("etcd has ended") && text.contains("no space left"),
            "{text}"
        );
    }
}
